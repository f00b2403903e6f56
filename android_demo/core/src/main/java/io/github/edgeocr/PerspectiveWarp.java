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

    private static final int TAPS = 4;

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
        byte[] source = image.pixels();
        int lastColumn = image.width() - 1;
        int lastRow = image.height() - 1;
        int rowBytes = image.width() * BgrImage.CHANNELS;
        byte[] made = new byte[width * height * BgrImage.CHANNELS];
        float[] m = new float[toSource.matrix.length];
        for (int i = 0; i < m.length; i++) {
            m[i] = (float) toSource.matrix[i];
        }
        float[] weightsX = new float[TAPS];
        float[] weightsY = new float[TAPS];
        int[] columns = new int[TAPS];
        int[] rows = new int[TAPS];
        int at = 0;
        for (int y = 0; y < height; y++) {
            double alongX = m[1] * y + m[2];
            double alongY = m[4] * y + m[5];
            double depth = m[7] * y + m[8];
            for (int x = 0; x < width; x++) {
                double w = 1 / (depth + (double) m[6] * x);
                // Far outside of the image nothing changes any more, and integers overflow.
                float sourceX = clamp((alongX + (double) m[0] * x) * w, lastColumn);
                float sourceY = clamp((alongY + (double) m[3] * x) * w, lastRow);
                int column = (int) Math.floor(sourceX);
                int row = (int) Math.floor(sourceY);
                weigh(sourceX - column, weightsX);
                weigh(sourceY - row, weightsY);
                for (int k = 0; k < TAPS; k++) {
                    columns[k] = clamp(column - 1 + k, lastColumn) * BgrImage.CHANNELS;
                    rows[k] = clamp(row - 1 + k, lastRow) * rowBytes;
                }
                float blue = 0;
                float green = 0;
                float red = 0;
                for (int k = 0; k < TAPS; k++) {
                    int p0 = rows[k] + columns[0];
                    int p1 = rows[k] + columns[1];
                    int p2 = rows[k] + columns[2];
                    int p3 = rows[k] + columns[3];
                    float weight = weightsY[k];
                    blue = fused(row(source, p0, p1, p2, p3, 0, weightsX), weight, blue);
                    green = fused(row(source, p0, p1, p2, p3, 1, weightsX), weight, green);
                    red = fused(row(source, p0, p1, p2, p3, 2, weightsX), weight, red);
                }
                made[at] = rounded(blue);
                made[at + 1] = rounded(green);
                made[at + 2] = rounded(red);
                at += BgrImage.CHANNELS;
            }
        }
        return BgrImage.fromBgr(made, width, height);
    }

    private static float row(
            byte[] source, int p0, int p1, int p2, int p3, int channel, float[] weights) {
        float sum = weights[0] * (source[p0 + channel] & 255);
        sum = fused(source[p1 + channel] & 255, weights[1], sum);
        sum = fused(source[p2 + channel] & 255, weights[2], sum);
        return fused(source[p3 + channel] & 255, weights[3], sum);
    }

    /**
     * a * b + c, rounded once: the product of two floats is exact in a double, and the sum is off
     * only where it lies within 2^-29 of a float's last digit from the middle of two floats.
     */
    private static float fused(float a, float b, float c) {
        return (float) ((double) a * b + c);
    }

    /** Weights of the four pixels around a place that lies {@code f} behind the second of them. */
    private static void weigh(float f, float[] weights) {
        float rest = 1 - f;
        float square = f * f;
        weights[0] = A * (f * (rest * rest));
        weights[1] = fused(square, fused(A + 2, f, -(A + 3)), 1);
        weights[3] = A * (square * rest);
        weights[2] = 1 - weights[0] - weights[1] - weights[3];
    }

    private static byte rounded(float value) {
        int whole = (int) Math.rint(value);
        return (byte) (whole < 0 ? 0 : whole > 255 ? 255 : whole);
    }

    private static float clamp(double value, int last) {
        double low = -TAPS;
        double high = last + TAPS;
        return (float) (value > low ? (value < high ? value : high) : low); // NaN becomes low.
    }

    private static int clamp(int value, int last) {
        return value < 0 ? 0 : value > last ? last : value;
    }
}
