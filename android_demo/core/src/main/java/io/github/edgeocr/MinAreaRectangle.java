package io.github.edgeocr;

import java.util.Arrays;

/**
 * The rectangle of least area around points, by rotating calipers (G. Toussaint, 1983).
 *
 * <p>One side of it lies on an edge of the convex hull. The arithmetic is that of OpenCV's {@code
 * minAreaRect} and {@code boxPoints}, in single precision and in the same order: of rectangles that
 * are equally small the same one is found, and corners fall on the same side of a whole pixel.
 */
final class MinAreaRectangle {
    /** x and y of the four corners in turn, in order around the rectangle. */
    final float[] corners;
    /** In pixels. */
    final float shorterSide;

    private MinAreaRectangle(float[] corners, float shorterSide) {
        this.corners = corners;
        this.shorterSide = shorterSide;
    }

    /**
     * @param points x and y of at least one point in turn
     * @param count of points
     */
    static MinAreaRectangle around(int[] points, int count) {
        long[] hull = convexHull(points, count);
        if (hull.length > 2) {
            return byCalipers(hull);
        }
        float x0 = x(hull[0]);
        float y0 = y(hull[0]);
        float x1 = x(hull[hull.length - 1]);
        float y1 = y(hull[hull.length - 1]);
        return new MinAreaRectangle(new float[] {x0, y0, x1, y1, x1, y1, x0, y0}, 0);
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
        double middleX = 0;
        double middleY = 0;
        double farthest = 0;
        for (int i = 0; i < 4; i++) {
            middleX += corners[2 * i] / 4.0;
            middleY += corners[2 * i + 1] / 4.0;
            farthest = Math.max(farthest, Math.abs(corners[2 * i]));
        }
        // Corners stand around the middle already; only their sense is not known.
        double turn =
                (corners[0] - middleX) * (corners[3] - middleY)
                        - (corners[1] - middleY) * (corners[2] - middleX);
        int step = turn >= 0 ? 1 : 3;
        double leftmost = Double.POSITIVE_INFINITY;
        for (int corner = 0; corner < 4; corner++) {
            leftmost = Math.min(leftmost, leftEdge(corner, step));
        }
        double tie = leftmost + 1e-6 * (1 + farthest);
        int first = -1;
        for (int corner = 0; corner < 4; corner++) {
            boolean higher = first < 0 || corners[2 * corner + 1] < corners[2 * first + 1];
            if (leftEdge(corner, step) <= tie && higher) {
                first = corner;
            }
        }
        float[] ordered = new float[8];
        for (int i = 0; i < 4; i++) {
            int corner = (first + i * step) % 4;
            ordered[2 * i] = corners[2 * corner];
            ordered[2 * i + 1] = corners[2 * corner + 1];
        }
        return ordered;
    }

    /** Twice the middle x of the edge of which a corner is the upper end. */
    private double leftEdge(int corner, int step) {
        int before = (corner + 4 - step) % 4;
        return (double) corners[2 * corner] + corners[2 * before];
    }

    // A point as one number, x before y before its place among the points, so that points sort as
    // numbers do: 20 bits, 20 bits and 24 bits.
    private static final int INDEX_BITS = 24;
    private static final int COORDINATE_BITS = 20;
    private static final int COORDINATE_OFFSET = 1 << COORDINATE_BITS - 1;

    private static long packed(int x, int y, int index) {
        long row = y + COORDINATE_OFFSET;
        return (long) x << COORDINATE_BITS + INDEX_BITS | row << INDEX_BITS | index;
    }

    private static int x(long point) {
        return (int) (point >> COORDINATE_BITS + INDEX_BITS);
    }

    private static int y(long point) {
        return ((int) (point >> INDEX_BITS) & (1 << COORDINATE_BITS) - 1) - COORDINATE_OFFSET;
    }

    private static int index(long point) {
        return (int) point & (1 << INDEX_BITS) - 1;
    }

