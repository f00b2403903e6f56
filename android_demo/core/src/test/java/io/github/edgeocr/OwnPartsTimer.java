package io.github.edgeocr;

import java.io.File;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.List;

/**
 * Measures what the pipeline does by itself on one page, between the networks; run by
 * android_demo/core/measure_own_parts.py.
 */
public final class OwnPartsTimer {
    private static final double NANOS_PER_MILLI = 1e6;

    private static final String[] PARTS = {
        "det.prepare", "det.decode", "order", "crop", "cls.prepare", "cls.decode", "rec.prepare",
        "rec.decode"
    };

    private OwnPartsTimer() {}

    /**
     * Prints a JSON object: for every part its milliseconds of processor time, round by round.
     *
     * @param arguments the JSON file of recorded vectors, the image as PNG, the bundle's folder,
     *     rounds to warm up, rounds to measure
     */
    public static void main(String[] arguments) {
        Golden vectors = Golden.read(arguments[0]);
        BgrImage image = GoldenScene.png(new File(arguments[1]));
        Bundle bundle = Bundle.open(new FolderBundleFiles(new File(arguments[2])));
        int warmUps = Integer.parseInt(arguments[3]);
        int rounds = Integer.parseInt(arguments[4]);
        Tensor map = vectors.get("detection").get("output").tensor();
        List<Tensor> judgements = new ArrayList<>();
        for (Golden call : vectors.get("orientation").items()) {
            judgements.add(call.get("output").tensor());
        }
        List<List<Tensor>> outputs = new ArrayList<>();
        for (Golden call : vectors.get("recognition").items()) {
            List<Tensor> line = new ArrayList<>();
            for (Golden piece : call.get("pieces").items()) {
                line.add(piece.get("output").tensor());
            }
            outputs.add(line);
        }
        double[][] millis = new double[PARTS.length][rounds];
        try (Ocr ocr = Ocr.open(bundle, new RecordedRunners(vectors), 1)) {
            for (int round = -warmUps; round < rounds; round++) {
                double[] times = pass(ocr, image, map, judgements, outputs);
                for (int part = 0; round >= 0 && part < PARTS.length; part++) {
                    millis[part][round] = times[part];
                }
            }
        }
        StringBuilder json = new StringBuilder("{");
        for (int part = 0; part < PARTS.length; part++) {
            json.append(part == 0 ? "" : ", ").append('"').append(PARTS[part]).append("\": [");
            for (int round = 0; round < rounds; round++) {
                json.append(round == 0 ? "" : ", ").append(millis[part][round]);
            }
            json.append(']');
        }
        System.out.println(json.append('}'));
    }

    private static double[] pass(
            Ocr ocr,
            BgrImage image,
            Tensor map,
            List<Tensor> judgements,
            List<List<Tensor>> outputs) {
        OcrOptions options = OcrOptions.DEFAULT;
        long[] marks = new long[PARTS.length + 1];
        marks[0] = processorNanos();
        DetectorInput input = ocr.detector().prepare(image, options);
        marks[1] = processorNanos();
        List<TextRegion> regions = ocr.detector().decode(map, input, options);
        marks[2] = processorNanos();
        List<Quad> quads = new ArrayList<>();
        for (TextRegion region : regions) {
            quads.add(region.quad);
        }
        int[] order = ReadingOrder.of(quads);
        marks[3] = processorNanos();
        List<BgrImage> crops = new ArrayList<>();
        for (int i : order) {
            crops.add(LineCrop.cut(image, quads.get(i)).pixels());
        }
        marks[4] = processorNanos();
        for (BgrImage crop : crops) {
            ocr.classifier().prepare(crop);
        }
        marks[5] = processorNanos();
        for (Tensor judgement : judgements) {
            ocr.classifier().decode(judgement, options);
        }
        marks[6] = processorNanos();
        List<PreparedLine> lines = new ArrayList<>();
        for (BgrImage crop : crops) {
            lines.add(ocr.recogniser().prepare(crop));
        }
        marks[7] = processorNanos();
        for (int i = 0; i < lines.size(); i++) {
            ocr.recogniser().decode(outputs.get(i), lines.get(i));
        }
        marks[8] = processorNanos();
        double[] millis = new double[PARTS.length];
        for (int part = 0; part < PARTS.length; part++) {
            millis[part] = (marks[part + 1] - marks[part]) / NANOS_PER_MILLI;
        }
        return millis;
    }

    private static long processorNanos() {
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        return threads.getCurrentThreadCpuTime();
    }
}
