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
        Edge[] edges = new Edge[count];
        for (int i = 0; i < count; i++) {
            int next = (i + 1) % count;
            int[] line = {points[2 * i], points[2 * i + 1], points[2 * next], points[2 * next + 1]};
            int top = Math.min(line[1], line[3]);
            int bottom = Math.max(line[1], line[3]);
            int[] clipped = line.clone();
            boolean visible = mask.clip(clipped);
            if (visible) {
                mask.drawLine(clipped[0], clipped[1], clipped[2], clipped[3]);
            }
            edges[i] = new Edge(clipped[1] == clipped[3] ? line : clipped, top, bottom);
        }
        mask.fill(edges);
        return mask;
    }

    /** A side of the polygon on the rows where it is crossed. */
    private static final class Edge {
        /** First row, and one past the last. */
        final int top;

        final int bottom;
        /** Place on row {@link #top}, in fixed-point. */
        final long x;
        /** From a row to the next, in fixed-point. */
        final long slope;

        /** @param line x and y of its ends in turn; the part that is visible, where one is */
        Edge(int[] line, int top, int bottom) {
            this.top = top;
            this.bottom = bottom;
            int rise = line[3] - line[1];
            // Cut to fixed-point as the division of integers cuts: edges may end beside a corner.
            slope = rise == 0 ? 0 : (line[2] - line[0]) * ONE / rise;
            x = line[0] * ONE + (top - line[1]) * slope;
        }
    }

    /**
     * Cuts a line off at the borders of the mask, by D. Cohen and I. Sutherland, to whole pixels.
     *
     * @param line x and y of its ends in turn; may stay as it is where nothing is visible
     * @return whether any of it is visible
     */
    private boolean clip(int[] line) {
        if ((outside(line, 0) & outside(line, 2)) != 0) {
            return false;
        }
        for (int end = 0; end <= 2; end += 2) {
            if (line[end + 1] < 0 || line[end + 1] >= height) {
                int row = line[end + 1] < 0 ? 0 : height - 1;
                double along = (double) (row - line[end + 1]) * (line[2] - line[0]);
                line[end] += (int) (along / (line[3] - line[1]));
                line[end + 1] = row;
            }
        }
        if ((outside(line, 0) & outside(line, 2)) != 0) {
            return false;
        }
        for (int end = 0; end <= 2; end += 2) {
            if (line[end] < 0 || line[end] >= width) {
                int column = line[end] < 0 ? 0 : width - 1;
                double along = (double) (column - line[end]) * (line[3] - line[1]);
                line[end + 1] += (int) (along / (line[2] - line[0]));
                line[end] = column;
            }
        }
        return true;
    }

    /** Beyond which borders an end of a line lies, one bit each. */
    private int outside(int[] line, int end) {
        int x = line[end];
        int y = line[end + 1];
        return (x < 0 ? 1 : 0) | (x >= width ? 2 : 0) | (y < 0 ? 4 : 0) | (y >= height ? 8 : 0);
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
            pixels[y * width + x] = 1;
            boolean sideways = error < 0;
            error += sideways ? 2 * major - 2 * minor : -2 * minor;
            x += steep && !sideways ? 0 : 1;
            y += steep || sideways ? down : 0;
        }
    }

    private void fill(Edge[] edges) {
        long[] crossings = new long[edges.length];
        for (int y = 0; y < height; y++) {
            int crossed = 0;
            for (Edge edge : edges) {
                if (edge.top <= y && y < edge.bottom) {
                    crossings[crossed++] = edge.x + (y - edge.top) * edge.slope;
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
