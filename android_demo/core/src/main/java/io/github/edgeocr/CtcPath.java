package io.github.edgeocr;

import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * Greedy decoding of a CTC recogniser's output: what a line reads, as runs of steps.
 *
 * <p>The best path of Graves et al. (ICML 2006): the likeliest class of every step, repeats merged,
 * blanks dropped. Quantized outputs are decoded as the integers that they are: argmax needs no
 * dequantization, and probabilities are worked out only for the steps that are kept. Of equal
 * classes the lowest wins, so a quantized blank wins its ties.
 */
final class CtcPath {
    private static final int BLANK = 0;

    // In each of the eight bytes of a long: its lowest bit, and its sign.
    private static final long ONES = 0x0101010101010101L;
    private static final long SIGNS = 0x80 * ONES;

    /** Steps of {@link #POWERS} in a unit of real logits. */
    private static final int POWER_STEPS = 64;
    /** Distance of a logit from the best one that counts no more: of 10,000 all add 1e-10. */
    private static final int FARTHEST = 32;
    /** exp(-distance), from 0 in steps. */
    private static final double[] POWERS = powers(1f / POWER_STEPS, FARTHEST * POWER_STEPS);

    /** Number of runs, none of them blank; the arrays may be longer. */
    int count;
    /** Class of each run; class i + 1 is character i of the charset. */
    int[] classes;
    /** Probability of the class at the first step of its run, in [0, 1]. */
    float[] scores;
    /** First step of each run. */
    int[] starts;
    /** Last step of each run, inclusive. */
    int[] ends;

    private CtcPath(int capacity) {
        classes = new int[capacity];
        scores = new float[capacity];
        starts = new int[capacity];
        ends = new int[capacity];
    }

    /**
     * Decodes one line.
     *
     * @param output (1, steps, classes), class 0 the blank
     * @param kind what its real values are
     */
    static CtcPath decode(Tensor output, TensorPort port, OutputKind kind) {
        int steps = output.side(1);
        int classCount = output.side(2);
        int[] best = new int[steps];
        boolean quantized = output.type() == TensorType.INT8;
        ByteBuffer integers = quantized ? ByteBuffer.wrap(output.bytes()) : null;
        for (int step = 0; step < steps; step++) {
            best[step] = integers != null
                    ? argmax(integers, step * classCount, classCount)
                    : argmax(output.floats(), step * classCount, classCount);
        }
        CtcPath path = new CtcPath(16);
        // Distances of int8 values fit 0..255: 256 exponentials serve all steps and classes.
        double[] powers = quantized ? powers(port.scale, 256) : null;
        for (int start = 0; start < steps; ) {
            int end = start;
            while (end + 1 < steps && best[end + 1] == best[start]) {
                end++;
            }
            if (best[start] != BLANK) {
                int row = start * classCount;
                double score = kind == OutputKind.PROBABILITIES
                        ? probability(output, row + best[start], port)
                        : softmaxOfBest(output, row, best[start], classCount, powers);
                path.add(best[start], (float) score, start, end);
            }
            start = end + 1;
        }
        return path;
    }

    private void add(int best, float score, int start, int end) {
        if (count == classes.length) {
            classes = Arrays.copyOf(classes, 2 * count);
            scores = Arrays.copyOf(scores, 2 * count);
            starts = Arrays.copyOf(starts, 2 * count);
            ends = Arrays.copyOf(ends, 2 * count);
        }
        classes[count] = best;
        scores[count] = score;
        starts[count] = start;
        ends[count] = end;
        count++;
    }

    private static int argmax(ByteBuffer values, int from, int count) {
        int end = from + count;
        int best = from;
        int largest = values.get(from);
        int i = from;
        // Eight at a time: one that is larger than all before is seldom among them.
        long beyond = beyond(largest);
        for (; i + 8 <= end; i += 8) {
            // Bytes from 0 to 255, of which the halves are compared apart: none overflows.
            long eight = values.getLong(i) ^ SIGNS;
            long sums = (eight & ~SIGNS) + beyond;
            if (((largest >= 0 ? sums & eight : sums | eight) & SIGNS) == 0) {
                continue;
            }
            for (int k = i; k < i + 8; k++) {
                if (values.get(k) > largest) {
                    largest = values.get(k);
                    best = k;
                }
            }
            beyond = beyond(largest);
        }
        for (; i < end; i++) {
            if (values.get(i) > largest) {
                largest = values.get(i);
                best = i;
            }
        }
        return best - from;
    }

    /** What makes the sign bit of the lower seven bits that exceed those of {@code value}. */
    private static long beyond(int value) {
        return (0x7f - (value & 0x7f)) * ONES;
    }

    private static int argmax(float[] values, int from, int count) {
        int best = from;
        float largest = values[from];
        for (int i = from + 1; i < from + count; i++) {
            if (values[i] > largest) {
                largest = values[i];
                best = i;
            }
        }
        return best - from;
    }

    private static double probability(Tensor output, int at, TensorPort port) {
        double real = output.type() == TensorType.INT8
                ? (output.bytes()[at] - port.zeroPoint) * (double) port.scale
                : output.floats()[at];
        return Math.min(Math.max(real, 0), 1);
    }

    private static double[] powers(float scale, int count) {
        double[] powers = new double[count];
        for (int distance = 0; distance < count; distance++) {
            powers[distance] = (float) Math.exp(-(double) scale * distance);
        }
        return powers;
    }

    /** exp(l_best) / Σ exp(l) = 1 / Σ exp(l - l_best), which cannot overflow. */
    private static double softmaxOfBest(
            Tensor output, int row, int best, int count, double[] powers) {
        double sum = output.type() == TensorType.INT8
                ? sumOfPowers(output.bytes(), row, row + count, row + best, powers)
                : sumOfPowers(output.floats(), row, row + count, row + best);
        return 1 / sum;
    }

    /**
     * Of real distances: the nearest power of the table, and two terms of the series for what is left
     * to it, good to 2e-7. {@code Math.exp} of every class takes longer than all else here.
     */
    private static double sumOfPowers(float[] logits, int from, int to, int best) {
        float largest = logits[best];
        double sum = 0;
        for (int i = from; i < to; i++) {
            double distance = (double) (largest - logits[i]) * POWER_STEPS;
            // No integer becomes a double here: the JVM makes a slow chain of such conversions.
            double nearest = Math.rint(distance);
            int step = (int) nearest;
            if (step < POWERS.length) {
                double rest = (nearest - distance) / POWER_STEPS;
                sum += POWERS[step] * (1 + rest + rest * rest / 2);
            }
        }
        return sum;
    }

    /** Four sums: a processor that waits for one addition can begin three more. */
    private static double sumOfPowers(byte[] logits, int from, int to, int best, double[] powers) {
        int largest = logits[best];
        double sum0 = 0;
        double sum1 = 0;
        double sum2 = 0;
        double sum3 = 0;
        int i = from;
        for (; i + 4 <= to; i += 4) {
            sum0 += powers[largest - logits[i]];
            sum1 += powers[largest - logits[i + 1]];
            sum2 += powers[largest - logits[i + 2]];
            sum3 += powers[largest - logits[i + 3]];
        }
        for (; i < to; i++) {
            sum0 += powers[largest - logits[i]];
        }
        return sum0 + sum1 + (sum2 + sum3);
    }
}
