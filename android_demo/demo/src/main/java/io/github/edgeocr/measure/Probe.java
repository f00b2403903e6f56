package io.github.edgeocr.measure;

import io.github.edgeocr.BgrImage;
import io.github.edgeocr.Bundle;
import io.github.edgeocr.BundleFiles;
import io.github.edgeocr.LimitType;
import io.github.edgeocr.ModelFile;
import io.github.edgeocr.Ocr;
import io.github.edgeocr.OcrOptions;
import io.github.edgeocr.OcrResult;
import io.github.edgeocr.TextLine;
import io.github.edgeocr.measure.ProbePlan.PlannedBundle;
import io.github.edgeocr.measure.ProbePlan.PlannedImage;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TimeZone;

/**
 * Follows a plan and writes down what it measured: the device result of {@code edgeocr-bench},
 * schema 1, with every sample.
 */
public final class Probe {
    /** Told of every step. */
    public interface Progress {
        void onStep(String text);
    }

    private static final int SCHEMA = 1;
    private static final String[] SAMPLE_KEYS = {
        "load", "det.pre", "det.inference", "det.post", "crop", "cls.pre", "cls.inference",
        "cls.post", "rec.pre", "rec.inference", "rec.post", "total",
    };

    private final ProbePlan plan;
    private final Device device;
    private final Progress progress;
    private final long began = System.nanoTime();
    private final List<Object> states = new ArrayList<>();
    private int step;
    private int steps;

    public Probe(ProbePlan plan, Device device, Progress progress) {
        this.plan = plan;
        this.device = device;
        this.progress = progress;
    }

    /**
     * Measures; takes as long as the plan says.
     *
     * @return the text of a result.json
     * @throws io.github.edgeocr.EdgeOcrException the device can't follow the plan
     * @throws IOException a file of the plan can't be read
     * @throws InterruptedException the thread was interrupted between two reads
     */
    public String run() throws IOException, InterruptedException {
        int configurations = plan.threads.size() * plan.limitSides.size();
        int reads = (plan.warmUps + plan.rounds) * plan.images.size();
        int readings = plan.images.size() + plan.readOnce.size();
        int sustained = plan.sustainedSeconds > 0 ? 1 : 0;
        steps = plan.bundles.size() * (configurations * (reads + 1) + readings + sustained);

        note();
        List<Object> images = new ArrayList<>();
        for (PlannedImage image : plan.images) {
            images.add(describe(image));
        }
        for (PlannedImage image : plan.readOnce) {
            images.add(describe(image));
        }
        List<Bundle> bundles = new ArrayList<>();
        List<Object> described = new ArrayList<>();
        for (PlannedBundle planned : plan.bundles) {
            Bundle bundle = Bundle.open(device.bundle(planned.path));
            bundles.add(bundle);
            described.add(describe(planned, bundle));
        }
        List<Object> runs = new ArrayList<>();
        for (int threads : plan.threads) {
            for (Integer limitSide : plan.limitSides) {
                runs.add(run(threads, limitSide));
                note();
            }
        }
        List<Object> sustainedRuns = new ArrayList<>();
        List<Object> readingsOfAll = new ArrayList<>();
        int most = Collections.max(plan.threads);
        for (int i = 0; i < bundles.size(); i++) {
            String name = plan.bundles.get(i).name;
            try (Ocr ocr = Ocr.open(bundles.get(i), device.runtime(), most)) {
                if (plan.sustainedSeconds > 0) {
                    sustainedRuns.add(sustain(name, ocr, most));
                    note();
                }
                for (PlannedImage image : plan.images) {
                    readingsOfAll.add(reading(name, image, ocr));
                }
                for (PlannedImage image : plan.readOnce) {
                    readingsOfAll.add(reading(name, image, ocr));
                }
            }
        }
        note();

        Map<String, Object> result = new LinkedHashMap<>();
        result.put("created", now());
        result.put("command", Collections.emptyList());
        result.put("target", "");
        result.put("app", device.app());
        result.put("versions", device.versions());
        result.put("environment", device.environment());
        result.put("states", states);
        result.put("images", images);
        result.put("bundles", described);
        result.put("runs", runs);
        result.put("stages", Collections.emptyList());
        result.put("throughput", Collections.emptyList());
        result.put("sustained", sustainedRuns);
        result.put("readings", readingsOfAll);
        result.put("scores", Collections.emptyList());
        result.put("benchmark", "device");
        result.put("schema", SCHEMA);
        return JsonText.of(result);
    }

