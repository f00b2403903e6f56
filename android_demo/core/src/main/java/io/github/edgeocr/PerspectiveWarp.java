package io.github.edgeocr;

/**
 * Resampling by a projective map: cubic, repeating the border of the image outside of it.
 *
 * <p>Weights are those of OpenCV's {@code INTER_CUBIC}, the cubic convolution of R. Keys (1981) with
 * a = -0.75, at the exact places of the pixels, as OpenCV 5 has it.
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
        double[] m = toSource.matrix;
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
                double w = 1 / (m[6] * x + depth);
                // Far outside of the image nothing changes any more, and integers overflow.
                double sourceX = clamp((m[0] * x + alongX) * w, -TAPS, lastColumn + TAPS);
                double sourceY = clamp((m[3] * x + alongY) * w, -TAPS, lastRow + TAPS);
                int column = (int) Math.floor(sourceX);
                int row = (int) Math.floor(sourceY);
                weigh((float) (sourceX - column), weightsX);
                weigh((float) (sourceY - row), weightsY);
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
                    blue += weight
                            * (weightsX[0] * (source[p0] & 255)
                                    + weightsX[1] * (source[p1] & 255)
                                    + weightsX[2] * (source[p2] & 255)
                                    + weightsX[3] * (source[p3] & 255));
                    green += weight
                            * (weightsX[0] * (source[p0 + 1] & 255)
                                    + weightsX[1] * (source[p1 + 1] & 255)
                                    + weightsX[2] * (source[p2 + 1] & 255)
                                    + weightsX[3] * (source[p3 + 1] & 255));
                    red += weight
                            * (weightsX[0] * (source[p0 + 2] & 255)
                                    + weightsX[1] * (source[p1 + 2] & 255)
                                    + weightsX[2] * (source[p2 + 2] & 255)
                                    + weightsX[3] * (source[p3 + 2] & 255));
                }
                made[at] = rounded(blue);
                made[at + 1] = rounded(green);
                made[at + 2] = rounded(red);
                at += BgrImage.CHANNELS;
            }
        }
        return BgrImage.fromBgr(made, width, height);
    }

    /** Weights of the four pixels around a place that lies {@code f} behind the second of them. */
    private static void weigh(float f, float[] weights) {
        float before = f + 1;
        float behind = 1 - f;
        weights[0] = ((A * before - 5 * A) * before + 8 * A) * before - 4 * A;
        weights[1] = ((A + 2) * f - (A + 3)) * f * f + 1;
        weights[2] = ((A + 2) * behind - (A + 3)) * behind * behind + 1;
        weights[3] = 1 - weights[0] - weights[1] - weights[2];
    }

    private static byte rounded(float value) {
        int whole = (int) Math.rint(value);
        return (byte) (whole < 0 ? 0 : whole > 255 ? 255 : whole);
    }

    private static double clamp(double value, double low, double high) {
        return value > low ? (value < high ? value : high) : low; // NaN becomes low.
    }

    private static int clamp(int value, int last) {
        return value < 0 ? 0 : value > last ? last : value;
    }
}
