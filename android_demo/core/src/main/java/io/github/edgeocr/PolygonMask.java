package io.github.edgeocr;

import java.util.Arrays;

/**
 * The pixels of a polygon, as OpenCV's {@code fillPoly} has them: what lies inside by the even-odd
 * rule, and the outline itself, drawn by Bresenham's lines.
 */
final class PolygonMask {
    private static final int SHIFT = 16;
    private static final long ONE = 1L << SHIFT;

    final int width;
    final int height;
    /** One byte a pixel, 1 inside. */
    final byte[] pixels;

    private PolygonMask(int width, int height) {
        this.width = width;
        this.height = height;
        pixels = new byte[width * height];
    }

    /**
     * @param points x and y of the corners in turn, in pixels; parts outside of the mask are left out
     */
    static PolygonMask of(int[] points, int width, int height) {
        PolygonMask mask = new PolygonMask(width, height);
        int count = points.length / 2;
        for (int i = 0; i < count; i++) {
            int next = (i + 1) % count;
            mask.drawLine(points[2 * i], points[2 * i + 1], points[2 * next], points[2 * next + 1]);
        }
        mask.fill(points, count);
        return mask;
    }

    private void drawLine(int fromX, int fromY, int toX, int toY) {
        // Always from left to right: ties then fall the same way from either end.
        boolean swapped = toX < fromX;
        int x = swapped ? toX : fromX;
        int y = swapped ? toY : fromY;
        int dx = Math.abs(toX - fromX);
        int dy = Math.abs(toY - fromY);
        int down = (swapped ? fromY - toY : toY - fromY) < 0 ? -1 : 1;
        boolean steep = dy > dx;
        int major = Math.max(dx, dy);
        int minor = Math.min(dx, dy);
        int error = major - 2 * minor;
        for (int i = 0; i <= major; i++) {
            if (0 <= x && x < width && 0 <= y && y < height) {
                pixels[y * width + x] = 1;
            }
            boolean sideways = error < 0;
            error += sideways ? 2 * major - 2 * minor : -2 * minor;
            x += steep && !sideways ? 0 : 1;
            y += steep || sideways ? down : 0;
        }
    }

    private void fill(int[] points, int count) {
        long[] crossings = new long[count];
        long[] slopes = new long[count];
        for (int i = 0; i < count; i++) {
            int next = (i + 1) % count;
            int rise = points[2 * next + 1] - points[2 * i + 1];
            // Cut to fixed-point as the division of integers cuts, so edges may end beside a corner.
            slopes[i] = rise == 0 ? 0 : (points[2 * next] - points[2 * i]) * ONE / rise;
        }
        for (int y = 0; y < height; y++) {
            int crossed = 0;
            for (int i = 0; i < count; i++) {
                int next = (i + 1) % count;
                int top = points[2 * i + 1] < points[2 * next + 1] ? i : next;
                int bottom = top == i ? next : i;
                if (points[2 * top + 1] <= y && y < points[2 * bottom + 1]) {
                    crossings[crossed++] =
                            points[2 * top] * ONE + (y - points[2 * top + 1]) * slopes[i];
                }
            }
            Arrays.sort(crossings, 0, crossed);
            for (int i = 0; i + 1 < crossed; i += 2) {
                int begin = (int) Math.max(0, crossings[i] + ONE - 1 >> SHIFT);
                int end = (int) Math.min(width - 1, crossings[i + 1] >> SHIFT);
                if (begin <= end) {
                    Arrays.fill(pixels, y * width + begin, y * width + end + 1, (byte) 1);
                }
            }
        }
    }
}