    private Map<String, Object> run(int threads, Integer limitSide)
            throws IOException, InterruptedException {
        double start = seconds();
        OcrOptions options = options(limitSide);
        String setting = threads + (threads == 1 ? " thread" : " threads");
        List<Contestant> contestants = new ArrayList<>();
        try {
            for (PlannedBundle planned : plan.bundles) {
                Contestant contestant = new Contestant(planned, threads, options);
                contestants.add(contestant);
                step(setting + ", " + planned.name + ": opened", contestant.firstMillis);
            }
            for (int i = 0; i < plan.warmUps; i++) {
                for (Contestant contestant : contestants) {
                    for (PlannedImage image : plan.images) {
                        double total = contestant.read(image, null);
                        contestant.warmUps.add(total);
                        step(setting + ", " + contestant.label(image) + ", warm-up", total);
                    }
                }
            }
            for (int round = 0; round < plan.rounds; round++) {
                for (PlannedImage image : plan.images) {
                    for (Contestant contestant : contestants) {
                        Thread.sleep(Math.round(plan.restSeconds * 1000));
                        double total = contestant.read(image, contestant.pages.get(image.name));
                        step(setting + ", " + contestant.label(image), total);
                    }
                }
                // Who began a round ends the next one.
                Collections.reverse(contestants);
            }
            if (plan.rounds % 2 == 1) {
                Collections.reverse(contestants);
            }
            Map<String, Object> run = new LinkedHashMap<>();
            run.put("threads", threads);
            run.put("limit_side", limitSide);
            run.put("cores", Collections.emptyList());
            run.put("began_s", start);
            run.put("ended_s", seconds());
            List<Object> bundles = new ArrayList<>();
            for (Contestant contestant : contestants) {
                bundles.add(contestant.document());
            }
            run.put("bundles", bundles);
            return run;
        } finally {
            for (Contestant contestant : contestants) {
                contestant.ocr.close();
            }
        }
    }

    /** One bundle in one run. */
    private final class Contestant {
        final Ocr ocr;
        final double firstMillis;
        final List<Object> warmUps = new ArrayList<>();
        final Map<String, PageSamples> pages = new LinkedHashMap<>();
        private final PlannedBundle planned;
        private final OcrOptions options;
        private final ShapeCounter shapes;
        private final List<Object> cold = new ArrayList<>();

        Contestant(PlannedBundle planned, int threads, OcrOptions options) throws IOException {
            this.planned = planned;
            this.options = options;
            long start = System.nanoTime();
            Bundle bundle = Bundle.open(device.bundle(planned.path));
            shapes = new ShapeCounter(device.runtime(), bundle);
            ocr = Ocr.open(bundle, shapes, threads);
            try {
                double loadMillis = millisSince(start);
                Long loaded = ProcessMemory.resident();
                firstMillis = read(plan.images.get(0), null);
                double textMillis = millisSince(start);
                warmUps.add(firstMillis);
                if (plan.coldStart) {
                    cold.add(coldStart(loadMillis, textMillis, loaded));
                }
            } catch (IOException | RuntimeException error) {
                ocr.close();
                throw error;
            }
            for (PlannedImage image : plan.images) {
                pages.put(image.name, new PageSamples());
            }
        }

