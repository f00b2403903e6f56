package io.github.edgeocr;

/**
 * An image of 8-bit pixels: blue, green and red interleaved, rows from top to bottom, upright.
 *
 * <p>The factories take what cameras and bitmaps give as plain arrays, so that nothing here needs
 * Android. An image never changes.
 */
public final class BgrImage {
    /** Longest side of an image in pixels. */
    public static final int MAX_SIDE = 32_000;

    static final int CHANNELS = 3;

    // Full-range BT.601, as JFIF has it, in 16 bits after the point.
    private static final int RED_FROM_V = 91881;
    private static final int GREEN_FROM_U = -22554;
    private static final int GREEN_FROM_V = -46802;
    private static final int BLUE_FROM_U = 116130;
    private static final int YUV_SHIFT = 16;
    private static final int YUV_HALF = 1 << (YUV_SHIFT - 1);

    private final byte[] pixels;
    private final int width;
    private final int height;

    private BgrImage(byte[] pixels, int width, int height) {
        this.pixels = pixels;
        this.width = width;
        this.height = height;
    }

    /**
     * Wraps interleaved BGR pixels.
     *
     * @param bgr at least 3 * width * height bytes; not copied, so don't write to it
     * @throws ImageException it is null or too small, or a side is out of range
     */
    public static BgrImage fromBgr(byte[] bgr, int width, int height) {
        checkSize(width, height);
        checkLength("the BGR array", bgr == null ? -1 : bgr.length, size(width, height));
        return new BgrImage(bgr, width, height);
    }

    /**
     * Copies packed pixels as {@code Bitmap.getPixels} gives them, 0xAARRGGBB with plain alpha;
     * what is transparent is laid on white.
     *
     * @param argb at least width * height pixels
     * @throws ImageException it is null or too small, or a side is out of range
     */
    public static BgrImage fromArgb(int[] argb, int width, int height) {
        checkSize(width, height);
        checkLength("the ARGB array", argb == null ? -1 : argb.length, (long) width * height);
        byte[] pixels = new byte[size(width, height)];
        for (int i = 0, at = 0; at < pixels.length; i++, at += CHANNELS) {
            int pixel = argb[i];
            int alpha = pixel >>> 24;
            int red = pixel >> 16 & 255;
            int green = pixel >> 8 & 255;
            int blue = pixel & 255;
            if (alpha != 255) {
                int white = 255 * (255 - alpha) + 127;
                red = (red * alpha + white) / 255;
                green = (green * alpha + white) / 255;
                blue = (blue * alpha + white) / 255;
            }
            pixels[at] = (byte) blue;
            pixels[at + 1] = (byte) green;
            pixels[at + 2] = (byte) red;
        }
        return new BgrImage(pixels, width, height);
    }

    /**
     * Converts Android's YUV_420_888, full-range BT.601 as cameras deliver it.
     *
     * @param y one byte a pixel
     * @param yRowStride bytes from one row of {@code y} to the next
     * @param u one sample for 2 x 2 pixels; sides are halved and rounded up
     * @param v likewise
     * @param uvRowStride bytes from one row of {@code u} and {@code v} to the next
     * @param uvPixelStride bytes from one sample to the next in a row: 1 for planes of their own, 2
     *     for interleaved ones
     * @throws ImageException a plane is null or too small for its strides, or a side is out of range
     */
    public static BgrImage fromYuv420(
            byte[] y,
            int yRowStride,
            byte[] u,
            byte[] v,
            int uvRowStride,
            int uvPixelStride,
            int width,
            int height) {
        checkSize(width, height);
        checkPlane("the Y plane", y, yRowStride, 1, width, height);
        int uvWidth = (width + 1) / 2;
        int uvHeight = (height + 1) / 2;
        checkPlane("the U plane", u, uvRowStride, uvPixelStride, uvWidth, uvHeight);
        checkPlane("the V plane", v, uvRowStride, uvPixelStride, uvWidth, uvHeight);
        return convertYuv(y, yRowStride, u, 0, v, 0, uvRowStride, uvPixelStride, width, height);
    }

    /**
     * Converts NV21, the old camera API's format: Y, then V and U interleaved, full-range BT.601.
     *
     * @throws ImageException the array is null or too small, or a side is out of range
     */
    public static BgrImage fromNv21(byte[] nv21, int width, int height) {
        checkSize(width, height);
        int luma = width * height;
        int uvRowStride = (width + 1) / 2 * 2;
        long needed = luma + (long) uvRowStride * ((height + 1) / 2);
        checkLength("the NV21 array", nv21 == null ? -1 : nv21.length, needed);
        return convertYuv(
                nv21, width, nv21, luma + 1, nv21, luma, uvRowStride, 2, width, height);
    }

