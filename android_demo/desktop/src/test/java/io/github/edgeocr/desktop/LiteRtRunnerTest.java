package io.github.edgeocr.desktop;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.github.edgeocr.Bundle;
import io.github.edgeocr.BundleException;
import io.github.edgeocr.ModelFile;
import io.github.edgeocr.RuntimeUnavailableException;
import io.github.edgeocr.Signature;
import io.github.edgeocr.Tensor;
import io.github.edgeocr.TensorPort;
import io.github.edgeocr.TensorRunner;
import io.github.edgeocr.litert.LiteRtRunner;
import java.util.Arrays;
import java.util.Random;
import org.junit.Test;

public final class LiteRtRunnerTest {
    private final TensorRunner.Factory factory = NativeRuntime.open();
    private final Bundle bundle = Bundle.open(NativeRuntime.tinyBundle());

    @Test
    public void portsAreThoseOfTheModel() {
        try (TensorRunner runner = open(bundle.det)) {
            for (Signature signature : bundle.det.signatures) {
                TensorPort input = runner.input(signature.name);
                assertArrayEquals(
                        new int[] {1, signature.height, signature.width, 3}, input.shape());
                assertTrue(input.scale > 0);
                assertEquals(4, runner.output(signature.name).shape().length);
            }
        }
    }

    /** Runs of other signatures in between, and runners beside it, change nothing. */
    @Test
    public void theSameInputGivesTheSameOutput() {
        try (TensorRunner runner = open(bundle.rec);
                TensorRunner other = open(bundle.rec)) {
            for (Signature signature : bundle.rec.signatures) {
                Tensor input = noise(runner.input(signature.name));
                byte[] first = runner.run(signature.name, input).bytes().clone();
                for (Signature between : bundle.rec.signatures) {
                    runner.run(between.name, noise(runner.input(between.name)));
                }
                assertArrayEquals(first, runner.run(signature.name, input).bytes());
                assertArrayEquals(first, other.run(signature.name, input).bytes());
            }
        }
    }

    @Test
    public void anUnknownSignatureIsRefused() {
        try (TensorRunner runner = open(bundle.cls)) {
            BundleException error =
                    assertThrows(BundleException.class, () -> runner.input("none"));
            assertTrue(error.getMessage(), error.getMessage().contains("cls.tflite"));
        }
    }

    @Test
    public void anInputOfAnotherTypeOrRankIsRefused() {
        String signature = bundle.cls.signatures.get(0).name;
        try (TensorRunner runner = open(bundle.cls)) {
            int[] shape = runner.input(signature).shape();
            int size = shape[1] * shape[2] * 3;
            Tensor flat = Tensor.int8(new byte[size], size);
            Tensor floats = Tensor.float32(new float[size], shape);
            for (Tensor input : Arrays.asList(flat, floats)) {
                assertThrows(
                        RuntimeUnavailableException.class, () -> runner.run(signature, input));
            }
        }
    }

    @Test
    public void whatIsNoModelIsRefused() {
        byte[] model = bundle.readModel(bundle.cls);
        byte[][] contents = {
            new byte[0], new byte[] {1, 2, 3}, new byte[4096],
            Arrays.copyOf(model, model.length / 2),
        };
        for (byte[] content : contents) {
            RuntimeUnavailableException error =
                    assertThrows(
                            RuntimeUnavailableException.class,
                            () -> factory.open(bundle.cls, content, 1));
            assertTrue(error.getMessage(), error.getMessage().contains("cls.tflite"));
        }
    }

    @Test
    public void aClosedRunnerRunsNoMore() {
        TensorRunner runner = open(bundle.cls);
        String signature = bundle.cls.signatures.get(0).name;
        Tensor input = noise(runner.input(signature));
        runner.close();
        runner.close();
        assertThrows(IllegalStateException.class, () -> runner.run(signature, input));
    }

    @Test
    public void missingLibrariesAreNamed() {
        assertMissing("/nonexistent/adapter.so", NativeRuntime.liteRt(), "/nonexistent/adapter.so");
        assertMissing(NativeRuntime.adapter(), "/nonexistent/libLiteRt.so", "libLiteRt.so");
        // A library, but another one.
        assertMissing(NativeRuntime.adapter(), NativeRuntime.adapter(), "LiteRt");
        NativeRuntime.open();
    }

    private static void assertMissing(String adapter, String liteRt, String said) {
        RuntimeUnavailableException error =
                assertThrows(
                        RuntimeUnavailableException.class,
                        () -> LiteRtRunner.load(adapter, liteRt));
        assertTrue(error.getMessage(), error.getMessage().contains(said));
    }

    private TensorRunner open(ModelFile model) {
        return factory.open(model, bundle.readModel(model), 1);
    }

    private static Tensor noise(TensorPort port) {
        int[] shape = port.shape();
        byte[] values = new byte[shape[1] * shape[2] * shape[3]];
        new Random(shape[2]).nextBytes(values);
        return Tensor.int8(values, shape);
    }
}
