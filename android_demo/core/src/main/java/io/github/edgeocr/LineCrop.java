package io.github.edgeocr;

/** A line cut out of an image and straightened. */
public final class LineCrop {
    /** Height over width from which a crop is turned by 90 degrees, as in PP-OCR. */
    private static final double TALL_LINE = 1.5;
    /** Height over width below which a tall box may be one upright "1" or "I" with its margins. */
    private static final double SINGLE_CHARACTER = 2.5;
    /** Longest side of a crop in pixels. */
    private static final double MAX_SIDE = 32_000;
    /** Pixels of a crop; larger ones are shrunk: recognisers see lines some 50 pixels high. */
    private static final double MAX_PIXELS = 4_000_000;

    private final BgrImage pixels;
    private final Projection toImage;

    private LineCrop(BgrImage pixels, Projection toImage) {
        this.pixels = pixels;
        this.toImage = toImage;
    }

    /**
     * Cuts a line out by perspective, like PP-OCR: as large as the longer of each pair of opposite
     * edges, turned counter-clockwise where it is at least 1.5 times as high as wide.
     *
     * @throws ImageException the quad is not finite, encloses less than a square pixel, or has
     *     three corners on one line
     */
    public static LineCrop cut(BgrImage image, Quad quad) {
        checkArea(quad);
        return cut(image, quad, isTall(quad));
    }

    /** Whether a quad is taken for a line that runs downwards. */
    static boolean isTall(Quad quad) {
        return sideOf(quad, quad.height()) >= TALL_LINE * sideOf(quad, quad.width());
    }

    /**
     * Cuts a line out by perspective as it stands, however tall it is.
     *
     * @throws ImageException the quad is not finite, encloses less than a square pixel, or has
     *     three corners on one line
     */
    static LineCrop cutUpright(BgrImage image, Quad quad) {
        checkArea(quad);
        return cut(image, quad, false);
    }

    /**
     * Whether a tall quad could also be one upright narrow character.
     *
     * <p>A "1" and a short vertical line have the same shape. Such a quad is to be recognised both
     * ways, and the upright reading kept where it is a single character with the better score.
     */
    static boolean mayBeSingleCharacter(Quad quad) {
        int width = sideOf(quad, quad.width());
        int height = sideOf(quad, quad.height());
        return TALL_LINE * width <= height && height < SINGLE_CHARACTER * width;
    }

    private static LineCrop cut(BgrImage image, Quad quad, boolean turned) {
        int width = sideOf(quad, quad.width());
        int height = sideOf(quad, quad.height());
        Projection upright = Projection.toQuad(width, height, quad);
        Projection toImage = turned ? upright.turned(width) : upright;
        BgrImage pixels =
                PerspectiveWarp.warp(
                        image, toImage, turned ? height : width, turned ? width : height);
        return new LineCrop(pixels, toImage);
    }

    private static void checkArea(Quad quad) {
        if (!quad.isFinite() || quad.area() < 1) {
            throw new ImageException(
                    "no line can be cut from the quad " + quad + ": it has no area");
        }
    }

    /** A side of the crop before it is turned, in whole pixels. */
    private static int sideOf(Quad quad, double side) {
        double width = Math.max(quad.width(), 1);
        double height = Math.max(quad.height(), 1);
        double shrink =
                Math.min(
                        Math.min(1, MAX_SIDE / Math.max(width, height)),
                        Math.sqrt(MAX_PIXELS / (width * height)));
        return Math.max(1, (int) (Math.max(side, 1) * shrink));
    }

    /** The straightened line. */
    public BgrImage pixels() {
        return pixels;
    }

    /** From points of {@link #pixels} to points of the image. */
    Projection toImage() {
        return toImage;
    }
}
