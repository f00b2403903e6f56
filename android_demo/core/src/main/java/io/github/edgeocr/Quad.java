package io.github.edgeocr;

import java.util.Arrays;

/** Four corners in image pixels, x to the right and y down, clockwise from the top-left. */
public final class Quad {
    private static final int CORNERS = 4;

    /** x and y of each corner in turn. */
    private final float[] points;

    /**
     * @param points x and y of the four corners in turn, 8 values; copied
     */
    public Quad(float... points) {
        if (points.length != 2 * CORNERS) {
            throw new IllegalArgumentException("a quad has 8 values, not " + points.length);
        }
        this.points = points.clone();
    }

    /** The corners of a whole image. */
    static Quad around(BgrImage image) {
        int width = image.width();
        int height = image.height();
        return new Quad(0, 0, width, 0, width, height, 0, height);
    }

    /** @param corner 0 to 3 */
    public float x(int corner) {
        return points[2 * corner];
    }

    /** @param corner 0 to 3 */
    public float y(int corner) {
        return points[2 * corner + 1];
    }

    public float left() {
        return Math.min(Math.min(x(0), x(1)), Math.min(x(2), x(3)));
    }

    public float top() {
        return Math.min(Math.min(y(0), y(1)), Math.min(y(2), y(3)));
    }

    public float right() {
        return Math.max(Math.max(x(0), x(1)), Math.max(x(2), x(3)));
    }

    public float bottom() {
        return Math.max(Math.max(y(0), y(1)), Math.max(y(2), y(3)));
    }

    /** Of each pair of opposite edges the longer one: the upper and the lower. */
    double width() {
        return Math.max(distance(0, 1), distance(3, 2));
    }

    /** The longer one of the left and the right edge. */
    double height() {
        return Math.max(distance(0, 3), distance(1, 2));
    }

    /** Area in square pixels by the shoelace formula; never negative. */
    double area() {
        double twice = 0;
        for (int i = 0; i < CORNERS; i++) {
            int next = (i + 1) % CORNERS;
            twice += (double) x(i) * y(next) - (double) x(next) * y(i);
        }
        return Math.abs(twice) / 2;
    }

    boolean isFinite() {
        for (float value : points) {
            if (Float.isNaN(value) || Float.isInfinite(value)) {
                return false;
            }
        }
        return true;
    }

    private double distance(int from, int to) {
        double dx = (double) x(to) - x(from);
        double dy = (double) y(to) - y(from);
        return Math.sqrt(dx * dx + dy * dy);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Quad && Arrays.equals(points, ((Quad) other).points);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(points);
    }

    @Override
    public String toString() {
        return Arrays.toString(points);
    }
}
