package io.github.edgeocr;

import java.util.ArrayList;
import java.util.List;

/**
 * Text boxes from the probability map of a DB detector.
 *
 * <p>Differentiable Binarization (Liao et al., arXiv:1911.08947) predicts shrunk text kernels. A box
 * is a connected region above the threshold whose mean probability reaches the box threshold, grown
 * by {@code area * unclipRatio / perimeter}; sizes, order of the steps and defaults are those of
 * PP-OCR's DB post-processing.
 */
final class DbBoxes {
    // Shorter sides in map pixels: of a kernel, and of the box grown from it.
    private static final int MIN_KERNEL_SIDE = 3;
    private static final int MIN_BOX_SIDE = 5;

    private DbBoxes() {}

    /** One text region; its corners may reach over the edges of the map. */
    static final class Box {
        /** x and y of four corners in map pixels, clockwise from the top-left. */
        final float[] corners;
        /** Mean text probability of the kernel in [0, 1]. */
        final double score;

        Box(float[] corners, double score) {
            this.corners = corners;
            this.score = score;
        }
    }

    /** The parameters of PP-OCR's DB post-processing; see {@link OcrOptions}. */
    static final class Parameters {
        final double threshold;
        final double boxThreshold;
        final double unclipRatio;
        final int maxCandidates;
        final boolean dilation;
        final ScoreMode scoreMode;

        Parameters(
                double threshold,
                double boxThreshold,
                double unclipRatio,
                int maxCandidates,
                boolean dilation,
                ScoreMode scoreMode) {
            this.threshold = threshold;
            this.boxThreshold = boxThreshold;
            this.unclipRatio = unclipRatio;
            this.maxCandidates = maxCandidates;
            this.dilation = dilation;
            this.scoreMode = scoreMode;
        }
    }

    /** The boxes of one map, in no particular order. */
    static List<Box> decode(ProbabilityMap map, Parameters parameters) {
        byte[] mask = map.mask(parameters.threshold, parameters.dilation);
        List<Box> boxes = new ArrayList<>();
        int candidates = 0;
        for (int[] contour : Contours.trace(mask, map.width, map.height)) {
            if (++candidates > parameters.maxCandidates) {
                break;
            }
            Box box = decode(contour, map, parameters);
            if (box != null) {
                boxes.add(box);
            }
        }
        return boxes;
    }

    /** The box of one contour, or null. */
    private static Box decode(int[] contour, ProbabilityMap map, Parameters parameters) {
        MinAreaRectangle kernel = MinAreaRectangle.around(contour, contour.length / 2);
        if (kernel.shorterSide < MIN_KERNEL_SIDE) {
            return null;
        }
        boolean slow = parameters.scoreMode == ScoreMode.SLOW;
        double score = map.meanInside(slow ? asDoubles(contour) : kernel.corners);
        if (score < parameters.boxThreshold) {
            return null;
        }
        int[] grown = UnclippedOutline.of(kernel.corners, parameters.unclipRatio);
        if (grown.length == 0) {
            return null;
        }
        MinAreaRectangle box = MinAreaRectangle.around(grown, grown.length / 2);
        if (box.shorterSide < MIN_BOX_SIDE) {
            return null;
        }
        return new Box(box.clockwise(), Math.min(Math.max(score, 0), 1));
    }

    private static double[] asDoubles(int[] points) {
        double[] converted = new double[points.length];
        for (int i = 0; i < points.length; i++) {
            converted[i] = points[i];
        }
        return converted;
    }
}
