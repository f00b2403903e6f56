package io.github.edgeocr;

/**
 * Bilinear resizing, bit for bit as OpenCV's {@code INTER_LINEAR_EXACT} computes it on 8-bit images.
 *
 * <p>Weights are whole 256ths, and nothing is rounded before both axes are weighted.
 */
final class BilinearResize {
    /** Takes the rows of a resized image, from top to bottom. */
    interface RowSink {
        /** @param row values of 0 to 255, valid until the call returns */
        void accept(int y, int[] row);
    }

    private static final int WEIGHT_BITS = 8;
    private static final int WEIGHT_ONE = 1 << WEIGHT_BITS;
    /** Half of the last bit that is kept. */
    private static final int HALF = 1 << (2 * WEIGHT_BITS - 1);

    private BilinearResize() {}

    /** The image in another size. */
    static BgrImage resize(BgrImage image, int width, int height) {
        final int rowBytes = width * BgrImage.CHANNELS;
        final byte[] resized = new byte[rowBytes * height];
        resize(
                image.pixels(), image.width(), image.height(), BgrImage.CHANNELS, width, height,
                new RowSink() {
                    @Override
                    public void accept(int y, int[] row) {
                        int at = y * rowBytes;
                        for (int i = 0; i < rowBytes; i++) {
                            resized[at + i] = (byte) row[i];
                        }
                    }
                });
        return BgrImage.fromBgr(resized, width, height);
    }

    /**
     * Resizes unsigned bytes.
     *
     * @param source rows without gaps
     * @param channels interleaved values of a pixel, 1 or 3
     */
    static void resize(
            byte[] source,
            int sourceWidth,
            int sourceHeight,
            int channels,
            int width,
            int height,
            RowSink sink) {
        if (sourceWidth == 1) { // Two equal columns give the same, and every place has a neighbour.
            resize(doubled(source, channels), 2, sourceHeight, channels, width, height, sink);
            return;
        }
        Axis xs = new Axis(sourceWidth, width);
        Axis ys = new Axis(sourceHeight, height);
        int rowLength = width * channels;
        int[] upper = new int[rowLength];
        int[] lower = new int[rowLength];
        int upperRow = -1;
        int lowerRow = -1;
        // Integers up to the end: the JVM's compiler makes vectors of loops over one type.
        int[] made = new int[rowLength];
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
            weighAlongY(upper, below, ys.weight[y], made);
            sink.accept(y, made);
        }
    }

    private static byte[] doubled(byte[] column, int channels) {
        byte[] columns = new byte[2 * column.length];
        for (int i = 0; i < column.length; i++) {
            int at = i / channels * 2 * channels + i % channels;
            columns[at] = column[i];
            columns[at + channels] = column[i];
        }
        return columns;
    }

    private static void weighAlongX(byte[] source, int row, int channels, Axis xs, int[] made) {
        int[] first = xs.first;
        int[] weight = xs.weight;
        if (channels == 1) {
            for (int x = 0; x < first.length; x++) {
                int left = row + first[x];
                made[x] = between(source[left], source[left + 1], weight[x]);
            }
            return;
        }
        for (int x = 0, at = 0; x < first.length; x++, at += BgrImage.CHANNELS) {
            int left = row + first[x] * BgrImage.CHANNELS;
            int right = weight[x];
            made[at] = between(source[left], source[left + 3], right);
            made[at + 1] = between(source[left + 1], source[left + 4], right);
            made[at + 2] = between(source[left + 2], source[left + 5], right);
        }
    }

    private static int between(byte left, byte right, int weight) {
        return (left & 255) * (WEIGHT_ONE - weight) + (right & 255) * weight;
    }

    private static void weighAlongY(int[] upper, int[] lower, int weight, int[] made) {
        int rest = WEIGHT_ONE - weight;
        for (int i = 0; i < made.length; i++) {
            made[i] = upper[i] * rest + lower[i] * weight + HALF >> 2 * WEIGHT_BITS;
        }
    }

    /** Resizes one channel of floats. */
    static float[] resize(
            float[] source, int sourceWidth, int sourceHeight, int width, int height) {
        FloatAxis xs = FloatAxis.clamped(sourceWidth, width);
        FloatAxis ys = FloatAxis.free(sourceHeight, height);
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

    /** For every place along one axis of the result: two neighbours in the source, and a weight. */
    private static final class Axis {
        final int[] first;
        final int[] second;
        /** Of the second, in 256ths. */
        final int[] weight;

        Axis(int sourceSide, int side) {
            first = new int[side];
            second = new int[side];
            weight = new int[side];
            int last = Math.max(sourceSide - 2, 0);
            double scale = (double) sourceSide / side;
            for (int i = 0; i < side; i++) {
                double place = (i + 0.5) * scale - 0.5;
                int whole = (int) Math.floor(place);
                first[i] = Math.max(0, Math.min(whole, last));
                second[i] = Math.min(first[i] + 1, sourceSide - 1);
                double rest = whole < 0 ? 0 : whole > last ? 1 : place - whole;
                weight[i] = (int) Math.rint(rest * WEIGHT_ONE);
            }
        }
    }

    /** For every place along one axis of the result: two places of the source, and a weight. */
    private static final class FloatAxis {
        final int[] first;
        final int[] second;
        /** Weight of the second. */
        final float[] fraction;

        private FloatAxis(int side) {
            first = new int[side];
            second = new int[side];
            fraction = new float[side];
        }

        private void set(int i, int one, int other, float rest) {
            first[i] = one;
            second[i] = other;
            fraction[i] = rest;
        }

        /** Along x: neighbours; at the borders one of them has all the weight. */
        static FloatAxis clamped(int sourceSide, int side) {
            FloatAxis axis = new FloatAxis(side);
            int last = Math.max(sourceSide - 2, 0);
            for (int i = 0; i < side; i++) {
                float place = place(i, sourceSide, side);
                int whole = (int) Math.floor(place);
                float rest = whole < 0 ? 0 : whole > last ? 1 : place - whole;
                int left = Math.max(0, Math.min(whole, last));
                axis.set(i, left, Math.min(left + 1, sourceSide - 1), rest);
            }
            return axis;
        }

        /** Along y: at the borders both rows are the same, and each is weighted. */
        static FloatAxis free(int sourceSide, int side) {
            FloatAxis axis = new FloatAxis(side);
            for (int i = 0; i < side; i++) {
                float place = place(i, sourceSide, side);
                int whole = (int) Math.floor(place);
                int one = Math.max(0, Math.min(whole, sourceSide - 1));
                int other = Math.max(0, Math.min(whole + 1, sourceSide - 1));
                axis.set(i, one, other, place - whole);
            }
            return axis;
        }

        private static float place(int i, int sourceSide, int side) {
            return (float) ((i + 0.5) * (1 / ((double) side / sourceSide)) - 0.5);
        }
    }
}