    private static BgrImage convertYuv(
            byte[] y,
            int yRowStride,
            byte[] u,
            int uOffset,
            byte[] v,
            int vOffset,
            int uvRowStride,
            int uvPixelStride,
            int width,
            int height) {
        byte[] pixels = new byte[size(width, height)];
        int at = 0;
        for (int row = 0; row < height; row++) {
            int luma = row * yRowStride;
            int chroma = row / 2 * uvRowStride;
            for (int column = 0; column < width; column++, at += CHANNELS) {
                int sample = chroma + column / 2 * uvPixelStride;
                int blueness = (u[uOffset + sample] & 255) - 128;
                int redness = (v[vOffset + sample] & 255) - 128;
                int base = ((y[luma + column] & 255) << YUV_SHIFT) + YUV_HALF;
                int green = base + GREEN_FROM_U * blueness + GREEN_FROM_V * redness;
                pixels[at] = clamped(base + BLUE_FROM_U * blueness);
                pixels[at + 1] = clamped(green);
                pixels[at + 2] = clamped(base + RED_FROM_V * redness);
            }
        }
        return new BgrImage(pixels, width, height);
    }

    private static byte clamped(int fixed) {
        int value = fixed >> YUV_SHIFT;
        return (byte) (value < 0 ? 0 : value > 255 ? 255 : value);
    }

    /**
     * The image turned clockwise, as {@code ImageInfo.getRotationDegrees} of a camera's frame asks.
     *
     * @param degrees 0, 90, 180 or 270
     * @throws ImageException other degrees
     */
    public BgrImage rotated(int degrees) {
        switch (degrees) {
            case 0:
                return this;
            case 90:
                return gathered(height, width, (height - 1) * width, -width, 1);
            case 180:
                return gathered(width, height, width * height - 1, -1, -width);
            case 270:
                return gathered(height, width, width - 1, width, -1);
            default:
                throw new ImageException(
                        "an image can be turned by 0, 90, 180 or 270 degrees, not by " + degrees);
        }
    }

    /**
     * An image of pixels that lie in regular steps of this one.
     *
     * @param first index of the pixel that comes to the top-left
     * @param right step to the index of the next pixel in a row
     * @param down step to the index of the same pixel in the next row
     */
    BgrImage gathered(int newWidth, int newHeight, int first, int right, int down) {
        byte[] turned = new byte[size(newWidth, newHeight)];
        int at = 0;
        for (int row = 0; row < newHeight; row++) {
            int from = (first + row * down) * CHANNELS;
            if (right == 1) {
                System.arraycopy(pixels, from, turned, at, newWidth * CHANNELS);
                at += newWidth * CHANNELS;
                continue;
            }
            for (int column = 0; column < newWidth; column++, from += right * CHANNELS) {
                turned[at++] = pixels[from];
                turned[at++] = pixels[from + 1];
                turned[at++] = pixels[from + 2];
            }
        }
        return new BgrImage(turned, newWidth, newHeight);
    }

    /** A copy of the columns from {@code begin} to before {@code end}. */
    BgrImage columns(int begin, int end) {
        return gathered(end - begin, height, begin, 1, width);
    }

    /** A copy with black rows above and below. */
    BgrImage withRows(int above, int below) {
        byte[] padded = new byte[size(width, above + height + below)];
        System.arraycopy(pixels, 0, padded, size(width, above), size(width, height));
        return new BgrImage(padded, width, above + height + below);
    }

    public int width() {
        return width;
    }

    public int height() {
        return height;
    }

    /** The image's own storage, 3 bytes a pixel: don't write to it. */
    public byte[] pixels() {
        return pixels;
    }

    private static int size(int width, int height) {
        return width * height * CHANNELS;
    }

    private static void checkSize(int width, int height) {
        if (width < 1 || height < 1) {
            throw new ImageException("the image is empty (" + width + " x " + height + " pixels)");
        }
        if (width > MAX_SIDE
                || height > MAX_SIDE
                || (long) width * height * CHANNELS > Integer.MAX_VALUE - 8) {
            throw new ImageException(
                    "the image has " + width + " x " + height + " pixels: no side may exceed "
                            + MAX_SIDE + ", nor all of them " + Integer.MAX_VALUE / CHANNELS
                            + "; shrink it or cut it in parts");
        }
    }

    private static void checkPlane(
            String name, byte[] plane, int rowStride, int pixelStride, int width, int height) {
        if (pixelStride < 1 || rowStride < (width - 1) * pixelStride + 1) {
            throw new ImageException(
                    name + " cannot have " + width + " samples a row in a row stride of "
                            + rowStride + " bytes and a pixel stride of " + pixelStride);
        }
        long needed = (long) rowStride * (height - 1) + (long) pixelStride * (width - 1) + 1;
        checkLength(name, plane == null ? -1 : plane.length, needed);
    }

    private static void checkLength(String name, int length, long needed) {
        if (length < 0) {
            throw new ImageException(name + " is null");
        }
        if (length < needed) {
            throw new ImageException(
                    name + " has " + length + " values, the image needs " + needed);
        }
    }
}
