package io.github.edgeocr;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;

import java.util.ArrayDeque;
import java.util.Queue;

/**
 * Networks that answer with the outputs that the Python SDK recorded, call by call. What they are
 * asked must be what was asked then: the same signatures, shapes and values in the same order.
 */
final class RecordedRunners implements TensorRunner.Factory {
    private final Golden vectors;
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
    }

    /** Nothing that was recorded is left. */
    boolean isUsedUp() {
        return detections.isEmpty() && judgements.isEmpty() && pieces.isEmpty();
    }

    @Override
    public TensorRunner open(ModelFile model, byte[] content, int threads) {
        if (model instanceof DetectionModel) {
            return new Runner("det", detections);
        }
        boolean classifies = model instanceof OrientationModel;
        return new Runner(classifies ? "cls" : "rec", classifies ? judgements : pieces);
    }

    private final class Runner implements TensorRunner {
        private final Golden ports;
        private final Queue<Golden> calls;

        Runner(String stage, Queue<Golden> calls) {
            ports = vectors.get("ports").get(stage);
            this.calls = calls;
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
            assertEquals(expected.get("sha256").text(), Golden.sha256(input));
            return call.get("output").tensor();
        }

        @Override
        public void close() {}
    }
}