        private Map<String, Object> coldStart(double loadMillis, double textMillis, Long loaded) {
            Long peak = ProcessMemory.peak();
            if (peak == null) {
                throw new MeasureException("the system does not tell the size of this process");
            }
            Map<String, Object> start = new LinkedHashMap<>();
            start.put("import_ms", null);
            start.put("load_ms", loadMillis);
            start.put("first_ms", firstMillis);
            start.put("start_to_text_ms", textMillis);
            start.put("loaded_bytes", loaded);
            start.put("peak_bytes", peak);
            start.put("pss_bytes", device.proportionalBytes());
            return start;
        }

        String label(PlannedImage image) {
            return image.name + ", " + planned.name;
        }

        /** Reads a page, and keeps its times where there is somewhere to keep them. */
        double read(PlannedImage image, PageSamples samples) throws IOException {
            shapes.take();
            Double usedBefore = device.processorMillis();
            long start = System.nanoTime();
            BgrImage pixels = device.image(image.path);
            double loadMillis = millisSince(start);
            OcrResult result = ocr.read(pixels, options);
            Map<String, Double> timings = result.getTimingsMillis();
            double total = loadMillis + timings.get("total");
            Double usedAfter = device.processorMillis();
            if (samples != null) {
                for (String key : SAMPLE_KEYS) {
                    double value =
                            key.equals("load") ? loadMillis
                                    : key.equals("total") ? total : timings.get(key);
                    samples.millis.get(key).add(value);
                }
                if (usedBefore != null && usedAfter != null) {
                    samples.processorMillis.add(usedAfter - usedBefore);
                }
                samples.lines = result.getLines().size();
                samples.shapes = shapes.take();
            }
            return total;
        }

        Map<String, Object> document() {
            List<Object> documents = new ArrayList<>();
            for (Map.Entry<String, PageSamples> page : pages.entrySet()) {
                Map<String, Object> document = new LinkedHashMap<>();
                document.put("image", page.getKey());
                document.put("lines", page.getValue().lines);
                document.put("shapes", page.getValue().shapes);
                document.put("ms", page.getValue().millis);
                document.put("cpu_ms", page.getValue().processorMillis);
                documents.add(document);
            }
            Map<String, Object> document = new LinkedHashMap<>();
            document.put("bundle", planned.name);
            document.put("warm_up_ms", warmUps);
            document.put("pages", documents);
            document.put("cold", cold);
            return document;
        }
    }

    private static final class PageSamples {
        int lines;
        Map<String, Object> shapes = Collections.emptyMap();
        final Map<String, List<Object>> millis = new LinkedHashMap<>();
        final List<Object> processorMillis = new ArrayList<>();

        PageSamples() {
            for (String key : SAMPLE_KEYS) {
                millis.put(key, new ArrayList<>());
            }
        }
    }

    private Map<String, Object> sustain(String bundle, Ocr ocr, int threads)
            throws IOException, InterruptedException {
        PlannedImage image = plan.images.get(0);
        List<Object> ends = new ArrayList<>();
        List<Object> millis = new ArrayList<>();
        double start = seconds();
        do {
            long readStart = System.nanoTime();
            ocr.read(device.image(image.path));
            millis.add(millisSince(readStart));
            ends.add(seconds() - start);
            if (Thread.interrupted()) {
                throw new InterruptedException();
            }
        } while (seconds() - start < plan.sustainedSeconds);
        double took = (seconds() - start) * 1e3;
        step("sustained, " + bundle + ": " + millis.size() + " reads", took);
        Map<String, Object> sustained = new LinkedHashMap<>();
        sustained.put("bundle", bundle);
        sustained.put("threads", threads);
        sustained.put("cores", Collections.emptyList());
        sustained.put("began_s", start);
        sustained.put("ended_s", seconds());
        sustained.put("image", image.name);
        sustained.put("at_s", ends);
        sustained.put("ms", millis);
        return sustained;
    }

