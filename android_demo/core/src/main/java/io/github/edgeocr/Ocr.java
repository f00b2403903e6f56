package io.github.edgeocr;

import java.io.Closeable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadFactory;

/**
 * Reads text in images with the models of one bundle: detect, orient, recognise.
 *
 * <p>One object serves any number of threads at once: nothing that a call is given stays in it,
 * {@code threads} lines of all calls are read at a time, and the detector takes one image at a time.
 */
public final class Ocr implements Closeable {
    /**
     * Probability of "180" below which a line is read both ways, and the better reading is kept.
     * PP-OCR turns such lines unread; most of them stand upright.
     */
    private static final double CERTAINLY_UPSIDE_DOWN = 0.98;

    private static final int MAX_THREADS = 64;
    private static final double NANOS_PER_MILLI = 1e6;

    private final Bundle bundle;
    private final int threads;
    private final TextDetector detector;
    private final OrientationClassifier classifier;
    private final TextRecogniser recogniser;
    private final ExecutorService workers;

    private Ocr(
            Bundle bundle,
            int threads,
            TextDetector detector,
            OrientationClassifier classifier,
            TextRecogniser recogniser) {
        this.bundle = bundle;
        this.threads = threads;
        this.detector = detector;
        this.classifier = classifier;
        this.recogniser = recogniser;
        // The thread that calls works too.
        workers = Executors.newFixedThreadPool(
                Math.max(1, threads - 1),
                new ThreadFactory() {
                    @Override
                    public Thread newThread(Runnable work) {
                        Thread thread = new Thread(work, "edgeocr");
                        thread.setDaemon(true);
                        return thread;
                    }
                });
    }

    /**
     * Opens the models of a bundle.
     *
     * @param threads to use, 1 to 64: the detector computes with that many, and that many lines are
     *     read at the same time
     * @throws BundleException a model is not what the manifest states
     * @throws RuntimeUnavailableException the runtime is missing, or refuses a model
     * @throws OptionException {@code threads} is out of range
     */
    public static Ocr open(Bundle bundle, TensorRunner.Factory factory, int threads) {
        if (bundle == null) {
            throw new BundleException("the bundle is null; open one with Bundle.open");
        }
        if (factory == null) {
            throw new RuntimeUnavailableException("the factory of tensor runners is null");
        }
        if (threads < 1 || threads > MAX_THREADS) {
            throw new OptionException(
                    "threads is " + threads + "; it must be from 1 to " + MAX_THREADS);
        }
        TextDetector detector = new TextDetector(bundle, factory, threads);
        OrientationClassifier classifier = null;
        try {
            classifier = new OrientationClassifier(bundle, factory, threads);
            TextRecogniser recogniser = new TextRecogniser(bundle, factory, threads);
            return new Ocr(bundle, threads, detector, classifier, recogniser);
        } catch (RuntimeException error) {
            detector.close();
            if (classifier != null) {
                classifier.close();
            }
            throw error;
        }
    }

    /** Reads all text in an image with the bundle's recommendations; see the other method. */
    public OcrResult read(BgrImage image) {
        return read(image, OcrOptions.DEFAULT);
    }

    /**
     * Reads all text in an image.
     *
     * @return the lines in reading order; none for an image without text
     * @throws ImageException the image is null or exceeds a limit
     */
    public OcrResult read(BgrImage image, OcrOptions options) {
        check(image, options);
        StageTimes times = new StageTimes();
        long started = System.nanoTime();
        List<TextRegion> regions = inReadingOrder(image, options, times);
        long detected = System.nanoTime();
        List<TimedLine> readings = readRegions(image, regions, options, times);
        long finished = System.nanoTime();

        double minScore = options.minScore != null ? options.minScore : bundle.rec.minScore;
        List<TextLine> lines = new ArrayList<>();
        for (TimedLine reading : readings) {
            if (!options.recognise || reading.line.getConfidence() >= minScore) {
                lines.add(reading.line);
            }
        }
        Map<String, Double> timings = new LinkedHashMap<>();
        timings.put("detect", (detected - started) / NANOS_PER_MILLI);
        shareOut((finished - detected) / NANOS_PER_MILLI, readings, timings);
        times.put(StageTimes.DET, "det", timings);
        times.putShares(StageTimes.CLS, "cls", timings.get("orient"), timings);
        times.putShares(StageTimes.REC, "rec", timings.get("recognise"), timings);
        timings.put("total", (System.nanoTime() - started) / NANOS_PER_MILLI);
        return new OcrResult(lines, image.width(), image.height(), timings);
    }

