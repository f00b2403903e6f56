package io.github.edgeocr;

/**
 * Resampling by a projective map: cubic, repeating the border of the image outside of it, bit for
 * bit as OpenCV 5 computes it.
 *
 * <p>Weights are those of the cubic convolution of R. Keys (1981) with a = -0.75. The map is
 * rounded to floats; places are computed in doubles along a row and are floats again; the products
 * of weights and pixels are added by fused multiply-adds of floats, along x, then along y. One grey
 * level in a few thousand would be another one without that, and now and then a character.
 */
final class PerspectiveWarp {
    private static final float A = -0.75f;
    /** In pixels; moves no 8-bit value by more than a fraction. */
    private static final double NEGLIGIBLE_SHIFT = 1e-4;

    /**
     * Grey levels from the middle between two of them at which the roundings of floats may decide;
     * sums of up to 350 are off by no more than 2e-4 in them. Elsewhere doubles are as good, and faster.
     */
    private static final double DOUBT = 1e-3;

    private static final int TAPS = 4;
    /** Pixels beyond a border from which on nothing changes any more. */
    private static final int BEYOND = TAPS;
    /** The 8-bit values as they are multiplied. */
    private static final double[] LEVELS = new double[256];

    static {
        for (int level = 0; level < LEVELS.length; level++) {
            LEVELS[level] = level;
        }
    }

    private PerspectiveWarp() {}

    /**
     * @param toSource from pixels of the result to pixels of the image
     */
    static BgrImage warp(BgrImage image, Projection toSource, int width, int height) {
        BgrImage copied = copied(image, toSource, width, height);
        return copied != null ? copied : resampled(image, toSource, width, height);
    }

