package io.github.edgeocr;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/**
 * The order in which a person would read the boxes of a page.
 *
 * <p>A heuristic on boxes alone, made for pages of horizontal lines:
 *
 * <ol>
 *   <li>The skew of the page is the length-weighted median direction of its elongated boxes, and
 *       everything below happens in coordinates turned by it. Boxes at least 1.5 times as high as
 *       wide count as lines that run downwards; where they prevail, the page reads from its right
 *       edge to its left.
 *   <li>Boxes share a row if the centres of neighbours differ by less than half of the lower one's
 *       height.
 *   <li>A gap in a row separates columns only if a straight gutter runs through at least three rows
 *       with a neighbour on either side, no box crosses it there, and the neighbours are long lines:
 *       six times as long as high and twice as long as the gap is wide.
 *   <li>Pieces of rows are sorted as T. Breuel does ("High Performance Document Layout Analysis",
 *       2003): above before below where they share columns; left before right unless a piece between
 *       them spans both, as a heading does.
 * </ol>
 */
public final class ReadingOrder {
    /** Height over width from which a box is a line that runs downwards. */
    private static final double TALL = 1.5;
    /** Length over height from which a box's direction says something about the page's. */
    private static final double ELONGATED = 2.0;
    /** Widest gap within a line of text, in median heights. */
    private static final double WORD_GAP = 0.7;

    private static final int GUTTER_ROWS = 3;
    /** Least median length of the lines beside a gutter, in median heights. */
    private static final double LONG_LINE = 6.0;
    /** Least median length of the lines beside a gutter, in widths of the gap. */
    private static final double LINES_PER_GUTTER = 2.0;

    private final int count;
    // Bounds of the boxes in coordinates turned by the skew.
    private final double[] left;
    private final double[] right;
    private final double[] middle;
    private final double[] heights;

    /** Boxes side by side in one row. */
    private static final class Span {
        final List<Integer> boxes = new ArrayList<>();
        final double left;
        double right;
        final int row;

        Span(int box, double left, double right, int row) {
            boxes.add(box);
            this.left = left;
            this.right = right;
            this.row = row;
        }

        double length() {
            return right - left;
        }
    }

    private ReadingOrder(List<Quad> quads) {
        count = quads.size();
        left = new double[count];
        right = new double[count];
        middle = new double[count];
        heights = new double[count];
        double angle = skew(quads);
        double cosine = Math.cos(angle);
        double sine = Math.sin(angle);
        for (int i = 0; i < count; i++) {
            double top = Double.POSITIVE_INFINITY;
            double bottom = Double.NEGATIVE_INFINITY;
            left[i] = Double.POSITIVE_INFINITY;
            right[i] = Double.NEGATIVE_INFINITY;
            for (int corner = 0; corner < 4; corner++) {
                double x = quads.get(i).x(corner);
                double y = quads.get(i).y(corner);
                double turnedX = x * cosine + y * sine;
                double turnedY = -x * sine + y * cosine;
                left[i] = Math.min(left[i], turnedX);
                right[i] = Math.max(right[i], turnedX);
                top = Math.min(top, turnedY);
                bottom = Math.max(bottom, turnedY);
            }
            middle[i] = (top + bottom) / 2;
            heights[i] = bottom - top;
        }
    }

    /**
     * Indices of the quads in reading order: the same for every permutation, translation and uniform
     * scaling of them, up to boxes whose places are exactly equal.
     */
    public static int[] of(List<Quad> quads) {
        if (quads.size() < 2) {
            return quads.isEmpty() ? new int[0] : new int[] {0};
        }
        return new ReadingOrder(quads).order();
    }

    private int[] order() {
        List<List<Integer>> rows = rows();
        double height = median(heights);
        List<Span> spans = new ArrayList<>();
        for (int number = 0; number < rows.size(); number++) {
            joinWords(rows.get(number), number, WORD_GAP * height, spans);
        }
        boolean[] startsColumn = gutters(spans, rows.size(), height);
        List<Span> pieces = joinRowPieces(spans, startsColumn);
        boolean columns = false;
        for (boolean starts : startsColumn) {
            columns |= starts;
        }
        int[] order = new int[count];
        int at = 0;
        for (int piece : columns ? topologicalOrder(pieces) : upTo(pieces.size())) {
            for (int box : pieces.get(piece).boxes) {
                order[at++] = box;
            }
        }
        return order;
    }