    private Map<String, Object> reading(String bundle, PlannedImage image, Ocr ocr)
            throws IOException {
        long start = System.nanoTime();
        OcrResult result = ocr.read(device.image(image.path));
        List<Object> lines = new ArrayList<>();
        for (TextLine line : result.getLines()) {
            List<Object> points = new ArrayList<>();
            for (int corner = 0; corner < 4; corner++) {
                points.add(
                        Arrays.<Object>asList(
                                line.getCornerPoints().x(corner),
                                line.getCornerPoints().y(corner)));
            }
            Map<String, Object> document = new LinkedHashMap<>();
            document.put("text", line.getText());
            document.put("points", points);
            lines.add(document);
        }
        step(image.name + ", " + bundle + ": " + lines.size() + " lines", millisSince(start));
        Map<String, Object> reading = new LinkedHashMap<>();
        reading.put("bundle", bundle);
        reading.put("image", image.name);
        reading.put("lines", lines);
        return reading;
    }

    private Map<String, Object> describe(PlannedImage image) throws IOException {
        BgrImage pixels = device.image(image.path);
        Map<String, Object> described = new LinkedHashMap<>();
        described.put("name", image.name);
        described.put("width", pixels.width());
        described.put("height", pixels.height());
        described.put("sha256", sha256(device.file(image.path)));
        described.put("lines", image.lines);
        return described;
    }

    private Map<String, Object> describe(PlannedBundle planned, Bundle bundle) throws IOException {
        Map<String, Object> bytes = new LinkedHashMap<>();
        Map<String, Object> sums = new LinkedHashMap<>();
        ModelFile[] models = {bundle.det, bundle.cls, bundle.rec};
        String[] stages = {"det", "cls", "rec"};
        for (int i = 0; i < stages.length; i++) {
            bytes.put(stages[i], models[i].bytes);
            sums.put(stages[i], models[i].sha256);
        }
        bytes.put("charset", size(device.bundle(planned.path), bundle.rec.charsetFile));
        sums.put("charset", bundle.rec.charsetSha256);
        Map<String, Object> described = new LinkedHashMap<>();
        described.put("name", planned.name);
        described.put("bundle", bundle.name);
        described.put("version", bundle.version);
        described.put("precision", bundle.precision);
        described.put("bytes", bytes);
        described.put("sha256", sums);
        described.put("graphs", Collections.emptyList());
        return described;
    }

    private static int size(BundleFiles files, String name) throws IOException {
        int size = 0;
        try (InputStream stream = files.open(name)) {
            byte[] piece = new byte[8192];
            for (int read = stream.read(piece); read >= 0; read = stream.read(piece)) {
                size += read;
            }
        }
        return size;
    }

    private static OcrOptions options(Integer limitSide) {
        if (limitSide == null) {
            return OcrOptions.DEFAULT;
        }
        return new OcrOptions.Builder()
                .setLimitSide(limitSide)
                .setLimitType(LimitType.MAX)
                .build();
    }

    private void note() {
        Map<String, Object> state = new LinkedHashMap<>();
        state.put("at_s", seconds());
        state.put("facts", device.facts());
        states.add(state);
    }

    private void step(String text, double millis) {
        step++;
        progress.onStep(
                String.format(Locale.ROOT, "[%3d/%d] %s: %.1f ms", step, steps, text, millis));
    }

    private double seconds() {
        return (System.nanoTime() - began) / 1e9;
    }

    private static double millisSince(long start) {
        return (System.nanoTime() - start) / 1e6;
    }

    private static String now() {
        SimpleDateFormat format =
                new SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss'+00:00'", Locale.ROOT);
        format.setTimeZone(TimeZone.getTimeZone("UTC"));
        return format.format(new Date());
    }

    private static String sha256(byte[] content) {
        try {
            StringBuilder digits = new StringBuilder();
            for (byte part : MessageDigest.getInstance("SHA-256").digest(content)) {
                digits.append(String.format("%02x", part));
            }
            return digits.toString();
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException("every Java has SHA-256", error);
        }
    }
}
