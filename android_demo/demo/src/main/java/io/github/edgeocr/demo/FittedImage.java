package io.github.edgeocr.demo;

/** Where the points of an image lie on a view that shows all of it, centred. */
public final class FittedImage {
    /** View pixels per image pixel. */
    public final float scale;

    /** View pixels left of the image. */
    public final float left;

    /** View pixels above the image. */
    public final float top;

    /**
     * @param imageWidth in pixels, positive
     * @param imageHeight in pixels, positive
     * @param viewWidth in pixels; 0 while a view has no size, which draws nothing
     * @param viewHeight in pixels
     */
    public FittedImage(int imageWidth, int imageHeight, int viewWidth, int viewHeight) {
        if (imageWidth < 1 || imageHeight < 1) {
            throw new IllegalArgumentException("an image of " + imageWidth + " x " + imageHeight);
        }
        scale = Math.min((float) viewWidth / imageWidth, (float) viewHeight / imageHeight);
        left = (viewWidth - imageWidth * scale) / 2;
        top = (viewHeight - imageHeight * scale) / 2;
    }

    public float x(float imageX) {
        return left + imageX * scale;
    }

    public float y(float imageY) {
        return top + imageY * scale;
    }
}
