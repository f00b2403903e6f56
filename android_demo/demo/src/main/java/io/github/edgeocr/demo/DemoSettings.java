package io.github.edgeocr.demo;

import io.github.edgeocr.OcrOptions;
import io.github.edgeocr.OptionException;

/** What the user chose on the settings screen. Unchangeable. */
public final class DemoSettings {
    public static final int MOST_THREADS = 8;

    /** The bundle's own thresholds, on half of the processors and at most four. */
    public static DemoSettings recommended() {
        int threads = Math.max(1, Math.min(4, Runtime.getRuntime().availableProcessors() / 2));
        return new DemoSettings(threads, null, null, null);
    }

    /** Processors to use, 1 to {@link #MOST_THREADS}. */
    public final int threads;

    /** Probability above which a pixel is text; null for what the bundle recommends. */
    public final Float threshold;

    /** Mean probability below which a box is dropped; null for what the bundle recommends. */
    public final Float boxThreshold;

    /** Confidence below which a line is not shown; null for what the bundle recommends. */
    public final Float minScore;

    /**
     * @throws OptionException a value is outside of its range
     */
    public DemoSettings(int threads, Float threshold, Float boxThreshold, Float minScore) {
        if (threads < 1 || threads > MOST_THREADS) {
            throw new OptionException(
                    "threads is " + threads + "; it must be 1 to " + MOST_THREADS);
        }
        this.threads = threads;
        this.threshold = threshold;
        this.boxThreshold = boxThreshold;
        this.minScore = minScore;
        options();
    }

    /** The same as wishes for one call of the pipeline. */
    public OcrOptions options() {
        OcrOptions.Builder builder = new OcrOptions.Builder();
        if (threshold != null) {
            builder.setThreshold(threshold);
        }
        if (boxThreshold != null) {
            builder.setBoxThreshold(boxThreshold);
        }
        if (minScore != null) {
            builder.setMinScore(minScore);
        }
        return builder.build();
    }
}
