package io.github.edgeocr;

/** One detected line. */
public final class TextRegion {
    /** Image pixels, clockwise from the top-left. */
    public final Quad quad;
    /** Mean text probability in [0, 1]. */
    public final double score;

    TextRegion(Quad quad, double score) {
        this.quad = quad;
        this.score = score;
    }
}
