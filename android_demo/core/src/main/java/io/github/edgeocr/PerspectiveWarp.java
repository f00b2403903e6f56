package io.github.edgeocr;

/**
 * Resampling by a projective map: cubic at places rounded to 1/32 pixel, repeating the border of the
 * image outside of it, bit for bit as the Python SDK does it with OpenCV.
 *
 * <p>Weights are those of the cubic convolution of R. Keys (1981) with a = -0.75. At steps of 1/32
 * they are whole multiples of 2^-17, so that sums of weighted pixels are exact in integers. OpenCV
 * adds in floats, by fused multiply-adds along x, then along y; where that may round to the other
 * grey level, which is seldom, the sum is done again as OpenCV does it.
 */
final class PerspectiveWarp {
    private static final int TAPS = 4;
    /** Bytes of the pixels to be weighted. */
    private static final int AROUND = TAPS * TAPS * BgrImage.CHANNELS;

    private static final int STEP_BITS = 5;
    /** Places between two neighbouring pixels that are told apart. */
    private static final int STEPS = 1 << STEP_BITS;
    /** Pixels beyond a border from which on nothing changes any more. */
    private static final int BEYOND = 4;

    private static final int WEIGHT_BITS = 17;
    /** {@link #TAPS} weights for every step between two pixels, in units of 2^-17. */
    private static final int[] WEIGHTS = weights();

    /** Of a sum that is weighted along x and along y. */
    private static final int SUM_BITS = 2 * WEIGHT_BITS;

    private static final long HALF = 1L << (SUM_BITS - 1);
    /**
     * Distance from the middle of two grey levels at which floats may round to either: 1/1024. Their
     * eight roundings of sums of up to 350 are off by no more than 2e-4.
     */
    private static final long DOUBT = 1L << (SUM_BITS - 10);

    private static final long FRACTION = (1L << SUM_BITS) - 1;

    private PerspectiveWarp() {}

    /**
     * @param toSource from pixels of the result to pixels of the image
     */
    static BgrImage warp(BgrImage image, Projection toSource, int width, int height) {
        BgrImage copied = copied(image, toSource, width, height);
        return copied != null ? copied : resampled(image, toSource, width, height);
    }

    /**
     * The result where every pixel of it falls on one of the image, as for the lines of an upright
     * page. Null elsewhere.
     */
    private static BgrImage copied(BgrImage image, Projection toSource, int width, int height) {
        double[] m = toSource.matrix;
        if (m[6] != 0 || m[7] != 0 || m[8] != 1) {
            return null;
        }
        int[] whole = new int[6];
        for (int i = 0; i < whole.length; i++) {
            whole[i] = (int) m[i];
            if (whole[i] != m[i]) {
                return null;
            }
        }
        if (!isInside(image, whole, 0, 0)
                || !isInside(image, whole, width - 1, 0)
                || !isInside(image, whole, 0, height - 1)
                || !isInside(image, whole, width - 1, height - 1)) {
            return null;
        }
        int right = whole[0] + whole[3] * image.width();
        int down = whole[1] + whole[4] * image.width();
        return image.gathered(width, height, whole[2] + whole[5] * image.width(), right, down);
    }

    private static boolean isInside(BgrImage image, int[] m, int x, int y) {
        long sourceX = (long) m[0] * x + (long) m[1] * y + m[2];
        long sourceY = (long) m[3] * x + (long) m[4] * y + m[5];
        return 0 <= sourceX
                && sourceX < image.width()
                && 0 <= sourceY
                && sourceY < image.height();
    }

    private static BgrImage resampled(BgrImage image, Projection toSource, int width, int height) {
        byte[] made = new byte[width * height * BgrImage.CHANNELS];
        int[] columns = new int[width];
        int[] rows = new int[width];
        int[] corners = new int[width];
        byte[] around = null;
        for (int y = 0; y < height; y++) {
            place(toSource.matrix, y, image, columns, rows);
            int at = y * width * BgrImage.CHANNELS;
            if (locate(image, columns, rows, corners)) {
                resample(image.pixels(), image.width() * BgrImage.CHANNELS, corners, columns, rows,
                        made, at);
            } else {
                around = around != null ? around : new byte[width * AROUND];
                copyAround(image, columns, rows, corners, around);
                resample(around, TAPS * BgrImage.CHANNELS, corners, columns, rows, made, at);
            }
        }
        return BgrImage.fromBgr(made, width, height);
    }

    /** Works out where the pixels of row {@code y} come from, in steps. */
    private static void place(
            double[] matrix, int y, BgrImage image, int[] columns, int[] rows) {
        double a = matrix[0];
        double d = matrix[3];
        double g = matrix[6];
        double left = matrix[1] * y + matrix[2];
        double top = matrix[4] * y + matrix[5];
        double depth = matrix[7] * y + matrix[8];
        double right = (image.width() - 1 + BEYOND) * STEPS;
        double bottom = (image.height() - 1 + BEYOND) * STEPS;
        double x = 0; // Counted in doubles: the JVM makes a slow chain of conversions from integers.
        for (int i = 0; i < columns.length; i++, x++) {
            double steps = STEPS / (depth + g * x);
            columns[i] = wholeSteps((left + a * x) * steps, right);
            rows[i] = wholeSteps((top + d * x) * steps, bottom);
        }
    }

    /** Rounded half to even, within what changes anything; NaN becomes the low end. */
    private static int wholeSteps(double place, double last) {
        double low = -BEYOND * STEPS;
        return (int) Math.rint(place > low ? (place < last ? place : last) : low);
    }