    /**
     * Direction of the lines of a page in radians; positive where they fall to the right. Close to
     * pi / 2 for pages whose lines run downwards; 0 without any elongated box.
     */
    static double skew(List<Quad> quads) {
        final double[] angles = new double[quads.size()];
        double[] lengths = new double[quads.size()];
        List<Integer> elongated = new ArrayList<>();
        double total = 0;
        for (int i = 0; i < quads.size(); i++) {
            Quad quad = quads.get(i);
            double acrossX = between(quad.x(1), quad.x(2), quad.x(0), quad.x(3));
            double acrossY = between(quad.y(1), quad.y(2), quad.y(0), quad.y(3));
            double downX = between(quad.x(3), quad.x(2), quad.x(0), quad.x(1));
            double downY = between(quad.y(3), quad.y(2), quad.y(0), quad.y(1));
            double width = Math.hypot(acrossX, acrossY);
            double height = Math.hypot(downX, downY);
            boolean tall = height >= TALL * width;
            lengths[i] = Math.max(width, height);
            if (lengths[i] >= ELONGATED * Math.max(Math.min(width, height), 1e-9)) {
                angles[i] = tall ? Math.atan2(downY, downX) : Math.atan2(acrossY, acrossX);
                elongated.add(i);
                total += lengths[i];
            }
        }
        Collections.sort(
                elongated,
                new Comparator<Integer>() {
                    @Override
                    public int compare(Integer one, Integer other) {
                        return Double.compare(angles[one], angles[other]);
                    }
                });
        double sum = 0;
        for (int i : elongated) {
            sum += lengths[i];
            if (sum >= total / 2) {
                return angles[i];
            }
        }
        return 0;
    }

    /** From the middle between two places to the middle between two others. */
    private static double between(float to, float alsoTo, float from, float alsoFrom) {
        return ((double) to + alsoTo - from - alsoFrom) / 2;
    }

    /** Rows from top to bottom, each from left to right. */
    private List<List<Integer>> rows() {
        List<Integer> fromTop = upTo(count);
        Collections.sort(
                fromTop,
                new Comparator<Integer>() {
                    @Override
                    public int compare(Integer one, Integer other) {
                        int order = Double.compare(middle[one], middle[other]);
                        return order != 0 ? order : Double.compare(left[one], left[other]);
                    }
                });
        double tallest = 0;
        for (double height : heights) {
            tallest = Math.max(tallest, height);
        }
        List<List<Integer>> rows = new ArrayList<>();
        List<List<Integer>> openRows = new ArrayList<>();
        for (int box : fromTop) {
            List<List<Integer>> stillOpen = new ArrayList<>();
            List<Integer> best = null;
            double bestDistance = Double.POSITIVE_INFINITY;
            for (List<Integer> row : openRows) {
                if (middle[box] - middle[row.get(row.size() - 1)] > tallest / 2) {
                    continue;
                }
                stillOpen.add(row);
                // The nearest of the row, and not all of it: the rows of a page seen at an angle fan
                // out, and no single skew levels them.
                int nearest = nearest(box, row);
                double distance = middle[box] - middle[nearest];
                double reach = Math.min(heights[box], heights[nearest]) / 2;
                if (distance < Math.min(reach, bestDistance) && !collides(box, row)) {
                    best = row;
                    bestDistance = distance;
                }
            }
            openRows = stillOpen;
            if (best == null) {
                best = new ArrayList<>();
                rows.add(best);
                openRows.add(best);
            }
            best.add(box);
        }
        Collections.sort(
                rows,
                new Comparator<List<Integer>>() {
                    @Override
                    public int compare(List<Integer> one, List<Integer> other) {
                        return Double.compare(meanMiddle(one), meanMiddle(other));
                    }
                });
        for (List<Integer> row : rows) {
            Collections.sort(
                    row,
                    new Comparator<Integer>() {
                        @Override
                        public int compare(Integer one, Integer other) {
                            int order = Double.compare(left[one], left[other]);
                            return order != 0 ? order : Double.compare(right[one], right[other]);
                        }
                    });
        }
        return rows;
    }

    private int nearest(int box, List<Integer> row) {
        int nearest = -1;
        double least = Double.POSITIVE_INFINITY;
        for (int other : row) {
            double gap = Math.max(left[box] - right[other], left[other] - right[box]);
            if (gap < least) {
                least = gap;
                nearest = other;
            }
        }
        return nearest;
    }

    /** Whether a box lies above or below one of the row rather than beside it. */
    private boolean collides(int box, List<Integer> row) {
        for (int other : row) {
            double shared = Math.min(right[other], right[box]) - Math.max(left[other], left[box]);
            double width = Math.min(right[other] - left[other], right[box] - left[box]);
            if (shared > width / 2) {
                return true;
            }
        }
        return false;
    }

    private double meanMiddle(List<Integer> row) {
        double sum = 0;
        for (int box : row) {
            sum += middle[box];
        }
        return sum / row.size();
    }

    private void joinWords(List<Integer> row, int number, double widestGap, List<Span> spans) {
        Span open = null;
        for (int box : row) {
            if (open != null && left[box] - open.right <= widestGap) {
                open.boxes.add(box);
                open.right = Math.max(open.right, right[box]);
            } else {
                open = new Span(box, left[box], right[box], number);
                spans.add(open);
            }
        }
    }

