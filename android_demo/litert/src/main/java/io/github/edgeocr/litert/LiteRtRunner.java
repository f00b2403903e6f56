package io.github.edgeocr.litert;

import io.github.edgeocr.BundleException;
import io.github.edgeocr.ModelFile;
import io.github.edgeocr.RuntimeUnavailableException;
import io.github.edgeocr.Tensor;
import io.github.edgeocr.TensorPort;
import io.github.edgeocr.TensorRunner;
import io.github.edgeocr.TensorType;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * Runs a model on the processor with LiteRT's native library, {@code libLiteRt.so}.
 *
 * <p>The same code serves a desktop JVM, where the library is the one of the Python wheel {@code
 * ai-edge-litert}, and a phone, where it is the one of the Maven package {@code
 * com.google.ai.edge.litert:litert}. Not for two threads at a time.
 */
public final class LiteRtRunner implements TensorRunner {
    private static final int MAX_RANK = 8;

    private final String file;
    private final Map<String, Signature> signatures = new HashMap<>();
    private long handle;

    private LiteRtRunner(String file, byte[] content, int threads) {
        this.file = file;
        handle = open(content, threads);
        String[] names = signatures(handle);
        for (int i = 0; i < names.length; i++) {
            signatures.put(names[i], new Signature(i));
        }
    }

    /**
     * Finds the libraries and makes the factory that {@code Ocr.open} wants.
     *
     * @param adapter path of the library that is built from litert_runner.c
     * @param liteRt path of libLiteRt.so, or its name alone where the system finds it
     * @throws RuntimeUnavailableException one of them is missing or of another kind
     */
    public static TensorRunner.Factory load(String adapter, String liteRt) {
        try {
            System.load(adapter);
        } catch (UnsatisfiedLinkError error) {
            throw new RuntimeUnavailableException(
                    adapter + " does not load: " + error.getMessage());
        }
        try {
            loadLibrary(liteRt);
        } catch (RuntimeUnavailableException error) {
            throw new RuntimeUnavailableException(liteRt + " does not load: " + error.getMessage());
        }
        return new Factory();
    }

    private static final class Factory implements TensorRunner.Factory {
        @Override
        public TensorRunner open(ModelFile model, byte[] content, int threads) {
            try {
                return new LiteRtRunner(model.file, content, threads);
            } catch (RuntimeUnavailableException error) {
                throw new RuntimeUnavailableException(model.file + ": " + error.getMessage());
            }
        }
    }

    private static final class Signature {
        final int index;
        TensorPort input;
        TensorPort output;
        int[] shape;

        Signature(int index) {
            this.index = index;
        }
    }

    @Override
    public TensorPort input(String signature) {
        return find(signature).input;
    }

    @Override
    public TensorPort output(String signature) {
        return find(signature).output;
    }

    @Override
    public Tensor run(String name, Tensor input) {
        Signature signature = find(name);
        int[] shape = input.shape();
        if (input.type() != signature.input.type
                || shape.length != signature.input.shape().length) {
            throw new RuntimeUnavailableException(
                    file + ": signature " + name + " takes another type or rank than "
                            + input.type() + " " + Arrays.toString(shape));
        }
        boolean resize = !Arrays.equals(shape, signature.shape);
        int[] padded = new int[MAX_RANK];
        Object values = input.type() == TensorType.INT8 ? input.bytes() : input.floats();
        try {
            Object output = run(handle, signature.index, values, shape, resize, padded);
            signature.shape = shape.clone();
            int[] made = Arrays.copyOf(padded, signature.output.shape().length);
            return output instanceof byte[]
                    ? Tensor.int8((byte[]) output, made)
                    : Tensor.float32((float[]) output, made);
        } catch (RuntimeUnavailableException error) {
            signature.shape = null;
            throw new RuntimeUnavailableException(file + ": " + error.getMessage());
        }
    }

    @Override
    public void close() {
        if (handle != 0) {
            close(handle);
            handle = 0;
        }
    }

    private Signature find(String name) {
        if (handle == 0) {
            throw new IllegalStateException(file + ": its runner was closed");
        }
        Signature signature = signatures.get(name);
        if (signature == null) {
            throw new BundleException(
                    file + " has no signature " + name + "; it has: " + signatures.keySet());
        }
        if (signature.input == null) {
            try {
                signature.output = port(handle, signature.index, false);
                signature.input = port(handle, signature.index, true);
            } catch (RuntimeUnavailableException error) {
                throw new BundleException(
                        file + ": signature " + name + ": " + error.getMessage());
            }
            signature.shape = signature.input.shape();
        }
        return signature;
    }

    /** Called by {@link #port}, which fills it from LiteRT's own structures. */
    private static TensorPort makePort(
            String name, boolean integers, int[] shape, float scale, int zeroPoint) {
        TensorType type = integers ? TensorType.INT8 : TensorType.FLOAT32;
        return new TensorPort(name, type, shape, scale, zeroPoint);
    }

    private static native void loadLibrary(String path);

    private static native long open(byte[] content, int threads);

    private static native void close(long handle);

    private static native String[] signatures(long handle);

    private static native TensorPort port(long handle, int signature, boolean input);

    private static native Object run(
            long handle, int signature, Object input, int[] inputShape, boolean resize,
            int[] outputShape);
}