    /**
     * Finds the pixels to be weighted.
     *
     * @param corners becomes the index of the upper left one for each place
     * @return whether all of them are inside of the image
     */
    private static boolean locate(BgrImage image, int[] columns, int[] rows, int[] corners) {
        int lastLeft = image.width() - TAPS;
        int lastTop = image.height() - TAPS;
        int room = 0; // Negative where there is none on any side of any place.
        for (int i = 0; i < corners.length; i++) {
            int left = (columns[i] >> STEP_BITS) - 1;
            int top = (rows[i] >> STEP_BITS) - 1;
            corners[i] = (top * image.width() + left) * BgrImage.CHANNELS;
            room |= left | top | lastLeft - left | lastTop - top;
        }
        return room >= 0;
    }

    /** Copies the pixels to be weighted, some of which lie outside of the image. */
    private static void copyAround(
            BgrImage image, int[] columns, int[] rows, int[] corners, byte[] around) {
        int at = 0;
        for (int i = 0; i < corners.length; i++) {
            int left = (columns[i] >> STEP_BITS) - 1;
            int top = (rows[i] >> STEP_BITS) - 1;
            corners[i] = at;
            for (int y = top; y < top + TAPS; y++) {
                int row = clamp(y, image.height() - 1) * image.width();
                for (int x = left; x < left + TAPS; x++, at += BgrImage.CHANNELS) {
                    int from = (row + clamp(x, image.width() - 1)) * BgrImage.CHANNELS;
                    System.arraycopy(image.pixels(), from, around, at, BgrImage.CHANNELS);
                }
            }
        }
    }

    /**
     * Makes a row, each pixel of 4 x 4.
     *
     * @param stride from a row to the next in {@code source}
     * @param corners for each place the index of the upper left pixel in {@code source}
     * @param at index of the first value in {@code made}
     */
    private static void resample(
            byte[] source,
            int stride,
            int[] corners,
            int[] columns,
            int[] rows,
            byte[] made,
            int at) {
        for (int i = 0; i < corners.length; i++) {
            int alongX = (columns[i] & STEPS - 1) * TAPS;
            int alongY = (rows[i] & STEPS - 1) * TAPS;
            int x0 = WEIGHTS[alongX];
            int x1 = WEIGHTS[alongX + 1];
            int x2 = WEIGHTS[alongX + 2];
            int x3 = WEIGHTS[alongX + 3];
            long y0 = WEIGHTS[alongY];
            long y1 = WEIGHTS[alongY + 1];
            long y2 = WEIGHTS[alongY + 2];
            long y3 = WEIGHTS[alongY + 3];
            int from = corners[i];
            for (int channel = 0; channel < BgrImage.CHANNELS; channel++, from++, at++) {
                long sum = y0 * row(source, from, x0, x1, x2, x3)
                        + y1 * row(source, from + stride, x0, x1, x2, x3)
                        + y2 * row(source, from + 2 * stride, x0, x1, x2, x3)
                        + y3 * row(source, from + 3 * stride, x0, x1, x2, x3);
                int level = (int) (sum + HALF >> SUM_BITS);
                if (Math.abs((sum & FRACTION) - HALF) <= DOUBT) {
                    level = levelInFloats(source, from, stride, alongX, alongY);
                }
                made[at] = (byte) clamp(level, 255);
            }
        }
    }

    /** Four pixels of a row, weighted. */
    private static int row(byte[] source, int from, int w0, int w1, int w2, int w3) {
        return w0 * (source[from] & 255)
                + w1 * (source[from + 3] & 255)
                + w2 * (source[from + 6] & 255)
                + w3 * (source[from + 9] & 255);
    }

    private static int levelInFloats(
            byte[] source, int from, int stride, int alongX, int alongY) {
        float sum = 0;
        for (int y = 0; y < TAPS; y++) {
            float row = 0;
            for (int x = 0; x < TAPS; x++) {
                int level = source[from + y * stride + x * BgrImage.CHANNELS] & 255;
                row = fused(weight(alongX + x), level, row);
            }
            sum = fused(weight(alongY + y), row, sum);
        }
        return (int) Math.rint(sum);
    }

    private static float weight(int index) {
        return (float) WEIGHTS[index] / (1 << WEIGHT_BITS);
    }

    /**
     * a * b + c, rounded once: the product of two floats is exact in a double, and the sum is off
     * only where it lies within 2^-29 of a float's last digit from the middle of two floats.
     */
    private static float fused(double a, double b, double c) {
        return (float) (a * b + c);
    }

    private static int clamp(int value, int last) {
        return value < 0 ? 0 : value > last ? last : value;
    }

    /** Of the pixel before a place, the two around it, and the one behind it. */
    private static int[] weights() {
        int[] weights = new int[STEPS * TAPS];
        for (int step = 0; step < STEPS; step++) {
            int rest = STEPS - step;
            weights[step * TAPS] = outerWeight(step, rest);
            weights[step * TAPS + 1] = innerWeight(step);
            weights[step * TAPS + 2] = innerWeight(rest);
            weights[step * TAPS + 3] = outerWeight(rest, step);
        }
        return weights;
    }

    /** -3/4 f (1 - f)^2 at f = near / 32, times 2^17. */
    private static int outerWeight(int near, int far) {
        return -3 * near * far * far;
    }

    /** 5/4 f^3 - 9/4 f^2 + 1 at f = step / 32, times 2^17. */
    private static int innerWeight(int step) {
        return (5 * step - 9 * STEPS) * step * step + 4 * STEPS * STEPS * STEPS;
    }
}
