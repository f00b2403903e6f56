package io.github.edgeocr;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;

import java.util.ArrayDeque;
import java.util.Queue;

/**
 * Networks that answer with the outputs that the Python SDK recorded, call by call.
 *
 * <p>What they are asked must be what was asked then: the same signatures and shapes in the same
 * order, and the same values where the crop was copied. Behind a resampled crop, of which single
 * pixels may differ by one grey level, the mean must be the same to a tenth of a level of the input.
 */
final class RecordedRunners implements TensorRunner.Factory {
    private static final double RESAMPLED_MEAN_TOLERANCE = 0.1;

    private final Golden vectors;
    private final boolean allCopied;
    private final Queue<Golden> detections = new ArrayDeque<>();
    private final Queue<Golden> judgements = new ArrayDeque<>();
    private final Queue<Golden> pieces = new ArrayDeque<>();

    RecordedRunners(Golden vectors) {
        this.vectors = vectors;
        detections.add(vectors.get("detection"));
        for (int i = 0; i < vectors.get("orientation").size(); i++) {
            judgements.add(vectors.get("orientation").get(i));
        }
        for (int i = 0; i < vectors.get("recognition").size(); i++) {
            Golden line = vectors.get("recognition").get(i).get("pieces");
            for (int j = 0; j < line.size(); j++) {
                pieces.add(line.get(j));
            }
        }
        boolean copied = true;
        for (int i = 0; i < vectors.get("crops").size(); i++) {
            copied &= vectors.get("crops").get(i).get("copied").flag();
        }
        allCopied = copied;
    }

    /** Nothing that was recorded is left. */
    boolean isUsedUp() {
        return detections.isEmpty() && judgements.isEmpty() && pieces.isEmpty();
    }

    @Override
    public TensorRunner open(ModelFile model, byte[] content, int threads) {
        if (model instanceof DetectionModel) {
            return new Runner("det", detections, true);
        }
        boolean classifies = model instanceof OrientationModel;
        return new Runner(
                classifies ? "cls" : "rec", classifies ? judgements : pieces, allCopied);
    }

    private final class Runner implements TensorRunner {
        private final Golden ports;
        private final Queue<Golden> calls;
        private final boolean exact;

        Runner(String stage, Queue<Golden> calls, boolean exact) {
            ports = vectors.get("ports").get(stage);
            this.calls = calls;
            this.exact = exact;
        }

        @Override
        public TensorPort input(String signature) {
            return ports.get(signature).get("input").port();
        }

        @Override
        public TensorPort output(String signature) {
            return ports.get(signature).get("output").port();
        }

        @Override
        public Tensor run(String signature, Tensor input) {
            Golden call = calls.remove();
            if (call.has("signature")) {
                assertEquals(call.get("signature").text(), signature);
            }
            Golden expected = call.get("input");
            assertArrayEquals(expected.get("shape").wholes(), input.shape());
            if (exact) {
                assertEquals(expected.get("sha256").text(), Golden.sha256(input));
            } else {
                assertEquals(
                        expected.get("mean").number(), mean(input),
                        RESAMPLED_MEAN_TOLERANCE * levelOf(input(signature)));
            }
            return call.get("output").tensor();
        }

        /** What one grey level is at an input. */
        private double levelOf(TensorPort port) {
            return port.type == TensorType.INT8 ? 1 : 1 / 127.5;
        }

        @Override
        public void close() {}
    }

    private static double mean(Tensor tensor) {
        double sum = 0;
        int count = 1;
        for (int side : tensor.shape()) {
            count *= side;
        }
        for (int i = 0; i < count; i++) {
            sum += tensor.type() == TensorType.INT8 ? tensor.bytes()[i] : tensor.floats()[i];
        }
        return sum / count;
    }
}
