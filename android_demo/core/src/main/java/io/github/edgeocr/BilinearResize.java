package io.github.edgeocr;

/**
 * Bilinear resizing, bit for bit as OpenCV's {@code resize} computes it on 8-bit images.
 *
 * <p>Weights have 11 bits. A row is weighted along x at full precision; two of such rows are
 * weighted along y with four bits less, each product cut to 16 bits before they are added.
 */
final class BilinearResize {
    /** Takes the rows of a resized image, from top to bottom. */
    interface RowSink {
        /** @param row valid until the call returns */
        void accept(int y, byte[] row);
    }

    private static final int WEIGHT_BITS = 11;
    private static final float WEIGHT_ONE = 1 << WEIGHT_BITS;

    private BilinearResize() {}

    /** The image in another size. */
    static BgrImage resize(BgrImage image, int width, int height) {
        final int rowBytes = width * BgrImage.CHANNELS;
        final byte[] resized = new byte[rowBytes * height];
        resize(
                image.pixels(), image.width(), image.height(), BgrImage.CHANNELS, width, height,
                new RowSink() {
                    @Override
                    public void accept(int y, byte[] row) {
                        System.arraycopy(row, 0, resized, y * rowBytes, rowBytes);
                    }
                });
        return BgrImage.fromBgr(resized, width, height);
    }

    /**
     * Resizes unsigned bytes.
     *
     * @param source rows without gaps
     * @param channels interleaved values of a pixel
     */
    static void resize(
            byte[] source,
            int sourceWidth,
            int sourceHeight,
            int channels,
            int width,
            int height,
            RowSink sink) {
        Axis xs = Axis.clamped(sourceWidth, width);
        Axis ys = Axis.free(sourceHeight, height);
        int rowLength = width * channels;
        int[] upper = new int[rowLength];
        int[] lower = new int[rowLength];
        int upperRow = -1;
        int lowerRow = -1;
        byte[] made = new byte[rowLength];
        for (int y = 0; y < height; y++) {
            int first = ys.first[y];
            int second = ys.second[y];
            // Rows that the one before has weighted along x already are used again.
            if (first == lowerRow && first != upperRow) {
                int[] swapped = upper;
                upper = lower;
                lower = swapped;
                lowerRow = upperRow;
                upperRow = first;
            }
            if (first != upperRow) {
                weighAlongX(source, first * sourceWidth * channels, channels, xs, upper);
                upperRow = first;
            }
            int[] below = upper;
            if (second != first) {
                if (second != lowerRow) {
                    weighAlongX(source, second * sourceWidth * channels, channels, xs, lower);
                    lowerRow = second;
                }
                below = lower;
            }
            weighAlongY(upper, below, ys.firstWeight[y], ys.secondWeight[y], made);
            sink.accept(y, made);
        }
    }

    private static void weighAlongX(byte[] source, int row, int channels, Axis xs, int[] made) {
        int width = xs.first.length;
        if (channels == BgrImage.CHANNELS) {
            for (int x = 0, at = 0; x < width; x++, at += BgrImage.CHANNELS) {
                int left = row + xs.first[x] * BgrImage.CHANNELS;
                int right = row + xs.second[x] * BgrImage.CHANNELS;
                int leftWeight = xs.firstWeight[x];
                int rightWeight = xs.secondWeight[x];
                made[at] =
                        (source[left] & 255) * leftWeight + (source[right] & 255) * rightWeight;
                made[at + 1] =
                        (source[left + 1] & 255) * leftWeight
                                + (source[right + 1] & 255) * rightWeight;
                made[at + 2] =
                        (source[left + 2] & 255) * leftWeight
                                + (source[right + 2] & 255) * rightWeight;
            }
            return;
        }
        for (int x = 0; x < width; x++) {
            for (int channel = 0; channel < channels; channel++) {
                int left = source[row + xs.first[x] * channels + channel] & 255;
                int right = source[row + xs.second[x] * channels + channel] & 255;
                made[x * channels + channel] = left * xs.firstWeight[x] + right * xs.secondWeight[x];
            }
        }
    }

    private static void weighAlongY(
            int[] upper, int[] lower, int upperWeight, int lowerWeight, byte[] made) {
        for (int i = 0; i < made.length; i++) {
            int sum =
                    ((upper[i] >> 4) * upperWeight >> 16) + ((lower[i] >> 4) * lowerWeight >> 16);
            made[i] = (byte) (sum + 2 >> 2);
        }
    }

    /** Resizes one channel of floats. */
    static float[] resize(
            float[] source, int sourceWidth, int sourceHeight, int width, int height) {
        Axis xs = Axis.clamped(sourceWidth, width);
        Axis ys = Axis.free(sourceHeight, height);
        float[] made = new float[width * height];
        for (int y = 0; y < height; y++) {
            int upper = ys.first[y] * sourceWidth;
            int lower = ys.second[y] * sourceWidth;
            for (int x = 0; x < width; x++) {
                float right = xs.fraction[x];
                float left = 1 - right;
                float above =
                        source[upper + xs.first[x]] * left + source[upper + xs.second[x]] * right;
                float below =
                        source[lower + xs.first[x]] * left + source[lower + xs.second[x]] * right;
                made[y * width + x] = above * (1 - ys.fraction[y]) + below * ys.fraction[y];
            }
        }
        return made;
    }

    /** For every place along one axis of the result: two places of the source, and weights. */
    private static final class Axis {
        final int[] first;
        final int[] second;
        final int[] firstWeight;
        final int[] secondWeight;
        final float[] fraction;

        private Axis(int sourceSide, int side, boolean clampsWeights) {
            first = new int[side];
            second = new int[side];
            firstWeight = new int[side];
            secondWeight = new int[side];
            fraction = new float[side];
            double scale = 1 / ((double) side / sourceSide);
            for (int i = 0; i < side; i++) {
                float place = (float) ((i + 0.5) * scale - 0.5);
                int whole = (int) Math.floor(place);
                float rest = place - whole;
                boolean outside = whole < 0 || whole >= sourceSide - 1;
                if (outside && clampsWeights) {
                    rest = 0;
                }
                first[i] = Math.max(0, Math.min(whole, sourceSide - 1));
                second[i] = Math.max(0, Math.min(whole + 1, sourceSide - 1));
                fraction[i] = rest;
                firstWeight[i] = (int) Math.rint((1 - rest) * WEIGHT_ONE);
                secondWeight[i] = (int) Math.rint(rest * WEIGHT_ONE);
            }
        }

        /** Along x: at the borders one pixel has all the weight. */
        static Axis clamped(int sourceSide, int side) {
            return new Axis(sourceSide, side, true);
        }

        /** Along y: at the borders both rows are the same, and their products are cut apart. */
        static Axis free(int sourceSide, int side) {
            return new Axis(sourceSide, side, false);
        }
    }
}
