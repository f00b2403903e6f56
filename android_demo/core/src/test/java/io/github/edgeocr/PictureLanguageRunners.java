package io.github.edgeocr;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The networks of the bundle tests/golden/tiny-fp32, written out in Java: they read a picture
 * language in which a line of text is a red bar, a character a yellow stripe in one of its four rows,
 * and a space a stripe over all of them; a darker edge says where below is.
 *
 * <p>Their weights are worked out in tests/golden/make_tiny_bundle.py.
 */
final class PictureLanguageRunners implements TensorRunner.Factory {
    static final Bundle BUNDLE = Golden.bundle("tiny-fp32");

    private static final int STEP = 4;
    private static final int CLASSES = 6;
    private static final int BLUE = 0;
    private static final int GREEN = 1;
    private static final int RED = 2;

    /** Everything that was opened, to see that it was closed. */
    final List<Runner> opened = Collections.synchronizedList(new ArrayList<Runner>());
    /** What the next network to be opened or run throws; null for nothing. */
    volatile RuntimeException failure;

    @Override
    public TensorRunner open(ModelFile model, byte[] content, int threads) {
        fail();
        Runner runner = model instanceof DetectionModel
                ? new Detector(model)
                : model instanceof OrientationModel ? new Classifier(model) : new Recogniser(model);
        opened.add(runner);
        return runner;
    }

    private void fail() {
        if (failure != null) {
            throw failure;
        }
    }

    abstract class Runner implements TensorRunner {
        private final ModelFile model;
        boolean closed;
        int runs;

        Runner(ModelFile model) {
            this.model = model;
        }

        abstract int[] outputShape(int height, int width);

        abstract void compute(float[] pixels, int height, int width, float[] output);

        @Override
        public TensorPort input(String name) {
            Signature signature = signature(name);
            int[] shape = {1, signature.height, signature.width, 3};
            return new TensorPort("image", TensorType.FLOAT32, shape, 1, 0);
        }

        @Override
        public TensorPort output(String name) {
            Signature signature = signature(name);
            int[] shape = outputShape(signature.height, signature.width);
            return new TensorPort("scores", TensorType.FLOAT32, shape, 1, 0);
        }

        @Override
        public Tensor run(String name, Tensor input) {
            fail();
            if (closed) {
                throw new IllegalStateException("closed");
            }
            runs++;
            int height = input.side(1);
            int width = input.side(2);
            Tensor output = Tensor.zeros(TensorType.FLOAT32, outputShape(height, width));
            compute(input.floats(), height, width, output.floats());
            return output;
        }

        @Override
        public void close() {
            closed = true;
        }

        private Signature signature(String name) {
            for (Signature signature : model.signatures) {
                if (signature.name.equals(name)) {
                    return signature;
                }
            }
            throw new BundleException(model.file + " has no signature " + name);
        }
    }

    private final class Detector extends Runner {
        Detector(ModelFile model) {
            super(model);
        }

        @Override
        int[] outputShape(int height, int width) {
            return new int[] {1, height, width, 1};
        }

        @Override
        void compute(float[] pixels, int height, int width, float[] output) {
            for (int i = 0; i < output.length; i++) {
                output[i] = Math.max(0, 0.5f * pixels[3 * i + RED] - 0.5f * pixels[3 * i + BLUE]);
            }
        }
    }

    private final class Classifier extends Runner {
        Classifier(ModelFile model) {
            super(model);
        }

        @Override
        int[] outputShape(int height, int width) {
            return new int[] {1, 2};
        }

        @Override
        void compute(float[] pixels, int height, int width, float[] output) {
            float difference = 0;
            for (int i = 0; i < height * width; i++) {
                difference += (i < height / 2 * width ? 1 : -1) * pixels[3 * i + RED];
            }
            output[0] = 60 * difference / (height / 2 * width);
            output[1] = -output[0];
        }
    }

    private final class Recogniser extends Runner {
        Recogniser(ModelFile model) {
            super(model);
        }

        @Override
        int[] outputShape(int height, int width) {
            return new int[] {1, width / STEP, CLASSES};
        }

        @Override
        void compute(float[] pixels, int height, int width, float[] output) {
            int band = height / 4;
            for (int step = 0; step < width / STEP; step++) {
                float[] yellow = new float[4];
                for (int y = 0; y < height; y++) {
                    for (int x = step * STEP; x < (step + 1) * STEP; x++) {
                        int at = (y * width + x) * 3;
                        yellow[y / band] += (pixels[at + GREEN] - pixels[at + BLUE]) / (band * STEP);
                    }
                }
                float all = yellow[0] + yellow[1] + yellow[2] + yellow[3];
                for (int row = 0; row < 4; row++) {
                    // Its own band weighs 4, the other three -2.
                    output[step * CLASSES + 1 + row] = 6 * yellow[row] - 2 * all - 4;
                }
                output[step * CLASSES + 5] = 8 * all - 56;
            }
        }
    }
}
