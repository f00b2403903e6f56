package io.github.edgeocr;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** One line of text. */
public final class TextLine {
    private final String text;
    private final float confidence;
    private final Quad cornerPoints;
    private final int rotation;
    private final float detectionConfidence;
    private final List<TextSymbol> symbols;

    TextLine(
            String text,
            float confidence,
            Quad cornerPoints,
            int rotation,
            float detectionConfidence,
            List<TextSymbol> symbols) {
        this.text = text;
        this.confidence = confidence;
        this.cornerPoints = cornerPoints;
        this.rotation = rotation;
        this.detectionConfidence = detectionConfidence;
        this.symbols = Collections.unmodifiableList(new ArrayList<>(symbols));
    }

    public String getText() {
        return text;
    }

    /** Mean confidence of the characters in [0, 1]; 0 where nothing was recognised. */
    public float getConfidence() {
        return confidence;
    }

    /**
     * Image pixels, clockwise. They start at the top-left corner as the detector sees the line;
     * where {@link #getRotation} is 180 the text itself starts at corner 2.
     */
    public Quad getCornerPoints() {
        return cornerPoints;
    }

    /** Degrees by which the text is turned within its corner points: 0 or 180. */
    public int getRotation() {
        return rotation;
    }

    /**
     * Direction in which the text runs: degrees clockwise from the right, in (-180, 180]. A line
     * that is at least 1.5 times as high as wide runs downwards.
     */
    public float getAngle() {
        boolean tall = LineCrop.isTall(cornerPoints);
        int from = 0;
        int to = tall ? 3 : 1;
        double dx = (double) cornerPoints.x(to) - cornerPoints.x(from);
        double dy = (double) cornerPoints.y(to) - cornerPoints.y(from);
        double degrees = Math.toDegrees(Math.atan2(dy, dx)) + rotation;
        return (float) (degrees > 180 ? degrees - 360 : degrees);
    }

    /** Mean text probability inside of the box in [0, 1]; 1 for a line that the caller cut. */
    public float getDetectionConfidence() {
        return detectionConfidence;
    }

    /** In order of reading; empty unless {@link OcrOptions.Builder#setCharacters} asks for them. */
    public List<TextSymbol> getSymbols() {
        return symbols;
    }

    @Override
    public String toString() {
        return text;
    }
}