    /** Corners of the convex hull, none of them on an edge: A. M. Andrew's chains (1979). */
    private static long[] convexHull(int[] points, int count) {
        long[] sorted = new long[count];
        for (int i = 0; i < count; i++) {
            sorted[i] = packed(points[2 * i], points[2 * i + 1], i);
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
        return inOrder(Arrays.copyOf(hull, Math.max(size - 1, 1)), second);
    }

    /**
     * The hull from where OpenCV begins it: where the points follow each other around it, forwards
     * or backwards, at the one that begins their order, and else at the rightmost. Of equally small
     * rectangles another one may be found from elsewhere.
     */
    private static long[] inOrder(long[] hull, int rightmost) {
        int falls = 0;
        int least = 0;
        int largest = 0;
        for (int i = 0; i < hull.length; i++) {
            falls += index(hull[i]) > index(hull[(i + 1) % hull.length]) ? 1 : 0;
            least = index(hull[i]) < index(hull[least]) ? i : least;
            largest = index(hull[i]) > index(hull[largest]) ? i : largest;
        }
        int first = falls == 1 ? least : falls == hull.length - 1 ? largest : rightmost;
        long[] ordered = new long[hull.length];
        for (int i = 0; i < hull.length; i++) {
            ordered[i] = hull[(first + i) % hull.length];
        }
        return ordered;
    }

    private static int extend(long[] hull, int begin, int size, long point) {
        if (size > begin && hull[size - 1] >> INDEX_BITS == point >> INDEX_BITS) {
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

    private static MinAreaRectangle byCalipers(long[] hull) {
        int count = hull.length;
        float[] xs = new float[count];
        float[] ys = new float[count];
        for (int i = 0; i < count; i++) {
            xs[i] = x(hull[i]);
            ys[i] = y(hull[i]);
        }
        float[] edgeX = new float[count];
        float[] edgeY = new float[count];
        float[] inverse = new float[count];
        int left = 0;
        int right = 0;
        int top = 0;
        int bottom = 0;
        for (int i = 0; i < count; i++) {
            int next = (i + 1) % count;
            double dx = xs[next] - xs[i];
            double dy = ys[next] - ys[i];
            edgeX[i] = (float) dx;
            edgeY[i] = (float) dy;
            inverse[i] = (float) (1 / Math.sqrt(dx * dx + dy * dy));
            left = xs[i] < xs[left] ? i : left;
            right = xs[i] > xs[right] ? i : right;
            top = ys[i] > ys[top] ? i : top;
            bottom = ys[i] < ys[bottom] ? i : bottom;
        }
        // Where the four sides of the rectangle touch the hull, and the direction of the first.
        int[] touch = {bottom, right, top, left};
        float baseX = 1;
        float baseY = 0;
        float leastArea = Float.MAX_VALUE;
        float bestX = 1;
        float bestY = 0;
        float bestWidth = 0;
        float bestHeight = 0;
        int bestLeft = 0;
        int bestBottom = 0;
        for (int k = 0; k < count; k++) {
            // The side whose next edge makes the smallest angle with it is laid on that edge.
            int side = 0;
            float mainX = turnedX(0, edgeX[touch[0]], edgeY[touch[0]]);
            float mainY = turnedY(0, edgeX[touch[0]], edgeY[touch[0]]);
            for (int other = 1; other < 4; other++) {
                float turnedX = turnedX(other, edgeX[touch[other]], edgeY[touch[other]]);
                float turnedY = turnedY(other, edgeX[touch[other]], edgeY[touch[other]]);
                if (turnedY * mainX + -turnedX * mainY < 0) {
                    side = other;
                    mainX = turnedX;
                    mainY = turnedY;
                }
            }
            int edge = touch[side];
            float leadX = edgeX[edge] * inverse[edge];
            float leadY = edgeY[edge] * inverse[edge];
            baseX = turnedX(side, leadX, leadY);
            baseY = turnedY(side, leadX, leadY);
            touch[side] = (edge + 1) % count;

            float acrossX = xs[touch[1]] - xs[touch[3]];
            float acrossY = ys[touch[1]] - ys[touch[3]];
            float width = acrossX * baseX + acrossY * baseY;
            float upX = xs[touch[2]] - xs[touch[0]];
            float upY = ys[touch[2]] - ys[touch[0]];
            float height = -upX * baseY + upY * baseX;
            float area = width * height;
            if (area <= leastArea) {
                leastArea = area;
                bestX = baseX;
                bestY = baseY;
                bestWidth = width;
                bestHeight = height;
                bestLeft = touch[3];
                bestBottom = touch[0];
            }
        }
        // The corner where the left and the bottom side meet, by Cramer's rule.
        float onLeft = bestX * xs[bestLeft] + ys[bestLeft] * bestY;
        float onBottom = -bestY * xs[bestBottom] + ys[bestBottom] * bestX;
        float inverseDeterminant = 1f / (bestX * bestX - -bestY * bestY);
        float cornerX = (onLeft * bestX - onBottom * bestY) * inverseDeterminant;
        float cornerY = (bestX * onBottom - -bestY * onLeft) * inverseDeterminant;
        return fromCorner(
                cornerX, cornerY, bestX * bestWidth, bestY * bestWidth, -bestY * bestHeight,
                bestX * bestHeight);
    }

    /** A vector turned back by {@code quarters} of a full turn. */
    private static float turnedX(int quarters, float x, float y) {
        return quarters == 0 ? x : quarters == 1 ? y : quarters == 2 ? -x : -y;
    }

    private static float turnedY(int quarters, float x, float y) {
        return quarters == 0 ? y : quarters == 1 ? -x : quarters == 2 ? -y : x;
    }

    /** By middle, size and an angle in [-90, 0) degrees, as OpenCV 5 hands a rectangle on. */
    private static MinAreaRectangle fromCorner(
            float cornerX, float cornerY, float alongX, float alongY, float upX, float upY) {
        float middleX = cornerX + (alongX + upX) * 0.5f;
        float middleY = cornerY + (alongY + upY) * 0.5f;
        float width = length(alongX, alongY);
        float height = length(upX, upY);
        double degrees = Math.atan2(alongY, alongX) * 180 / Math.PI;
        while (degrees >= 0) {
            degrees -= 90;
            float swapped = width;
            width = height;
            height = swapped;
        }
        double angle = (float) degrees * Math.PI / 180;
        float halfCosine = (float) Math.cos(angle) * 0.5f;
        float halfSine = (float) Math.sin(angle) * 0.5f;
        float[] corners = {
            middleX - halfSine * height - halfCosine * width,
            middleY + halfCosine * height - halfSine * width,
            middleX + halfSine * height - halfCosine * width,
            middleY - halfCosine * height - halfSine * width,
            middleX + halfSine * height + halfCosine * width,
            middleY - halfCosine * height + halfSine * width,
            middleX - halfSine * height + halfCosine * width,
            middleY + halfCosine * height + halfSine * width
        };
        return new MinAreaRectangle(corners, Math.min(width, height));
    }

    private static float length(float x, float y) {
        return (float) Math.sqrt((double) x * x + (double) y * y);
    }
}
