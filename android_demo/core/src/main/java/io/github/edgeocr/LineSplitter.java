package io.github.edgeocr;

import java.util.ArrayList;
import java.util.List;

/**
 * Cuts a line that is longer than its network's widest input where it has little ink.
 *
 * <p>Neighbouring pieces overlap, so that what stands beside a cut is read with its surroundings; a
 * character counts for the piece in whose own part its middle lies.
 */
final class LineSplitter {
    /** Of one line. One that is longer yet is squashed to as many: some 400 times its height. */
    private static final int MOST_PIECES = 16;

    // Weights of OpenCV's conversion to grey, in 15 bits.
    private static final int BLUE = 3735;
    private static final int GREEN = 19235;
    private static final int RED = 9798;
    private static final int GREY_BITS = 15;

    private final int height;
    private final int widest;
    private final int step;

    /**
     * @param height of the network's input
     * @param widest columns that the network takes at most
     * @param step columns per CTC step; pieces begin at whole steps
     */
    LineSplitter(int height, int widest, int step) {
        this.height = height;
        this.widest = widest;
        this.step = step;
    }

    /** Columns to which longer lines are squashed. */
    int mostColumns() {
        return MOST_PIECES * usualPiece();
    }

    /**
     * @param scaled to the network's height
     * @return from left to right; their own parts follow each other without a gap, and none is wider
     *     than the network takes
     */
    List<LineSpan> split(BgrImage scaled) {
        int columns = scaled.width();
        int count = (columns + usualPiece() - 1) / usualPiece();
        // However far a cut is moved within the slack, no piece outgrows its room, nor vanishes.
        double part = (double) columns / count;
        double slack = Math.max(0, Math.min((room() - 1 - part) / 2, part / 2 - 1));
        float[] ink = ink(scaled);
        int[] cuts = new int[count + 1];
        cuts[count] = columns;
        for (int i = 1; i < count; i++) {
            int low = (int) Math.ceil(i * part - slack);
            int high = Math.max(low, (int) Math.floor(i * part + slack));
            cuts[i] = low;
            for (int column = low + 1; column <= Math.min(high, columns - 1); column++) {
                if (ink[column] < ink[cuts[i]]) {
                    cuts[i] = column;
                }
            }
        }
        List<LineSpan> spans = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int begin = Math.max(0, cuts[i] - overlap()) / step * step;
            int end = Math.min(columns, cuts[i + 1] + overlap());
            spans.add(new LineSpan(begin, end, cuts[i], cuts[i + 1]));
        }
        return spans;
    }

    /** Half of a Chinese character's width, as far as the network is wide enough for that. */
    private int overlap() {
        return Math.min(height / 2, widest / 8);
    }

    /** Columns that a piece can own: its overlaps and the rounding of its begin go off. */
    private int room() {
        return widest - 2 * overlap() - step;
    }

    /** Columns that a piece owns on average; the rest of its room is for moving the cuts. */
    private int usualPiece() {
        return Math.min(Math.max(room() - 3 * height, room() / 2), room() - 2);
    }

    /** How much the columns vary from top to bottom, over a word gap's width. */
    private static float[] ink(BgrImage scaled) {
        int columns = scaled.width();
        float[] deviation = new float[columns];
        int[] grey = new int[scaled.height()];
        for (int x = 0; x < columns; x++) {
            float sum = 0;
            for (int y = 0; y < grey.length; y++) {
                grey[y] = grey(scaled, y * columns + x);
                sum += grey[y];
            }
            float mean = sum / grey.length;
            float squares = 0;
            for (int value : grey) {
                float difference = value - mean;
                squares += difference * difference;
            }
            deviation[x] = (float) Math.sqrt(squares / grey.length);
        }
        return mean(deviation, scaled.height() / 4 | 1);
    }

    private static int grey(BgrImage image, int pixel) {
        byte[] values = image.pixels();
        int at = pixel * BgrImage.CHANNELS;
        int weighted = (values[at] & 255) * BLUE
                + (values[at + 1] & 255) * GREEN
                + (values[at + 2] & 255) * RED;
        return weighted + (1 << (GREY_BITS - 1)) >> GREY_BITS;
    }

    /** Means over {@code window} neighbours, an odd number; the ends are repeated outside. */
    private static float[] mean(float[] values, int window) {
        float[] means = new float[values.length];
        int reach = window / 2;
        double sum = 0;
        for (int i = -reach; i < reach; i++) {
            sum += at(values, i);
        }
        for (int i = 0; i < values.length; i++) {
            sum += at(values, i + reach);
            means[i] = (float) (sum * (1.0 / window));
            sum -= at(values, i - reach);
        }
        return means;
    }

    private static float at(float[] values, int i) {
        return values[Math.max(0, Math.min(i, values.length - 1))];
    }
}
