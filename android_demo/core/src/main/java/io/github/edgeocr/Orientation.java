package io.github.edgeocr;

/** What the classifier says of a line. */
public final class Orientation {
    public final boolean upsideDown;
    /** Probability in [0, 1] of what {@link #upsideDown} says. */
    public final double score;

    Orientation(boolean upsideDown, double score) {
        this.upsideDown = upsideDown;
        this.score = score;
    }
}
