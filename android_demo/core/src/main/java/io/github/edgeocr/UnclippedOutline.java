package io.github.edgeocr;

import java.util.Arrays;

/**
 * Undoes the shrinking of DB's text kernels: grows a rectangle by {@code area * ratio / perimeter},
 * with round corners.
 *
 * <p>The inverse of the labels' D = A (1 - r²) / L (Liao et al., arXiv:1911.08947, eq. 10). Corners
 * are cut to whole pixels before they move and points rounded after, and an arc has as many points
 * as keep it within a quarter of a pixel of the circle: that is how the Clipper library, which
 * PP-OCR uses, offsets a polygon. As the rectangle is convex, the offset outline crosses itself
 * nowhere, and Clipper's cleaning would take no corner of its hull away. Its sweep ends an outline
 * at the rightmost of the topmost points.
 */
final class UnclippedOutline {
    private static final double ARC_TOLERANCE = 0.25;
    private static final int CORNERS = 4;

    private int[] points = new int[64];
    private int size;

    private UnclippedOutline() {}

    /**
     * @param corners x and y of a rectangle's corners in turn, in order around it
     * @return x and y of the outline's points in turn, clockwise; empty where the rectangle is too
     *     thin
     */
    static int[] of(double[] corners, double ratio) {
        double twiceArea = 0;
        double perimeter = 0;
        for (int i = 0; i < CORNERS; i++) {
            int next = (i + 1) % CORNERS;
            double x = corners[2 * i];
            double y = corners[2 * i + 1];
            double nextX = corners[2 * next];
            double nextY = corners[2 * next + 1];
            twiceArea += x * nextY - nextX * y;
            perimeter += Math.sqrt((nextX - x) * (nextX - x) + (nextY - y) * (nextY - y));
        }
        if (perimeter == 0) {
            return new int[0];
        }
        UnclippedOutline outline = new UnclippedOutline();
        outline.grow(corners, Math.abs(twiceArea) / 2 * ratio / perimeter);
        return outline.inOrder();
    }

    private int[] inOrder() {
        int last = 0;
        for (int i = 2; i < size; i += 2) {
            boolean higher = points[i + 1] < points[last + 1];
            if (higher || points[i + 1] == points[last + 1] && points[i] >= points[last]) {
                last = i;
            }
        }
        int[] ordered = new int[size];
        int head = size == 0 ? 0 : last + 2;
        System.arraycopy(points, head, ordered, 0, size - head);
        System.arraycopy(points, 0, ordered, size - head, head);
        return ordered;
    }

    private void grow(double[] corners, double distance) {
        long[] xs = new long[CORNERS];
        long[] ys = new long[CORNERS];
        int count = 0;
        for (int i = 0; i < CORNERS; i++) {
            long x = (long) corners[2 * i];
            long y = (long) corners[2 * i + 1];
            if (count == 0 || x != xs[count - 1] || y != ys[count - 1]) {
                xs[count] = x;
                ys[count] = y;
                count++;
            }
        }
        while (count > 1 && xs[0] == xs[count - 1] && ys[0] == ys[count - 1]) {
            count--;
        }
        if (count < 3) {
            return;
        }
        double twiceArea = 0;
        for (int i = 0; i < count; i++) {
            int next = (i + 1) % count;
            twiceArea += (double) xs[i] * ys[next] - (double) xs[next] * ys[i];
        }
        // Outwards is to the right of an outline of positive area.
        int step = twiceArea >= 0 ? 1 : count - 1;
        double[] normalXs = new double[count];
        double[] normalYs = new double[count];
        for (int i = 0; i < count; i++) {
            int next = (i + step) % count;
            double dx = xs[next] - xs[i];
            double dy = ys[next] - ys[i];
            double scale = 1 / Math.sqrt(dx * dx + dy * dy);
            normalXs[i] = dy * scale;
            normalYs[i] = -dx * scale;
        }
        double tolerance = Math.min(ARC_TOLERANCE, distance * ARC_TOLERANCE);
        double stepsPerTurn =
                Math.min(Math.PI / Math.acos(1 - tolerance / distance), distance * Math.PI);
        int before = step == 1 ? count - 1 : 1;
        for (int i = 0; i < count; i++) {
            int corner = i * step % count;
            double sine = Math.min(
                    normalXs[before] * normalYs[corner]
                            - normalXs[corner] * normalYs[before],
                    1);
            double cosine = normalXs[before] * normalXs[corner]
                    + normalYs[before] * normalYs[corner];
            double normalX = normalXs[before];
            double normalY = normalYs[before];
            if (Math.abs(sine * distance) < 1 && cosine > 0) {
                // So flat that a point will do. Clipper then turns the next corner from the side
                // that it turned this one from.
                add(xs[corner] + normalX * distance, ys[corner] + normalY * distance);
                continue;
            }
            double turn = Math.atan2(sine, cosine) * stepsPerTurn / (2 * Math.PI);
            int steps = (int) Math.max(1, Math.floor(Math.abs(turn) + 0.5));
            double stepSine = Math.sin(2 * Math.PI / stepsPerTurn);
            double stepCosine = Math.cos(2 * Math.PI / stepsPerTurn);
            for (int k = 0; k < steps; k++) {
                add(xs[corner] + normalX * distance, ys[corner] + normalY * distance);
                double turnedX = normalX * stepCosine - stepSine * normalY;
                normalY = normalX * stepSine + normalY * stepCosine;
                normalX = turnedX;
            }
            add(xs[corner] + normalXs[corner] * distance, ys[corner] + normalYs[corner] * distance);
            before = corner;
        }
    }

    /** Rounded half away from zero. */
    private void add(double x, double y) {
        if (size + 2 > points.length) {
            points = Arrays.copyOf(points, 2 * points.length);
        }
        points[size++] = (int) (x < 0 ? x - 0.5 : x + 0.5);
        points[size++] = (int) (y < 0 ? y - 0.5 : y + 0.5);
    }
}
