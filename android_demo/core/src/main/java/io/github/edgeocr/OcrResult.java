package io.github.edgeocr;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The lines of one image in reading order; none for an image without text. */
public final class OcrResult {
    private final List<TextLine> lines;
    private final int width;
    private final int height;
    private final Map<String, Double> timingsMillis;

    OcrResult(List<TextLine> lines, int width, int height, Map<String, Double> timingsMillis) {
        this.lines = Collections.unmodifiableList(new ArrayList<>(lines));
        this.width = width;
        this.height = height;
        this.timingsMillis = Collections.unmodifiableMap(new LinkedHashMap<>(timingsMillis));
    }

    /** All lines, one per row. */
    public String getText() {
        StringBuilder text = new StringBuilder();
        for (TextLine line : lines) {
            text.append(text.length() == 0 ? "" : "\n").append(line.getText());
        }
        return text.toString();
    }

    public List<TextLine> getLines() {
        return lines;
    }

    /** Of the image that was read, in pixels. */
    public int getWidth() {
        return width;
    }

    /** Of the image that was read, in pixels. */
    public int getHeight() {
        return height;
    }

    /**
     * Wall time in milliseconds: "detect", "crop", "orient", "recognise", "total". Lines are read in
     * parallel: the time that they took together is shared out over the last three stages as the
     * threads spent it. "det.pre", "det.inference" and "det.post" are the parts of "detect", those of
     * "cls" and "rec" share out "orient" and "recognise".
     */
    public Map<String, Double> getTimingsMillis() {
        return timingsMillis;
    }

    @Override
    public String toString() {
        return getText();
    }
}
