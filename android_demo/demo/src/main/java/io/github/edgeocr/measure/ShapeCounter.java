package io.github.edgeocr.measure;

import io.github.edgeocr.Bundle;
import io.github.edgeocr.ModelFile;
import io.github.edgeocr.Tensor;
import io.github.edgeocr.TensorPort;
import io.github.edgeocr.TensorRunner;
import java.util.Map;
import java.util.TreeMap;

/** Opens runners that count the input shapes they are given: "rec 48x320", 17 times. */
final class ShapeCounter implements TensorRunner.Factory {
    private final TensorRunner.Factory factory;
    private final Bundle bundle;
    private final Map<String, Object> counts = new TreeMap<>();

    ShapeCounter(TensorRunner.Factory factory, Bundle bundle) {
        this.factory = factory;
        this.bundle = bundle;
    }

    /** The counts since the last call. */
    synchronized Map<String, Object> take() {
        Map<String, Object> taken = new TreeMap<>(counts);
        counts.clear();
        return taken;
    }

    private synchronized void count(String stage, int[] shape) {
        String key = stage + " " + shape[1] + "x" + shape[2];
        Object before = counts.get(key);
        counts.put(key, before == null ? 1L : (Long) before + 1);
    }

    @Override
    public TensorRunner open(ModelFile model, byte[] content, int threads) {
        String stage = model == bundle.det ? "det" : model == bundle.cls ? "cls" : "rec";
        return new CountingRunner(stage, factory.open(model, content, threads));
    }

    private final class CountingRunner implements TensorRunner {
        private final String stage;
        private final TensorRunner runner;

        CountingRunner(String stage, TensorRunner runner) {
            this.stage = stage;
            this.runner = runner;
        }

        @Override
        public TensorPort input(String signature) {
            return runner.input(signature);
        }

        @Override
        public TensorPort output(String signature) {
            return runner.output(signature);
        }

        @Override
        public Tensor run(String signature, Tensor input) {
            count(stage, input.shape());
            return runner.run(signature, input);
        }

        @Override
        public void close() {
            runner.close();
        }
    }
}