    /**
     * The result where it is a copy of the image's pixels, as for most lines of an upright page:
     * where every pixel of the result falls on one of the image. Null elsewhere.
     */
    private static BgrImage copied(BgrImage image, Projection toSource, int width, int height) {
        double[] m = toSource.matrix;
        int longest = Math.max(width, height);
        if ((Math.abs(m[6]) + Math.abs(m[7])) * longest * BgrImage.MAX_SIDE > NEGLIGIBLE_SHIFT) {
            return null;
        }
        int[] whole = new int[6];
        for (int i = 0; i < whole.length; i++) {
            whole[i] = (int) Math.rint(m[i]);
            boolean isOffset = i % 3 == 2;
            if (Math.abs(m[i] - whole[i]) * (isOffset ? 1 : longest) > NEGLIGIBLE_SHIFT) {
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
        Window window = Window.of(image, toSource, width, height);
        byte[] source = window.pixels;
        int stride = window.stride;
        byte[] made = new byte[width * height * BgrImage.CHANNELS];
        float[] m = new float[toSource.matrix.length];
        for (int i = 0; i < m.length; i++) {
            m[i] = (float) toSource.matrix[i];
        }
        int at = 0;
        for (int y = 0; y < height; y++) {
            double alongX = m[1] * y + m[2];
            double alongY = m[4] * y + m[5];
            double depth = m[7] * y + m[8];
            for (int x = 0; x < width; x++) {
                double w = 1 / (depth + (double) m[6] * x);
                float sourceX = clamp((alongX + (double) m[0] * x) * w, image.width() - 1);
                float sourceY = clamp((alongY + (double) m[3] * x) * w, image.height() - 1);
                int column = (int) Math.floor(sourceX);
                int row = (int) Math.floor(sourceY);
                float right = sourceX - column;
                float down = sourceY - row;
                float x0 = outerWeight(right, 1 - right);
                float x1 = innerWeight(right);
                float x3 = A * (right * right * (1 - right));
                float x2 = 1 - x0 - x1 - x3;
                float y0 = outerWeight(down, 1 - down);
                float y1 = innerWeight(down);
                float y3 = A * (down * down * (1 - down));
                float y2 = 1 - y0 - y1 - y3;
                int from = window.index(column - 1, row - 1);
                for (int channel = 0; channel < BgrImage.CHANNELS; channel++, from++) {
                    double value = y0 * row(source, from, x0, x1, x2, x3)
                            + y1 * row(source, from + stride, x0, x1, x2, x3)
                            + y2 * row(source, from + 2 * stride, x0, x1, x2, x3)
                            + y3 * row(source, from + 3 * stride, x0, x1, x2, x3);
                    double distance = Math.abs(value - Math.rint(value));
                    if (distance > 0.5 - DOUBT) {
                        float sum = y0 * floatRow(source, from, x0, x1, x2, x3);
                        sum = fused(floatRow(source, from + stride, x0, x1, x2, x3), y1, sum);
                        sum = fused(floatRow(source, from + 2 * stride, x0, x1, x2, x3), y2, sum);
                        sum = fused(floatRow(source, from + 3 * stride, x0, x1, x2, x3), y3, sum);
                        value = sum;
                    }
                    made[at++] = rounded(value);
                }
            }
        }
        return BgrImage.fromBgr(made, width, height);
    }

    /** Four pixels of a row, weighted. */
    private static double row(
            byte[] source, int from, double w0, double w1, double w2, double w3) {
        return w0 * LEVELS[source[from] & 255]
                + w1 * LEVELS[source[from + 3] & 255]
                + w2 * LEVELS[source[from + 6] & 255]
                + w3 * LEVELS[source[from + 9] & 255];
    }

    /** The same, rounded to a float after every addition. */
    private static float floatRow(
            byte[] source, int from, double w0, double w1, double w2, double w3) {
        float sum = (float) (w0 * LEVELS[source[from] & 255]);
        sum = (float) (w1 * LEVELS[source[from + 3] & 255] + sum);
        sum = (float) (w2 * LEVELS[source[from + 6] & 255] + sum);
        return (float) (w3 * LEVELS[source[from + 9] & 255] + sum);
    }

    /**
     * a * b + c, rounded once: the product of two floats is exact in a double, and the sum is off
     * only where it lies within 2^-29 of a float's last digit from the middle of two floats.
     */
    private static float fused(double a, double b, double c) {
        return (float) (a * b + c);
    }

    /** Of the pixel before the two around a place that lies {@code f} behind the first of them. */
    private static float outerWeight(float f, float rest) {
        return A * (f * (rest * rest));
    }

    /** Of the first of the two pixels around a place that lies {@code f} behind it. */
    private static float innerWeight(float f) {
        return fused(f * f, fused(A + 2, f, -(A + 3)), 1);
    }

    /** The pixels that a crop is made of, with the image's border repeated around it. */
    private static final class Window {
        final byte[] pixels;
        final int stride;
        private final int left;
        private final int top;

        private Window(BgrImage image, int left, int top, int right, int bottom) {
            this.left = left;
            this.top = top;
            stride = (right - left + 1) * BgrImage.CHANNELS;
            pixels = new byte[stride * (bottom - top + 1)];
            int at = 0;
            for (int y = top; y <= bottom; y++) {
                int row = clamp(y, image.height() - 1) * image.width();
                for (int x = left; x <= right; x++) {
                    int from = (row + clamp(x, image.width() - 1)) * BgrImage.CHANNELS;
                    pixels[at++] = image.pixels()[from];
                    pixels[at++] = image.pixels()[from + 1];
                    pixels[at++] = image.pixels()[from + 2];
                }
            }
        }

        /** Around a crop's corners: all of a rectangle's image lies between those of its corners. */
        static Window of(BgrImage image, Projection toSource, int width, int height) {
            int right = image.width() - 1 + BEYOND;
            int bottom = image.height() - 1 + BEYOND;
            double[] corners = {0, 0, width - 1, 0, width - 1, height - 1, 0, height - 1};
            if (toSource.isFinite(corners)) {
                Quad seen = toSource.apply(corners);
                // One pixel for rounding, and the taps: one before a place, two behind it.
                return new Window(
                        image,
                        between(seen.left() - 2, right) - TAPS / 2,
                        between(seen.top() - 2, bottom) - TAPS / 2,
                        between(seen.right() + 2, right) + TAPS / 2,
                        between(seen.bottom() + 2, bottom) + TAPS / 2);
            }
            int taps = TAPS / 2;
            return new Window(image, -BEYOND - taps, -BEYOND - taps, right + taps, bottom + taps);
        }

        private static int between(float place, int last) {
            return (int) Math.max(-BEYOND, Math.min(Math.floor(place), last));
        }

        int index(int x, int y) {
            return (y - top) * stride + (x - left) * BgrImage.CHANNELS;
        }
    }

    private static byte rounded(double value) {
        int whole = (int) Math.rint(value);
        return (byte) (whole < 0 ? 0 : whole > 255 ? 255 : whole);
    }

    private static float clamp(double value, int last) {
        double low = -BEYOND;
        double high = last + BEYOND;
        return (float) (value > low ? (value < high ? value : high) : low); // NaN becomes low.
    }

    private static int clamp(int value, int last) {
        return value < 0 ? 0 : value > last ? last : value;
    }
}
