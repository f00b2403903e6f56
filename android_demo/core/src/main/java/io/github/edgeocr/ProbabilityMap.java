package io.github.edgeocr;

/**
 * The text probabilities that a detector emits, as it emits them: a quantized map stays integer, its
 * threshold is moved into its scale, and scores are means of integers, scaled once.
 */
final class ProbabilityMap {
    final int width;
    final int height;

    /** Values of a row before the next one begins. */
    private final int stride;
    /** The one of the two that is not the map's type is null. */
    private final byte[] bytes;

    private final float[] floats;
    private final double scale;
    private final int zeroPoint;

    private ProbabilityMap(
            byte[] bytes,
            float[] floats,
            int stride,
            int width,
            int height,
            double scale,
            int zeroPoint) {
        this.bytes = bytes;
        this.floats = floats;
        this.stride = stride;
        this.width = width;
        this.height = height;
        this.scale = scale;
        this.zeroPoint = zeroPoint;
    }

    /**
     * @param output (1, height, width, 1) of a detector
     * @param port that it comes from
     */
    static ProbabilityMap of(Tensor output, TensorPort port) {
        int height = output.side(1);
        int width = output.side(2);
        return new ProbabilityMap(
                output.bytes(), output.floats(), width, width, height, port.scale, port.zeroPoint);
    }

    /**
     * The map in the size of its image.
     *
     * <p>Between two coarse pixels lies where the probability crosses the threshold: a map of half
     * the size, decoded as it is, loses kernels one or two of its pixels high.
     */
    ProbabilityMap enlarged(final int newWidth, int newHeight) {
        if (newWidth == width && newHeight == height) {
            return this;
        }
        if (bytes == null) {
            float[] resized = BilinearResize.resize(floats, width, height, newWidth, newHeight);
            return new ProbabilityMap(
                    null, resized, newWidth, newWidth, newHeight, scale, zeroPoint);
        }
        byte[] unsigned = new byte[width * height];
        for (int i = 0; i < unsigned.length; i++) {
            unsigned[i] = (byte) (bytes[i] ^ 0x80);
        }
        final byte[] resized = new byte[newWidth * newHeight];
        BilinearResize.resize(
                unsigned, width, height, 1, newWidth, newHeight,
                new BilinearResize.RowSink() {
                    @Override
                    public void accept(int y, int[] row) {
                        for (int x = 0; x < newWidth; x++) {
                            resized[y * newWidth + x] = (byte) (row[x] ^ 0x80);
                        }
                    }
                });
        return new ProbabilityMap(resized, null, newWidth, newWidth, newHeight, scale, zeroPoint);
    }

    /** The upper left part of the map. */
    ProbabilityMap part(int newWidth, int newHeight) {
        return new ProbabilityMap(
                bytes, floats, stride, Math.min(newWidth, width), Math.min(newHeight, height),
                scale, zeroPoint);
    }

    /**
     * Where the probability exceeds a threshold.
     *
     * @param dilation whether a pixel counts too whose upper, left or upper left neighbour does
     * @return (height + 2) rows of (width + 2) pixels, 1 or 0, with a margin of 0
     */
    byte[] mask(double threshold, boolean dilation) {
        int maskStride = width + 2;
        byte[] mask = new byte[maskStride * (height + 2)];
        int quantizedLimit =
                (int) Math.max(-128, Math.min(127, Math.floor(threshold / scale + zeroPoint)));
        float realLimit = (float) (threshold / scale + zeroPoint);
        for (int y = 0; y < height; y++) {
            int from = y * stride;
            int to = (y + 1) * maskStride + 1;
            if (bytes != null) {
                for (int x = 0; x < width; x++) {
                    mask[to + x] = (byte) (bytes[from + x] > quantizedLimit ? 1 : 0);
                }
            } else {
                for (int x = 0; x < width; x++) {
                    mask[to + x] = (byte) (floats[from + x] > realLimit ? 1 : 0);
                }
            }
        }
        if (dilation) {
            // From the lower right, so that what is read was not yet dilated.
            for (int y = height; y >= 1; y--) {
                for (int at = y * maskStride + width; at > y * maskStride; at--) {
                    mask[at] |=
                            mask[at - 1] | mask[at - maskStride] | mask[at - maskStride - 1];
                }
            }
        }
        return mask;
    }

    /**
     * Mean probability over the pixels of a polygon.
     *
     * @param corners x and y in turn, map pixels; may reach over the edges
     */
    double meanInside(double[] corners) {
        double left = Double.POSITIVE_INFINITY;
        double top = Double.POSITIVE_INFINITY;
        double right = Double.NEGATIVE_INFINITY;
        double bottom = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < corners.length; i += 2) {
            left = Math.min(left, corners[i]);
            right = Math.max(right, corners[i]);
            top = Math.min(top, corners[i + 1]);
            bottom = Math.max(bottom, corners[i + 1]);
        }
        int x0 = Math.max((int) Math.floor(left), 0);
        int y0 = Math.max((int) Math.floor(top), 0);
        int x1 = Math.min((int) Math.ceil(right), width - 1);
        int y1 = Math.min((int) Math.ceil(bottom), height - 1);
        int[] points = new int[corners.length];
        for (int i = 0; i < corners.length; i += 2) {
            // The offset is subtracted before the corners are cut to whole pixels, as in PP-OCR.
            points[i] = (int) (corners[i] - x0);
            points[i + 1] = (int) (corners[i + 1] - y0);
        }
        PolygonMask mask = PolygonMask.of(points, x1 - x0 + 1, y1 - y0 + 1);
        return (mean(mask, x0, y0) - zeroPoint) * scale;
    }

    private double mean(PolygonMask mask, int x0, int y0) {
        double sum = 0;
        int count = 0;
        for (int y = 0; y < mask.height; y++) {
            int from = (y0 + y) * stride + x0;
            int inside = y * mask.width;
            if (bytes != null) {
                int rowSum = 0;
                for (int x = 0; x < mask.width; x++) {
                    rowSum += bytes[from + x] * mask.pixels[inside + x];
                    count += mask.pixels[inside + x];
                }
                sum += rowSum;
            } else {
                for (int x = 0; x < mask.width; x++) {
                    sum += floats[from + x] * mask.pixels[inside + x];
                    count += mask.pixels[inside + x];
                }
            }
        }
        return count == 0 ? 0 : sum / count;
    }
}
