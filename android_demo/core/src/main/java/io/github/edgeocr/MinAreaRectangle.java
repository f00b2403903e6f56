package io.github.edgeocr;

import java.util.Arrays;

/**
 * The rectangle of least area around points, exactly.
 *
 * <p>One side of it lies on an edge of the convex hull (Freeman and Shapira 1975, Determining the
 * minimum-area encasing rectangle for an arbitrary closed curve). The points are whole, so the hull,
 * its edges and all products with them are whole numbers; a corner is the quotient of two, rounded
 * once. Of equally small rectangles it is the most upright, and of two that lean to either side the
 * one that falls to the right.
 */
final class MinAreaRectangle {
    /**
     * x and y of the four corners in turn, clockwise as seen on the screen, from the left end of the
     * side that is upper and nearest to horizontal.
     */
    final double[] corners;
    /** In pixels; 0 around points on one line. */
    final double shorterSide;

    private MinAreaRectangle(double[] corners, double shorterSide) {
        this.corners = corners;
        this.shorterSide = shorterSide;
    }

    /**
     * @param points x and y of at least one point in turn
     * @param count of points
     */
    static MinAreaRectangle around(int[] points, int count) {
        long[] hull = convexHull(points, count);
        Candidate best = null;
        for (int i = 0; i < hull.length; i++) {
            long start = hull[i];
            long end = hull[(i + 1) % hull.length];
            Candidate candidate = Candidate.along(x(end) - x(start), y(end) - y(start), hull);
            if (best == null || candidate.isBetterThan(best)) {
                best = candidate;
            }
        }
        return best.rectangle();
    }

    /** The rectangle around a hull whose sides have a given direction. */
    private static final class Candidate {
        private final long dx;
        private final long dy;
        private final long square;
        // In units of the direction's length: along it, and across it, downwards.
        private long left = Long.MAX_VALUE;
        private long right = Long.MIN_VALUE;
        private long top = Long.MAX_VALUE;
        private long bottom = Long.MIN_VALUE;

        private Candidate(long dx, long dy, long[] hull) {
            this.dx = dx;
            this.dy = dy;
            square = dx * dx + dy * dy;
            for (long point : hull) {
                long along = dx * x(point) + dy * y(point);
                long across = dx * y(point) - dy * x(point);
                left = Math.min(left, along);
                right = Math.max(right, along);
                top = Math.min(top, across);
                bottom = Math.max(bottom, across);
            }
        }

        /** With the side nearest to horizontal for its direction; upright along no edge at all. */
        static Candidate along(long dx, long dy, long[] hull) {
            boolean flat = Math.abs(dy) < Math.abs(dx) || dy == dx;
            long x = flat ? dx : dy;
            long y = flat ? dy : -dx;
            return x == 0 ? new Candidate(1, 0, hull)
                    : x > 0 ? new Candidate(x, y, hull) : new Candidate(-x, -y, hull);
        }

        boolean isBetterThan(Candidate other) {
            int byArea = Double.compare(area(), other.area());
            if (byArea != 0) {
                return byArea < 0;
            }
            int bySlope = Double.compare(Math.abs(slope()), Math.abs(other.slope()));
            return bySlope != 0 ? bySlope < 0 : slope() > other.slope();
        }

        private double area() {
            return (double) ((right - left) * (bottom - top)) / square;
        }

        private double slope() {
            return (double) dy / dx;
        }

        MinAreaRectangle rectangle() {
            double[] corners = {
                cornerX(left, top), cornerY(left, top),
                cornerX(right, top), cornerY(right, top),
                cornerX(right, bottom), cornerY(right, bottom),
                cornerX(left, bottom), cornerY(left, bottom)
            };
            double shorter = Math.min(right - left, bottom - top) / Math.sqrt(square);
            return new MinAreaRectangle(corners, shorter);
        }

        private double cornerX(long along, long across) {
            return (double) (along * dx - across * dy) / square;
        }

        private double cornerY(long along, long across) {
            return (double) (along * dy + across * dx) / square;
        }
    }

    /**
     * The corners clockwise from the top-left corner of the text.
     *
     * <p>The left edge is the pair of adjacent corners that lies farthest left, as PP-OCR has it for
     * rectangles. A line stays a line at any slope at which its ends, and not its long sides, are
     * its leftmost and rightmost edges. Where two edges lie equally far left (a square that stands
     * on its corner) the text is taken to fall to the right.
     */
    float[] clockwise() {
        double farthest = 0;
        double leftmost = Double.POSITIVE_INFINITY;
        for (int corner = 0; corner < 4; corner++) {
            farthest = Math.max(farthest, Math.abs(corners[2 * corner]));
            leftmost = Math.min(leftmost, leftEdge(corner));
        }
        double tie = leftmost + 1e-6 * (1 + farthest);
        int first = -1;
        for (int corner = 0; corner < 4; corner++) {
            boolean higher = first < 0 || corners[2 * corner + 1] < corners[2 * first + 1];
            if (leftEdge(corner) <= tie && higher) {
                first = corner;
            }
        }
        float[] ordered = new float[8];
        for (int i = 0; i < ordered.length; i++) {
            ordered[i] = (float) corners[(2 * first + i) % 8];
        }
        return ordered;
    }

    /** Twice the middle x of the edge of which a corner is the upper end. */
    private double leftEdge(int corner) {
        return corners[2 * corner] + corners[(2 * corner + 6) % 8];
    }

    // A point as one number, x before y, so that points sort as numbers do.
    private static long packed(int x, int y) {
        return (long) x << Integer.SIZE | y & 0xFFFFFFFFL ^ 0x80000000L;
    }

    private static int x(long point) {
        return (int) (point >> Integer.SIZE);
    }

    private static int y(long point) {
        return (int) point ^ 0x80000000;
    }

    /** Corners of the convex hull, none of them on an edge: A. M. Andrew's chains (1979). */
    private static long[] convexHull(int[] points, int count) {
        long[] sorted = new long[count];
        for (int i = 0; i < count; i++) {
            sorted[i] = packed(points[2 * i], points[2 * i + 1]);
        }
        Arrays.sort(sorted);
        long[] hull = new long[2 * count + 1];
        int size = 0;
        for (int i = 0; i < count; i++) {
            size = extend(hull, 0, size, sorted[i]);
        }
        int second = Math.max(size - 1, 0);
        size = second;
        for (int i = count - 1; i >= 0; i--) {
            size = extend(hull, second, size, sorted[i]);
        }
        // The last point closes the outline: it is the first one again.
        return Arrays.copyOf(hull, Math.max(size - 1, 1));
    }

    private static int extend(long[] hull, int begin, int size, long point) {
        if (size > begin && hull[size - 1] == point) {
            return size;
        }
        while (size >= begin + 2 && !turns(hull[size - 2], hull[size - 1], point)) {
            size--;
        }
        hull[size] = point;
        return size + 1;
    }

    private static boolean turns(long a, long b, long c) {
        return (long) (x(b) - x(a)) * (y(c) - y(a)) - (long) (y(b) - y(a)) * (x(c) - x(a)) > 0;
    }
}
