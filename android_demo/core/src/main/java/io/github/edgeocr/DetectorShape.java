package io.github.edgeocr;

import java.util.List;

/**
 * Which input shape of the detector an image goes into.
 *
 * <p>Most static graphs run only the shapes that they were built for ("buckets"), and an image goes
 * into the cheapest that shows it large enough:
 *
 * <ol>
 *   <li>The wanted scale follows the limit as in PP-OCR; the longest side bounds it. The image is
 *       never shown larger than that.
 *   <li>The best scale is the wanted one, or the largest that any bucket has room for.
 *   <li>Of the buckets that show the image at the best scale, or smaller by no more than {@link
 *       #TOLERATED_SHRINK}, the one with the smallest area wins.
 * </ol>
 *
 * <p>Where one side can be resized, a bucket has room for any image along it and is made as long as
 * the image needs. Where both can, each side is rounded to the nearest multiple and the image
 * stretched to that, as PP-OCR does.
 */
final class DetectorShape {
    /** An image may be shown this much smaller than wanted to fit a cheaper bucket. */
    static final double TOLERATED_SHRINK = 1.1;

    private DetectorShape() {}

    /** Network pixels per image pixel at which PP-OCR would show an image. */
    static double wantedScale(
            int height, int width, int limitSide, LimitType limitType, int maxSide) {
        int longer = Math.max(height, width);
        double scale =
                limitType == LimitType.MIN
                        ? Math.max(1, (double) limitSide / Math.min(height, width))
                        : Math.min(1, (double) limitSide / longer);
        return Math.min(scale, (double) maxSide / longer);
    }

    static Signature choose(int height, int width, double wanted, DetectionModel model) {
        List<Signature> buckets = model.signatures;
        if (model.isFree()) {
            return buckets.get(0)
                    .resized(
                            nearestMultiple(height * wanted, model.heightMultiple),
                            nearestMultiple(width * wanted, model.widthMultiple));
        }
        double best = 0;
        for (Signature bucket : buckets) {
            best = Math.max(best, scale(bucket, height, width, wanted, model));
        }
        Signature cheapest = null;
        for (Signature bucket : buckets) {
            double shown = scale(bucket, height, width, wanted, model);
            if (shown * TOLERATED_SHRINK < best) {
                continue;
            }
            Signature shape =
                    bucket.resized(
                            resized(bucket.height, height * shown, model.heightMultiple),
                            resized(bucket.width, width * shown, model.widthMultiple));
            if (cheapest == null || area(shape) < area(cheapest)) {
                cheapest = shape;
            }
        }
        return cheapest;
    }

    /** The largest scale, no larger than wanted, at which a bucket has room for an image. */
    private static double scale(
            Signature bucket, int height, int width, double wanted, DetectionModel model) {
        double scale = wanted;
        if (model.heightMultiple == 0) {
            scale = Math.min(scale, (double) bucket.height / height);
        }
        if (model.widthMultiple == 0) {
            scale = Math.min(scale, (double) bucket.width / width);
        }
        return scale;
    }

    /** The positive multiple that is nearest to a side, as PP-OCR rounds. */
    static int nearestMultiple(double side, int multiple) {
        return Math.max((int) Math.rint((double) (int) side / multiple) * multiple, multiple);
    }

    private static int resized(int side, double needed, int multiple) {
        return multiple == 0 ? side : (int) Math.ceil((needed - 1e-6) / multiple) * multiple;
    }

    private static long area(Signature shape) {
        return (long) shape.height * shape.width;
    }
}
