package io.github.edgeocr;

import java.util.Collections;

/** Tells lines that stand upright from those that stand on their head; for any number of threads. */
public final class OrientationClassifier {
    /**
     * How much narrower than it is a line may be made. Letters squashed tenfold look the same from
     * either end; of a line too long for that, only the middle is judged.
     */
    private static final int MOST_SQUASH = 2;

    private final OrientationModel model;
    private final Signature bucket;
    private final RunnerPool networks;
    private final InputTable table;

    OrientationClassifier(Bundle bundle, TensorRunner.Factory factory, int workers) {
        model = bundle.cls;
        bucket = model.signatures.get(0);
        networks = new RunnerPool(bundle, model, factory, workers, 1, 2);
        table = networks.inputTables().get(bucket.name);
    }

    Orientation classify(BgrImage line, OcrOptions options, StageTimes times) {
        long began = System.nanoTime();
        Tensor input = prepare(line);
        long prepared = System.nanoTime();
        Tensor output = infer(input);
        long inferred = System.nanoTime();
        Orientation orientation = decode(output, options);
        times.add(StageTimes.CLS, began, prepared, inferred, System.nanoTime());
        return orientation;
    }

    /** (1, height, width, 3) of a line. */
    public Tensor prepare(BgrImage line) {
        int judged = MOST_SQUASH * line.height() * bucket.width / bucket.height;
        BgrImage middle = line;
        if (line.width() > judged) {
            int begin = (line.width() - judged) / 2;
            middle = line.columns(begin, begin + judged);
        }
        if (Math.ceil((double) bucket.height * middle.width() / middle.height()) > bucket.width) {
            middle = BilinearResize.resize(middle, bucket.width, bucket.height);
        }
        return NetworkInput.fit(
                        middle, bucket.height, bucket.width, table, InputTable.Padding.ZERO,
                        Double.POSITIVE_INFINITY)
                .tensor;
    }

    /** Runs the network: (1, 2) as the model emits it. */
    public Tensor infer(Tensor tensor) {
        return networks.run(bucket.name, tensor);
    }

    /** Turns a line only where the network is sure: most lines stand upright. */
    public Orientation decode(Tensor output, OcrOptions options) {
        TensorPort port = networks.output(bucket.name);
        double turned = real(output, 1, port);
        if (model.outputs == OutputKind.LOGITS) {
            turned = 1 / (1 + Math.exp(real(output, 0, port) - turned));
        }
        turned = Math.min(Math.max(turned, 0), 1);
        double threshold = options.orientationThreshold != null
                ? options.orientationThreshold
                : model.threshold;
        boolean upsideDown = turned >= threshold;
        return new Orientation(upsideDown, upsideDown ? turned : 1 - turned);
    }

    void warmUp() {
        networks.warmUp(Collections.singletonList(bucket));
    }

    void close() {
        networks.close();
    }

    private static double real(Tensor output, int i, TensorPort port) {
        if (output.type() == TensorType.FLOAT32) {
            return output.floats()[i];
        }
        return (output.bytes()[i] - port.zeroPoint) * (double) port.scale;
    }
}