    /** Which spans start a column: a gutter runs along their left side. */
    private static boolean[] gutters(List<Span> spans, int rowCount, double height) {
        boolean[] starts = new boolean[spans.size()];
        for (int candidate = 1; candidate < spans.size(); candidate++) {
            Span span = spans.get(candidate);
            if (starts[candidate] || !hasNeighbour(spans, candidate)) {
                continue;
            }
            double x = span.left - WORD_GAP * height / 4;
            boolean[] crossed = new boolean[rowCount];
            for (Span other : spans) {
                crossed[other.row] |= other.left < x && other.right > x;
            }
            if (crossed[span.row]) {
                continue;
            }
            // The stretch of rows around this one that nothing crosses at x.
            int first = span.row;
            while (first > 0 && !crossed[first - 1]) {
                first--;
            }
            int last = span.row;
            while (last + 1 < rowCount && !crossed[last + 1]) {
                last++;
            }
            List<Integer> beside = new ArrayList<>();
            for (int i = 1; i < spans.size(); i++) {
                Span other = spans.get(i);
                if (hasNeighbour(spans, i)
                        && first <= other.row
                        && other.row <= last
                        && spans.get(i - 1).right <= x
                        && x <= other.left) {
                    beside.add(i);
                }
            }
            if (beside.size() >= GUTTER_ROWS && isGutter(spans, beside, height)) {
                for (int i : beside) {
                    starts[i] = true;
                }
            }
        }
        return starts;
    }

    /** Whether a span has one to its left in its row. */
    private static boolean hasNeighbour(List<Span> spans, int i) {
        return spans.get(i).row == spans.get(i - 1).row;
    }

    /** Whether the lines on either side of a gap are long enough for columns. */
    private static boolean isGutter(List<Span> spans, List<Integer> beside, double height) {
        double[] gaps = new double[beside.size()];
        double[] lengths = new double[beside.size()];
        double[] neighbourLengths = new double[beside.size()];
        for (int i = 0; i < gaps.length; i++) {
            Span span = spans.get(beside.get(i));
            Span neighbour = spans.get(beside.get(i) - 1);
            gaps[i] = span.left - neighbour.right;
            lengths[i] = span.length();
            neighbourLengths[i] = neighbour.length();
        }
        double shortest = Math.min(median(lengths), median(neighbourLengths));
        return shortest >= Math.max(LONG_LINE * height, LINES_PER_GUTTER * median(gaps));
    }

    private static List<Span> joinRowPieces(List<Span> spans, boolean[] startsColumn) {
        List<Span> pieces = new ArrayList<>();
        for (int i = 0; i < spans.size(); i++) {
            Span span = spans.get(i);
            Span last = pieces.isEmpty() ? null : pieces.get(pieces.size() - 1);
            if (last != null && last.row == span.row && !startsColumn[i]) {
                last.boxes.addAll(span.boxes);
                last.right = Math.max(last.right, span.right);
            } else {
                pieces.add(span);
            }
        }
        return pieces;
    }

    /** Breuel's order; pieces come from top to bottom, and from left to right in a row. */
    private static List<Integer> topologicalOrder(List<Span> pieces) {
        int count = pieces.size();
        boolean[][] before = new boolean[count][count];
        int[] waiting = new int[count];
        for (int i = 0; i < count; i++) {
            for (int j = 0; j < count; j++) {
                Span one = pieces.get(i);
                Span other = pieces.get(j);
                boolean shareColumns = overlap(one, other);
                boolean above = one.row < other.row && shareColumns;
                boolean beside = one.right <= other.left && !shareColumns;
                before[i][j] = above || beside && !isSpanned(pieces, one, other);
                waiting[j] += before[i][j] ? 1 : 0;
            }
        }
        List<Integer> order = new ArrayList<>();
        boolean[] taken = new boolean[count];
        while (order.size() < count) {
            // Boxes that overlap in odd ways may wait for each other: the topmost goes first.
            int chosen = -1;
            for (int i = 0; i < count && (chosen < 0 || waiting[chosen] > 0); i++) {
                if (!taken[i] && (chosen < 0 || waiting[i] == 0)) {
                    chosen = i;
                }
            }
            order.add(chosen);
            taken[chosen] = true;
            for (int j = 0; j < count; j++) {
                waiting[j] -= before[chosen][j] ? 1 : 0;
            }
        }
        return order;
    }

    private static boolean overlap(Span one, Span other) {
        return one.left < other.right && other.left < one.right;
    }

    /** Whether a piece in a row between those of two others shares columns with both. */
    private static boolean isSpanned(List<Span> pieces, Span one, Span other) {
        int upper = Math.min(one.row, other.row);
        int lower = Math.max(one.row, other.row);
        for (Span piece : pieces) {
            if (upper < piece.row
                    && piece.row < lower
                    && overlap(one, piece)
                    && overlap(piece, other)) {
                return true;
            }
        }
        return false;
    }

    private static List<Integer> upTo(int count) {
        List<Integer> indices = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            indices.add(i);
        }
        return indices;
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int half = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }
}
