package io.github.edgeocr;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.Test;

/** What must hold for any input, on a few hundred random ones. */
public class PipelinePropertiesTest {
    /** More than are compared at once, and not a multiple of it. */
    private static final int CLASSES = 21;

    private final Random random = new Random(8);

    @Test
    public void readingOrder_isAPermutationThatFollowsItsInput() {
        for (int round = 0; round < 200; round++) {
            List<Quad> quads = new ArrayList<>();
            for (int i = random.nextInt(25); i >= 0; i--) {
                quads.add(Noise.box(random));
            }
            int[] order = ReadingOrder.of(quads);
            int[] sorted = order.clone();
            Arrays.sort(sorted);
            for (int i = 0; i < sorted.length; i++) {
                assertEquals(i, sorted[i]);
            }
            List<Quad> shuffled = new ArrayList<>(quads);
            Collections.shuffle(shuffled, random);
            assertEquals(inOrder(quads, order), inOrder(shuffled, ReadingOrder.of(shuffled)));
        }
    }

    private static List<Quad> inOrder(List<Quad> quads, int[] order) {
        List<Quad> ordered = new ArrayList<>();
        for (int i : order) {
            ordered.add(quads.get(i));
        }
        return ordered;
    }

    @Test
    public void minAreaRectangle_holdsAllPointsAndIsNoLargerThanTheUprightOne() {
        for (int round = 0; round < 300; round++) {
            int count = 3 + random.nextInt(30);
            int[] points = new int[2 * count];
            int width = 0;
            int height = 0;
            for (int i = 0; i < points.length; i++) {
                points[i] = random.nextInt(500);
                width = i % 2 == 0 ? Math.max(width, points[i]) : width;
                height = i % 2 == 1 ? Math.max(height, points[i]) : height;
            }
            Quad quad = new Quad(MinAreaRectangle.around(points, count).clockwise());
            assertTrue(quad.area() <= (double) width * height + 1);
            for (int i = 0; i < points.length; i += 2) {
                // Corners are floats of up to 700: good to 1e-4.
                assertTrue(isInside(quad, points[i], points[i + 1], 1e-3 * 500));
            }
        }
    }

    @Test
    public void unclippedOutline_liesAroundTheRectangleByItsDistance() {
        for (int round = 0; round < 300; round++) {
            double x = random.nextInt(400);
            double y = random.nextInt(400);
            double width = 3 + random.nextInt(200);
            double height = 3 + random.nextInt(40);
            double[] corners = {x, y, x + width, y, x + width, y + height, x, y + height};
            double ratio = 0.2 + 3 * random.nextDouble();
            double distance = width * height * ratio / (2 * (width + height));
            int[] grown = UnclippedOutline.of(corners, ratio);
            Quad box = new Quad(MinAreaRectangle.around(grown, grown.length / 2).clockwise());
            // Points are rounded to whole pixels, and distances below one leave flat corners.
            assertEquals(x - distance, box.left(), 1);
            assertEquals(y - distance, box.top(), 1);
            assertEquals(x + width + distance, box.right(), 1);
            assertEquals(y + height + distance, box.bottom(), 1);
        }
    }

    @Test
    public void resize_ofOneColour_isThatColour() {
        for (int value = 0; value < 256; value++) {
            byte[] pixels = new byte[3 * 11 * 7];
            Arrays.fill(pixels, (byte) value);
            BgrImage image = BgrImage.fromBgr(pixels, 11, 7);
            int width = 1 + random.nextInt(40);
            int height = 1 + random.nextInt(40);
            for (byte resized : BilinearResize.resize(image, width, height).pixels()) {
                assertEquals((byte) value, resized);
            }
        }
    }

    @Test
    public void ctc_equalsTheDefinition() {
        TensorPort port = new TensorPort("scores", TensorType.INT8, new int[] {1, 9, CLASSES}, 0.11f, 3);
        for (int round = 0; round < 300; round++) {
            byte[] scores = Noise.bytes(round, 9 * CLASSES);
            Tensor output = Tensor.int8(scores, 1, 9, CLASSES);
            CtcPath path = CtcPath.decode(output, port, OutputKind.LOGITS);

            List<Integer> expected = new ArrayList<>();
            int before = 0;
            for (int step = 0; step < 9; step++) {
                int best = 0;
                for (int k = 1; k < CLASSES; k++) {
                    best = scores[step * CLASSES + k] > scores[step * CLASSES + best] ? k : best;
                }
                if (best != 0 && best != before) {
                    int run = expected.size();
                    double sum = 0;
                    for (int k = 0; k < CLASSES; k++) {
                        sum += Math.exp(0.11f * (double) scores[step * CLASSES + k]);
                    }
                    double score = Math.exp(0.11f * (double) scores[step * CLASSES + best]) / sum;
                    assertEquals(step, path.starts[run]);
                    assertEquals(score, path.scores[run], 1e-6); // float32
                    expected.add(best);
                }
                before = best;
            }
            assertEquals(expected.size(), path.count);
            for (int run = 0; run < path.count; run++) {
                assertEquals((int) expected.get(run), path.classes[run]);
            }
        }
    }