    /**
     * Reads an image that is one line of text, cut out by the caller.
     *
     * @return the line, whatever its score; its corner points are those of the whole image
     * @throws ImageException the image is null or exceeds a limit
     */
    public TextLine readLine(BgrImage crop, OcrOptions options) {
        check(crop, options);
        TextRegion whole = new TextRegion(Quad.around(crop), 1);
        return readRegion(crop, whole, options, new StageTimes()).line;
    }

    /**
     * Finds the lines of an image without reading them.
     *
     * @return in reading order
     * @throws ImageException the image is null or exceeds a limit
     */
    public List<Quad> detect(BgrImage image, OcrOptions options) {
        check(image, options);
        return quads(inReadingOrder(image, options, new StageTimes()));
    }

    /** Runs the models once: they allocate their memory at the first run of every shape. */
    public void warmUp() {
        detector.warmUp();
        classifier.warmUp();
        recogniser.warmUp();
    }

    /** Waits for the calls under way, then closes the models; later calls fail. */
    @Override
    public void close() {
        workers.shutdown();
        detector.close();
        classifier.close();
        recogniser.close();
    }

    public Bundle bundle() {
        return bundle;
    }

    /** First stage; it and the next two can be run, and measured, step by step. */
    public TextDetector detector() {
        return detector;
    }

    /** Second stage. */
    public OrientationClassifier classifier() {
        return classifier;
    }

    /** Third stage. */
    public TextRecogniser recogniser() {
        return recogniser;
    }

    private void check(BgrImage image, OcrOptions options) {
        if (workers.isShutdown()) {
            throw new IllegalStateException("the engine was closed");
        }
        if (image == null) {
            throw new ImageException("the image is null");
        }
        if (options == null) {
            throw new OptionException("the options are null; give OcrOptions.DEFAULT");
        }
        if ((long) image.width() * image.height() > options.maxPixels) {
            throw new ImageException(
                    "the image has " + image.width() + " x " + image.height()
                            + " pixels, more than the limit of " + options.maxPixels
                            + "; shrink it or raise maxPixels");
        }
    }

    private List<TextRegion> inReadingOrder(
            BgrImage image, OcrOptions options, StageTimes times) {
        List<TextRegion> regions = detector.detect(image, options, times);
        List<TextRegion> ordered = new ArrayList<>(regions.size());
        for (int i : ReadingOrder.of(quads(regions))) {
            ordered.add(regions.get(i));
        }
        return ordered;
    }

    private static List<Quad> quads(List<TextRegion> regions) {
        List<Quad> quads = new ArrayList<>(regions.size());
        for (TextRegion region : regions) {
            quads.add(region.quad);
        }
        return quads;
    }

    private List<TimedLine> readRegions(
            final BgrImage image,
            final List<TextRegion> regions,
            final OcrOptions options,
            final StageTimes times) {
        final TimedLine[] lines = new TimedLine[regions.size()];
        if (threads == 1 || regions.size() < 2) {
            for (int i = 0; i < lines.length; i++) {
                lines[i] = readRegion(image, regions.get(i), options, times);
            }
            return Arrays.asList(lines);
        }
        final ConcurrentLinkedQueue<Integer> waiting =
                new ConcurrentLinkedQueue<>(longestFirst(regions));
        Callable<Void> work = new Callable<Void>() {
            @Override
            public Void call() {
                try {
                    for (Integer i = waiting.poll(); i != null; i = waiting.poll()) {
                        lines[i] = readRegion(image, regions.get(i), options, times);
                    }
                } catch (RuntimeException | Error error) {
                    waiting.clear(); // Nobody will see the lines that are left.
                    throw error;
                }
                return null;
            }
        };
        List<Future<Void>> others = new ArrayList<>();
        for (int i = 1; i < Math.min(threads, regions.size()); i++) {
            others.add(workers.submit(work));
        }
        try {
            work.call();
            for (Future<Void> other : others) {
                other.get();
            }
        } catch (ExecutionException error) {
            throw unwrapped(error.getCause());
        } catch (InterruptedException error) {
            waiting.clear();
            Thread.currentThread().interrupt();
            throw new EdgeOcrException("interrupted while lines were read", error);
        } catch (Exception error) {
            throw unwrapped(error);
        }
        return Arrays.asList(lines);
    }

