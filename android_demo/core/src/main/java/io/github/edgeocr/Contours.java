package io.github.edgeocr;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Traces the borders of the regions of a mask: outer borders and those of holes, 8-connected.
 *
 * <p>The border following of S. Suzuki and K. Abe ("Topological structural analysis of digitized
 * binary images by border following", 1985), without their hierarchy. Of a straight run of pixels
 * only the ends are kept.
 */
final class Contours {
    // What a pixel of the mask is, besides 0 outside of all regions and 1 inside of one.
    private static final byte VISITED = 2;
    /** Visited, with the background to its right: no hole begins there any more. */
    private static final byte VISITED_RIGHT = -2;

    /** Steps to the eight neighbours, counter-clockwise on the screen from the right. */
    private static final int[] STEP_X = {1, 1, 0, -1, -1, -1, 0, 1};

    private static final int[] STEP_Y = {0, -1, -1, -1, 0, 1, 1, 1};
    private static final int RIGHT = 0;
    private static final int LEFT = 4;

    private final byte[] mask;
    private final int stride;
    private final int[] steps = new int[8];
    private int[] points = new int[64];
    private int size;

    private Contours(byte[] mask, int stride) {
        this.mask = mask;
        this.stride = stride;
        for (int i = 0; i < 8; i++) {
            steps[i] = STEP_Y[i] * stride + STEP_X[i];
        }
    }

    /**
     * Finds all borders; the mask is used up.
     *
     * @param mask (height + 2) rows of (width + 2) pixels, 1 inside of regions and 0 elsewhere; its
     *     outermost pixels must be 0
     * @return x and y of each border's points in turn, without the mask's margin; the border that
     *     begins lowest comes first
     */
    static List<int[]> trace(byte[] mask, int width, int height) {
        Contours contours = new Contours(mask, width + 2);
        List<int[]> found = new ArrayList<>();
        for (int y = 1; y <= height; y++) {
            int row = y * contours.stride;
            byte before = 0;
            for (int x = 1; x <= width + 1; x++) {
                byte value = mask[row + x];
                if (value == before) {
                    continue;
                }
                if (before == 0 && value == 1) {
                    found.add(contours.follow(x, y, LEFT));
                } else if (value == 0 && before > 0) {
                    found.add(contours.follow(x - 1, y, RIGHT));
                }
                before = mask[row + x];
            }
        }
        Collections.reverse(found);
        return found;
    }

    /**
     * Follows one border.
     *
     * @param outside direction from the first pixel to the background that the border is against
     */
    private int[] follow(int startX, int startY, int outside) {
        size = 0;
        int start = startY * stride + startX;
        int direction = outside;
        do { // clockwise to the pixel that the border will come back from
            direction = direction - 1 & 7;
        } while (mask[start + steps[direction]] == 0 && direction != outside);
        if (direction == outside) {
            mask[start] = VISITED_RIGHT;
            add(startX, startY);
            return Arrays.copyOf(points, size);
        }
        int last = start + steps[direction];
        int x = startX;
        int y = startY;
        int at = start;
        int arrived = direction ^ 4;
        while (true) {
            int from = direction;
            do {
                direction++;
            } while (mask[at + steps[direction & 7]] == 0);
            // Where the search passed over the pixel to the right, that is background.
            if (direction > 8) {
                mask[at] = VISITED_RIGHT;
            } else if (mask[at] == 1) {
                mask[at] = VISITED;
            }
            direction &= 7;
            if (direction != arrived) {
                add(x, y);
                arrived = direction;
            }
            int next = at + steps[direction];
            if (next == start && at == last) {
                return Arrays.copyOf(points, size);
            }
            x += STEP_X[direction];
            y += STEP_Y[direction];
            at = next;
            direction = direction + 4 & 7;
        }
    }

    /** A point without the margin. */
    private void add(int x, int y) {
        if (size + 2 > points.length) {
            points = Arrays.copyOf(points, 2 * points.length);
        }
        points[size++] = x - 1;
        points[size++] = y - 1;
    }
}
