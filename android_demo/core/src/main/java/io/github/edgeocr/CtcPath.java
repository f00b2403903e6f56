package io.github.edgeocr;

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
        for (int step = 0; step < steps; step++) {
            best[step] = output.type() == TensorType.INT8
                    ? argmax(output.bytes(), step * classCount, classCount)
                    : argmax(output.floats(), step * classCount, classCount);
        }
        CtcPath path = new CtcPath(16);
        float[] powers = output.type() == TensorType.INT8 ? powers(port.scale) : null;
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

    private static int argmax(byte[] values, int from, int count) {
        int best = from;
        byte largest = values[from];
        for (int i = from + 1; i < from + count; i++) {
            if (values[i] > largest) {
                largest = values[i];
                best = i;
            }
        }
        return best - from;
    }

    private static int argmax(float[] values, int from, int count) {
        int best = from;
        for (int i = from + 1; i < from + count; i++) {
            if (values[i] > values[best]) {
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

    /** Distances of int8 values fit 0..255: 256 exponentials serve all steps and classes. */
    private static float[] powers(float scale) {
        float[] powers = new float[256];
        for (int distance = 0; distance < powers.length; distance++) {
            powers[distance] = (float) Math.exp(-(double) scale * distance);
        }
        return powers;
    }

    /** exp(l_best) / Σ exp(l) = 1 / Σ exp(l - l_best), which cannot overflow. */
    private static double softmaxOfBest(
            Tensor output, int row, int best, int count, float[] powers) {
        double sum = 0;
        if (output.type() == TensorType.INT8) {
            byte[] logits = output.bytes();
            int largest = logits[row + best];
            for (int i = row; i < row + count; i++) {
                sum += powers[largest - logits[i]];
            }
        } else {
            float[] logits = output.floats();
            float largest = logits[row + best];
            for (int i = row; i < row + count; i++) {
                sum += Math.exp(logits[i] - largest);
            }
        }
        return 1 / sum;
    }
}