    @Test
    public void longLines_areCutIntoPiecesThatFollowEachOther() {
        for (int round = 0; round < 60; round++) {
            int height = 8 * (1 + random.nextInt(6));
            int step = 1 << random.nextInt(4);
            int widest = step * (8 + random.nextInt(40)) + 2 * height;
            LineSplitter splitter = new LineSplitter(height, widest, step);
            int columns = Math.min(
                    splitter.mostColumns(), (int) (widest * (1.2 + 6 * random.nextDouble())));
            List<LineSpan> spans = splitter.split(Noise.image(round, columns, height));
            int own = 0;
            for (LineSpan span : spans) {
                assertEquals(own, span.ownBegin);
                assertTrue(span.ownEnd > span.ownBegin);
                assertTrue(span.begin <= span.ownBegin && span.ownEnd <= span.end);
                assertTrue(span.end - span.begin <= widest);
                assertEquals(0, span.begin % step);
                own = span.ownEnd;
            }
            assertEquals(columns, own);
        }
    }

    @Test
    public void crop_ofAnUprightBox_isACopyOfItsPixels() {
        BgrImage image = Noise.image(4, 80, 60);
        for (int round = 0; round < 200; round++) {
            int x = random.nextInt(40);
            int y = random.nextInt(40);
            int width = 10 + random.nextInt(30);
            int height = 3 + random.nextInt(6);
            Quad quad = new Quad(
                    x, y, x + width, y, x + width, y + height, x, y + height);
            BgrImage crop = LineCrop.cut(image, quad).pixels();
            BgrImage expected = image.gathered(width, height, y * 80 + x, 1, 80);
            assertArrayEquals(expected.pixels(), crop.pixels());
        }
    }

    @Test
    public void projection_sendsTheCornersToTheQuad() {
        for (int round = 0; round < 200; round++) {
            double[] corners = {0, 0, 100, 0, 100, 30, 0, 30};
            // Of the rectangle turned counter-clockwise: its row 0 was column 99.
            double[] turned = {0, 99, 0, -1, 30, -1, 30, 99};
            float[] moved = new float[8];
            for (int i = 0; i < 8; i++) {
                moved[i] = (float) corners[i] + random.nextFloat() * 20;
            }
            Projection projection = Projection.toQuad(100, 30, new Quad(moved));
            Quad[] sent = {projection.apply(corners), projection.turned(100).apply(turned)};
            for (Quad quad : sent) {
                for (int corner = 0; corner < 4; corner++) {
                    assertEquals(moved[2 * corner], quad.x(corner), 1e-3);
                    assertEquals(moved[2 * corner + 1], quad.y(corner), 1e-3);
                }
            }
        }
    }

    @Test
    public void crop_ofOneColourHasThatColour() {
        byte[] grey = new byte[3 * 40 * 30];
        Arrays.fill(grey, (byte) 200);
        BgrImage image = BgrImage.fromBgr(grey, 40, 30);
        for (int round = 0; round < 300; round++) {
            // Any four corners, around the image or far outside of it, convex or not.
            float[] corners = new float[8];
            for (int i = 0; i < 8; i++) {
                corners[i] = random.nextInt(200) - 80 + random.nextFloat();
            }
            Quad quad = new Quad(corners);
            if (quad.area() < 1) {
                continue;
            }
            for (byte level : LineCrop.cut(image, quad).pixels().pixels()) {
                assertEquals((byte) 200, level);
            }
        }
    }

    /** Within a convex quad, or no farther from it than {@code slack} over the length of a side. */
    private static boolean isInside(Quad quad, double x, double y, double slack) {
        for (int corner = 0; corner < 4; corner++) {
            int next = (corner + 1) % 4;
            double dx = quad.x(next) - quad.x(corner);
            double dy = quad.y(next) - quad.y(corner);
            if (dx * (y - quad.y(corner)) - dy * (x - quad.x(corner)) < -slack) {
                return false;
            }
        }
        return true;
    }
}
