package io.github.edgeocr;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.Test;

/** What stands for OpenCV, Clipper and NumPy in the SDK gives what they give. */
public class GoldenPrimitivesTest {
    private static final Golden VECTORS = Golden.read("jvm/primitives.json");

    @Test
    public void resize_isBitExact() {
        for (Golden expected : VECTORS.get("resizes").items()) {
            int[] from = expected.get("from").wholes();
            int[] to = expected.get("to").wholes();
            long seed = expected.get("seed").whole();
            BgrImage image = Noise.image(seed, from[1], from[0]);
            BgrImage colour = BilinearResize.resize(image, to[1], to[0]);
            assertEquals(expected.get("colour").text(), Golden.sha256(colour.pixels()));

            byte[] grey = Noise.bytes(seed, from[0] * from[1]);
            assertEquals(
                    expected.get("grey").text(), Golden.sha256(resizedGrey(grey, from, to)));
        }
    }

    @Test
    public void resizeOfFloats_isTheSameUpToTheLastDigits() {
        for (Golden expected : VECTORS.get("resizes").items()) {
            int[] from = expected.get("from").wholes();
            int[] to = expected.get("to").wholes();
            byte[] grey = Noise.bytes(expected.get("seed").whole(), from[0] * from[1]);
            float[] real = new float[grey.length];
            for (int i = 0; i < grey.length; i++) {
                real[i] = (grey[i] & 255) / 7f;
            }
            float[] resized = BilinearResize.resize(real, from[1], from[0], to[1], to[0]);
            double sum = 0;
            for (float value : resized) {
                sum += value;
            }
            // Values reach 36: five digits, of which float32 holds seven.
            double mean = sum / resized.length;
            assertEquals(expected.get("real_mean").number(), mean, 4e-4);
            for (int i = 0; i < 4; i++) {
                double corner = expected.get("real_corner").get(i).number();
                assertEquals(corner, resized[i / 2 * to[1] + i % 2], 4e-5);
            }
        }
    }

    @Test
    public void contours_areTheSameInTheSameOrder() {
        for (Golden expected : VECTORS.get("contours").items()) {
            Golden rows = expected.get("mask");
            int width = rows.get(0).text().length();
            byte[] mask = new byte[(width + 2) * (rows.size() + 2)];
            for (int y = 0; y < rows.size(); y++) {
                for (int x = 0; x < width; x++) {
                    mask[(y + 1) * (width + 2) + x + 1] = (byte) (rows.get(y).text().charAt(x) - '0');
                }
            }
            List<int[]> contours = Contours.trace(mask, width, rows.size());
            Golden goldenContours = expected.get("contours");
            assertEquals(goldenContours.size(), contours.size());
            for (int i = 0; i < contours.size(); i++) {
                assertArrayEquals(goldenContours.get(i).wholes(), contours.get(i));
            }
        }
    }

    @Test
    public void rectangles_areEqualToTheLastBit() {
        for (Golden expected : VECTORS.get("rectangles").items()) {
            int[] points = expected.get("points").wholes();
            MinAreaRectangle rectangle = MinAreaRectangle.around(points, points.length / 2);
            assertArrayEquals(expected.get("corners").doubles(), rectangle.corners, 0);
            assertArrayEquals(expected.get("quad").floats(), rectangle.clockwise(), 0);
            assertEquals(expected.get("short_side").number(), rectangle.shorterSide, 0);
        }
    }

    @Test
    public void polygons_areFilledTheSame() {
        for (Golden expected : VECTORS.get("fills").items()) {
            int[] size = expected.get("size").wholes();
            int[] points = expected.get("points").wholes();
            PolygonMask mask = PolygonMask.of(points, size[1], size[0]);
            int area = 0;
            for (byte pixel : mask.pixels) {
                area += pixel;
            }
            assertEquals(expected.get("area").whole(), area);
            assertEquals(expected.get("sha256").text(), Golden.sha256(mask.pixels));
        }
    }

    @Test
    public void outlines_areGrownTheSame() {
        for (Golden expected : VECTORS.get("unclips").items()) {
            int[] grown = UnclippedOutline.of(
                    expected.get("corners").doubles(), expected.get("ratio").number());
            float[] quad = grown.length == 0
                    ? new float[0]
                    : MinAreaRectangle.around(grown, grown.length / 2).clockwise();
            assertArrayEquals(expected.get("quad").floats(), quad, 0);
        }
    }

    @Test
    public void crops_areBitExact() {
        BgrImage image = Noise.image(99, 120, 90);
        for (Golden expected : VECTORS.get("crops").items()) {
            BgrImage crop = LineCrop.cut(image, expected.get("quad").quad()).pixels();
            int[] size = {crop.height(), crop.width()};
            assertArrayEquals(expected.get("size").wholes(), size);
            assertEquals(expected.get("sha256").text(), Golden.sha256(crop.pixels()));
        }
    }

    @Test
    public void readingOrders_areTheSame() {
        for (Golden expected : VECTORS.get("orders").items()) {
            List<Quad> quads = new ArrayList<>();
            for (Golden quad : expected.get("quads").items()) {
                quads.add(quad.quad());
            }
            assertArrayEquals(expected.get("order").wholes(), ReadingOrder.of(quads));
        }
    }

    @Test
    public void wideCharacters_areThoseOfUnicode() {
        for (Golden range : VECTORS.get("widths").items()) {
            boolean wide = range.get(2).flag();
            for (int code = range.get(0).whole(); code <= range.get(1).whole(); code++) {
                if (Character.isDefined(code)) {
                    assertEquals(Integer.toHexString(code), wide, EastAsianWidth.isWide(code));
                }
            }
        }
    }

    private static byte[] resizedGrey(byte[] grey, int[] from, final int[] to) {
        final byte[] resized = new byte[to[0] * to[1]];
        BilinearResize.resize(
                grey, from[1], from[0], 1, to[1], to[0],
                new BilinearResize.RowSink() {
                    @Override
                    public void accept(int y, int[] row) {
                        for (int x = 0; x < to[1]; x++) {
                            resized[y * to[1] + x] = (byte) row[x];
                        }
                    }
                });
        return resized;
    }
}
