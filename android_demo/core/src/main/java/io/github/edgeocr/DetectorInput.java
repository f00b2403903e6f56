package io.github.edgeocr;

/** An image as the detector's network takes it. */
public final class DetectorInput {
    /** (1, height, width, 3). */
    public final Tensor tensor;
    public final String signature;

    /** Network pixels per image pixel. */
    final float scaleX;

    final float scaleY;
    /** Rows of padding above the image, in image pixels. */
    final int top;
    /** Of the image in pixels, without padding. */
    final int width;

    final int height;

    DetectorInput(NetworkInput shown, String signature, int top, int width, int height) {
        tensor = shown.tensor;
        this.signature = signature;
        scaleX = (float) shown.scaleX;
        scaleY = (float) shown.scaleY;
        this.top = top;
        this.width = width;
        this.height = height;
    }
}
