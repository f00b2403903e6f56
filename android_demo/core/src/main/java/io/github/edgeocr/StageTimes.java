package io.github.edgeocr;

import java.util.Map;
import java.util.concurrent.atomic.AtomicLongArray;

/** How long the parts of every stage took in one call; lines add to it from several threads. */
final class StageTimes {
    static final int DET = 0;
    static final int CLS = 1;
    static final int REC = 2;

    private static final String[] PARTS = {"pre", "inference", "post"};
    private static final double NANOS_PER_MILLI = 1e6;

    private final AtomicLongArray nanos = new AtomicLongArray(3 * PARTS.length);

    /** One pass of a stage: when it began, was prepared, was inferred and was decoded. */
    void add(int stage, long began, long prepared, long inferred, long decoded) {
        nanos.addAndGet(stage * PARTS.length, prepared - began);
        nanos.addAndGet(stage * PARTS.length + 1, inferred - prepared);
        nanos.addAndGet(stage * PARTS.length + 2, decoded - inferred);
    }

    /** Puts "name.pre", "name.inference" and "name.post" in milliseconds. */
    void put(int stage, String name, Map<String, Double> timings) {
        for (int part = 0; part < PARTS.length; part++) {
            timings.put(name + "." + PARTS[part], nanos(stage, part) / NANOS_PER_MILLI);
        }
    }

    /** The same, as shares of a wall time in which several threads spent theirs. */
    void putShares(int stage, String name, double millis, Map<String, Double> timings) {
        double spent = nanos(stage, 0) + nanos(stage, 1) + nanos(stage, 2);
        for (int part = 0; part < PARTS.length; part++) {
            double share = spent == 0 ? 0 : nanos(stage, part) / spent;
            timings.put(name + "." + PARTS[part], share * millis);
        }
    }

    private double nanos(int stage, int part) {
        return nanos.get(stage * PARTS.length + part);
    }
}