    private static RuntimeException unwrapped(Throwable error) {
        if (error instanceof Error) {
            throw (Error) error;
        }
        return (RuntimeException) error; // The work declares no other.
    }

    /** Started last, one long line would keep one worker busy alone. */
    private static List<Integer> longestFirst(final List<TextRegion> regions) {
        List<Integer> indices = new ArrayList<>();
        for (int i = 0; i < regions.size(); i++) {
            indices.add(i);
        }
        Collections.sort(
                indices,
                new Comparator<Integer>() {
                    @Override
                    public int compare(Integer one, Integer other) {
                        return Float.compare(
                                length(regions.get(other).quad), length(regions.get(one).quad));
                    }
                });
        return indices;
    }

    private static float length(Quad quad) {
        return Math.max(quad.right() - quad.left(), quad.bottom() - quad.top());
    }

    /** Cuts, orients and recognises one line; its crop lives no longer than this call. */
    private TimedLine readRegion(
            BgrImage image, TextRegion region, OcrOptions options, StageTimes times) {
        if (!options.orient && !options.recognise) {
            return new TimedLine(textLine(region, null, false, null, options), 0, 0, 0);
        }
        long started = System.nanoTime();
        LineCrop crop = LineCrop.cut(image, region.quad);
        long cut = System.nanoTime();
        boolean upsideDown = false;
        boolean certain = true;
        if (options.orient) {
            Orientation orientation = classifier.classify(crop.pixels(), options, times);
            upsideDown = orientation.upsideDown;
            certain = !upsideDown || orientation.score >= CERTAINLY_UPSIDE_DOWN;
        }
        long oriented = System.nanoTime();
        Reading reading = null;
        if (options.recognise) {
            reading = recognise(crop, upsideDown, times);
            if (!certain) {
                Reading upright = recognise(crop, false, times);
                if (upright.score() > reading.score()) {
                    upsideDown = false;
                    reading = upright;
                }
            }
            if (LineCrop.mayBeSingleCharacter(region.quad)) {
                LineCrop standing = LineCrop.cutUpright(image, region.quad);
                Reading character = recognise(standing, false, times);
                if (character.characters().size() == 1 && character.score() > reading.score()) {
                    crop = standing;
                    upsideDown = false;
                    reading = character;
                }
            }
        }
        long finished = System.nanoTime();
        TextLine line = textLine(region, crop, upsideDown, reading, options);
        return new TimedLine(line, cut - started, oriented - cut, finished - oriented);
    }

    private Reading recognise(LineCrop crop, boolean upsideDown, StageTimes times) {
        BgrImage line = crop.pixels();
        return recogniser.recognise(upsideDown ? line.rotated(180) : line, times);
    }

    private static TextLine textLine(
            TextRegion region,
            LineCrop crop,
            boolean upsideDown,
            Reading reading,
            OcrOptions options) {
        List<TextSymbol> symbols = new ArrayList<>();
        if (options.characters && reading != null) {
            List<Quad> quads = CharacterQuads.of(reading, crop, upsideDown);
            for (int i = 0; i < quads.size(); i++) {
                symbols.add(
                        new TextSymbol(reading.characters().get(i), reading.score(i), quads.get(i)));
            }
        }
        return new TextLine(
                reading == null ? "" : reading.text(),
                reading == null ? 0 : reading.score(),
                region.quad,
                upsideDown ? 180 : 0,
                (float) region.score,
                symbols);
    }

    /** A line, and how long its stages took in nanoseconds. */
    private static final class TimedLine {
        final TextLine line;
        final long crop;
        final long orient;
        final long recognise;

        TimedLine(TextLine line, long crop, long orient, long recognise) {
            this.line = line;
            this.crop = crop;
            this.orient = orient;
            this.recognise = recognise;
        }
    }

    private static void shareOut(
            double totalMillis, List<TimedLine> lines, Map<String, Double> timings) {
        double crop = 0;
        double orient = 0;
        double recognise = 0;
        for (TimedLine line : lines) {
            crop += line.crop;
            orient += line.orient;
            recognise += line.recognise;
        }
        double spent = crop + orient + recognise;
        double scale = spent == 0 ? 0 : totalMillis / spent;
        timings.put("crop", crop * scale);
        timings.put("orient", orient * scale);
        timings.put("recognise", recognise * scale);
    }
}
