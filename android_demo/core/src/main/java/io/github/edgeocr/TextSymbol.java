package io.github.edgeocr;

/** One character of a line, from the CTC steps that emitted it. */
public final class TextSymbol {
    private final String text;
    private final float confidence;
    private final Quad cornerPoints;

    TextSymbol(String text, float confidence, Quad cornerPoints) {
        this.text = text;
        this.confidence = confidence;
        this.cornerPoints = cornerPoints;
    }

    public String getText() {
        return text;
    }

    /** In [0, 1]. */
    public float getConfidence() {
        return confidence;
    }

    /** Image pixels, clockwise from the character's own top-left. */
    public Quad getCornerPoints() {
        return cornerPoints;
    }

    @Override
    public String toString() {
        return text;
    }
}
