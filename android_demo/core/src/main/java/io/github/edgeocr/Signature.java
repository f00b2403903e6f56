package io.github.edgeocr;

/** One fixed input shape of a stage's model, by the name of its TFLite signature. */
public final class Signature {
    public final String name;
    /** Of the input in pixels. */
    public final int height;
    /** Of the input in pixels. */
    public final int width;

    public Signature(String name, int height, int width) {
        this.name = name;
        this.height = height;
        this.width = width;
    }

    Signature resized(int newHeight, int newWidth) {
        return new Signature(name, newHeight, newWidth);
    }
}
