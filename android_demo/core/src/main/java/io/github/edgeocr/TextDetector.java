package io.github.edgeocr;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Finds the lines of text in an image: {@code decode(infer(prepare(image)))}, for any number of
 * threads, which take turns on one interpreter.
 */
public final class TextDetector {
    /** Boxes are dropped whose width or height is not larger, in image pixels (PP-OCR). */
    private static final int SMALLEST_SIDE = 3;
    // Images lower than this, or wider against their height, are single lines cut closely.
    private static final int FLAT_HEIGHT = 30;
    private static final int FLAT_RATIO = 8;
    /** Working memory of a large shape is the largest part of the whole process. */
    private static final int WARM_SIGNATURES = 2;

    private final DetectionModel model;
    private final RunnerPool networks;
    private final Map<String, InputTable> tables;

    TextDetector(Bundle bundle, TensorRunner.Factory factory, int threads) {
        model = bundle.det;
        networks = new RunnerPool(bundle, model, factory, 1, threads, 4);
        tables = networks.inputTables();
    }

    /** The lines of an image, in no particular order. */
    List<TextRegion> detect(BgrImage image, OcrOptions options, StageTimes times) {
        long began = System.nanoTime();
        DetectorInput input = prepare(image, options);
        long prepared = System.nanoTime();
        Tensor output = infer(input);
        long inferred = System.nanoTime();
        List<TextRegion> regions = decode(output, input, options);
        times.add(StageTimes.DET, began, prepared, inferred, System.nanoTime());
        return regions;
    }

    /** Chooses the shape, resizes, normalises and quantizes. */
    public DetectorInput prepare(BgrImage image, OcrOptions options) {
        int top = margin(image.width(), image.height());
        BgrImage padded = top == 0 ? image : image.withRows(top, top);
        double wanted =
                DetectorShape.wantedScale(
                        padded.height(),
                        padded.width(),
                        options.limitSide != null ? options.limitSide : model.limitSide,
                        options.limitType != null ? options.limitType : model.limitType,
                        model.maxSide);
        Signature shape = DetectorShape.choose(padded.height(), padded.width(), wanted, model);
        InputTable table = tables.get(shape.name);
        NetworkInput shown =
                model.isFree()
                        ? NetworkInput.stretch(padded, shape.height, shape.width, table)
                        : NetworkInput.fit(
                                padded, shape.height, shape.width, table,
                                InputTable.Padding.BLACK, wanted);
        return new DetectorInput(shown, shape.name, top, image.width(), image.height());
    }

    /** Runs the network: (1, height, width, 1) text probabilities as the model emits them. */
    public Tensor infer(DetectorInput prepared) {
        return networks.run(prepared.signature, prepared.tensor);
    }

    /** Turns the map into regions: in image pixels, within the image, none tiny. */
    public List<TextRegion> decode(Tensor output, DetectorInput prepared, OcrOptions options) {
        ProbabilityMap map =
                ProbabilityMap.of(output, networks.output(prepared.signature))
                        .enlarged(prepared.tensor.side(2), prepared.tensor.side(1));
        // What was padded is no text.
        int rows = (int) Math.ceil((prepared.height + 2 * prepared.top) * prepared.scaleY);
        int columns = (int) Math.ceil(prepared.width * prepared.scaleX);
        List<TextRegion> regions = new ArrayList<>();
        for (DbBoxes.Box box : DbBoxes.decode(map.part(columns, rows), parameters(options))) {
            Quad quad = onImage(box.corners, prepared);
            // At the border of the image clipping may leave a sliver.
            if (Math.min(quad.width(), quad.height()) > SMALLEST_SIDE
                    && quad.area() >= SMALLEST_SIDE) {
                regions.add(new TextRegion(quad, box.score));
            }
        }
        return regions;
    }

    void warmUp() {
        List<Signature> buckets = model.signatures;
        networks.warmUp(buckets.subList(0, Math.min(WARM_SIGNATURES, buckets.size())));
    }

    void close() {
        networks.close();
    }

    /** Rows to add above and below a flat image, as RapidOCR does: its text has no margins. */
    private static int margin(int width, int height) {
        if (height > FLAT_HEIGHT && width <= FLAT_RATIO * height) {
            return 0;
        }
        return Math.max(width / FLAT_RATIO, FLAT_HEIGHT) - height / 2;
    }

    /** On whole pixels as in PP-OCR: an upright line is then cut as it is, not resampled. */
    private static Quad onImage(float[] corners, DetectorInput prepared) {
        float[] points = new float[corners.length];
        for (int i = 0; i < corners.length; i += 2) {
            double x = Math.rint(corners[i] / prepared.scaleX);
            double y = Math.rint(corners[i + 1] / prepared.scaleY - prepared.top);
            points[i] = (float) Math.max(0, Math.min(x, prepared.width - 1));
            points[i + 1] = (float) Math.max(0, Math.min(y, prepared.height - 1));
        }
        return new Quad(points);
    }

    private DbBoxes.Parameters parameters(OcrOptions options) {
        return new DbBoxes.Parameters(
                options.threshold != null ? options.threshold : model.threshold,
                options.boxThreshold != null ? options.boxThreshold : model.boxThreshold,
                options.unclipRatio != null ? options.unclipRatio : model.unclipRatio,
                options.maxCandidates != null ? options.maxCandidates : model.maxCandidates,
                options.dilation != null ? options.dilation : model.dilation,
                options.scoreMode != null ? options.scoreMode : model.scoreMode);
    }
}
