package io.github.edgeocr;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.junit.runners.Parameterized;
import org.junit.runners.Parameterized.Parameters;

/** Every stage by itself gives what the same stage of the Python SDK gives. */
@RunWith(Parameterized.class)
public class GoldenStagesTest {
    /** Python's scores are means of float32, and six digits of them are stored. */
    private static final double SCORE_TOLERANCE = 2e-6;

    private final GoldenScene scene;
    private final Golden vectors;
    private final Ocr ocr;
    private final OcrOptions options;

    public GoldenStagesTest(String name) {
        scene = GoldenScene.read(name);
        vectors = scene.vectors;
        ocr = scene.ocr();
        options = scene.options();
    }

    @Parameters(name = "{0}")
    public static Collection<Object[]> scenes() {
        return GoldenScene.names();
    }

    @Test
    public void image_isDecodedAsInPython() {
        assertEquals(vectors.get("sha256").text(), Golden.sha256(scene.image.pixels()));
    }

    @Test
    public void detectorPrepare_givesTheSameInput() {
        DetectorInput prepared = ocr.detector().prepare(scene.image, options);

        Golden expected = vectors.get("detection");
        assertEquals(expected.get("signature").text(), prepared.signature);
        assertSame(expected.get("input"), prepared.tensor);
    }

    @Test
    public void detectorDecode_givesTheSameRegionsInTheSameOrder() {
        Golden expected = vectors.get("detection");
        DetectorInput prepared = ocr.detector().prepare(scene.image, options);

        List<TextRegion> regions =
                ocr.detector().decode(expected.get("output").tensor(), prepared, options);

        Golden goldenRegions = expected.get("regions");
        assertEquals(goldenRegions.size(), regions.size());
        for (int i = 0; i < regions.size(); i++) {
            // The demand is one pixel; all of them are equal.
            assertEquals(goldenRegions.get(i).get("quad").quad(), regions.get(i).quad);
            assertEquals(
                    goldenRegions.get(i).get("score").number(), regions.get(i).score,
                    SCORE_TOLERANCE);
        }
    }

    @Test
    public void readingOrder_isTheSame() {
        Golden detection = vectors.get("detection");
        List<Quad> quads = new ArrayList<>();
        for (int i = 0; i < detection.get("regions").size(); i++) {
            quads.add(detection.get("regions").get(i).get("quad").quad());
        }
        assertArrayEquals(detection.get("order").wholes(), ReadingOrder.of(quads));
    }

    @Test
    public void crops_areBitExact() {
        for (int i = 0; i < vectors.get("crops").size(); i++) {
            Golden expected = vectors.get("crops").get(i);
            BgrImage crop = crop(i);
            assertEquals(expected.get("width").whole(), crop.width());
            assertEquals(expected.get("height").whole(), crop.height());
            assertEquals(expected.get("sha256").text(), Golden.sha256(crop.pixels()));
        }
    }

    @Test
    public void classifierPrepare_givesTheSameInput() {
        for (int i = 0; i < vectors.get("orientation").size(); i++) {
            Tensor prepared = ocr.classifier().prepare(crop(i));
            assertSame(vectors.get("orientation").get(i).get("input"), prepared);
        }
    }

    @Test
    public void classifierDecode_givesTheSameDirection() {
        for (int i = 0; i < vectors.get("orientation").size(); i++) {
            Golden expected = vectors.get("orientation").get(i);
            Orientation judged =
                    ocr.classifier().decode(expected.get("output").tensor(), options);
            assertEquals(expected.get("upside_down").flag(), judged.upsideDown);
            assertEquals(expected.get("score").number(), judged.score, SCORE_TOLERANCE);
        }
    }

    @Test
    public void recogniserPrepare_givesTheSameInputs() {
        List<String> recorded = new ArrayList<>();
        for (int i = 0; i < vectors.get("recognition").size(); i++) {
            Golden pieces = vectors.get("recognition").get(i).get("pieces");
            List<String> line = new ArrayList<>();
            for (int j = 0; j < pieces.size(); j++) {
                Golden piece = pieces.get(j);
                line.add(
                        Arrays.toString(piece.get("span").wholes())
                                + piece.get("signature").text()
                                + Arrays.toString(piece.get("input").get("shape").wholes())
                                + piece.get("input").get("sha256").text());
            }
            recorded.add(line.toString());
        }
        for (int i = 0; i < vectors.get("crops").size(); i++) {
            boolean turned = vectors.get("orientation").get(i).get("upside_down").flag();
            BgrImage line = turned ? crop(i).rotated(180) : crop(i);
            String prepared = described(ocr.recogniser().prepare(line));
            assertTrue(prepared, recorded.contains(prepared));
        }
    }

    @Test
    public void recogniserDecode_givesTheSameCharacters() {
        for (int i = 0; i < vectors.get("recognition").size(); i++) {
            Golden expected = vectors.get("recognition").get(i);

            Reading reading = ocr.recogniser().decode(outputs(expected), prepared(expected));

            assertEquals(expected.get("text").text(), reading.text());
            assertEquals(expected.get("score").number(), reading.score(), SCORE_TOLERANCE);
            assertEquals(expected.get("step_width").number(), reading.stepWidth(), 1e-9);
            for (int j = 0; j < reading.characters().size(); j++) {
                assertEquals(
                        expected.get("scores").get(j).number(), reading.score(j), SCORE_TOLERANCE);
                assertEquals(expected.get("starts").get(j).whole(), reading.start(j));
                assertEquals(expected.get("ends").get(j).whole(), reading.end(j));
            }
        }
    }

    private Quad regionInOrder(int i) {
        Golden detection = vectors.get("detection");
        int region = detection.get("order").get(i).whole();
        return detection.get("regions").get(region).get("quad").quad();
    }

    private BgrImage crop(int i) {
        return LineCrop.cut(scene.image, regionInOrder(i)).pixels();
    }

    private String described(PreparedLine prepared) {
        List<String> pieces = new ArrayList<>();
        for (LinePiece piece : prepared.pieces) {
            LineSpan span = piece.span;
            int[] columns = {span.begin, span.end, span.ownBegin, span.ownEnd};
            pieces.add(
                    Arrays.toString(columns)
                            + piece.signature
                            + Arrays.toString(piece.tensor.shape())
                            + Golden.sha256(piece.tensor));
        }
        return pieces.toString();
    }

    private static List<Tensor> outputs(Golden line) {
        List<Tensor> outputs = new ArrayList<>();
        for (int i = 0; i < line.get("pieces").size(); i++) {
            outputs.add(line.get("pieces").get(i).get("output").tensor());
        }
        return outputs;
    }

    private PreparedLine prepared(Golden line) {
        List<LinePiece> pieces = new ArrayList<>();
        double columnsPerStep = 0;
        for (int i = 0; i < line.get("pieces").size(); i++) {
            Golden piece = line.get("pieces").get(i);
            int[] span = piece.get("span").wholes();
            int[] shape = piece.get("input").get("shape").wholes();
            columnsPerStep =
                    (double) shape[2] / piece.get("output").get("shape").wholes()[1];
            pieces.add(
                    new LinePiece(
                            null, piece.get("signature").text(),
                            new LineSpan(span[0], span[1], span[2], span[3])));
        }
        return new PreparedLine(pieces, columnsPerStep / line.get("step_width").number());
    }

    private static void assertSame(Golden expected, Tensor actual) {
        assertArrayEquals(expected.get("shape").wholes(), actual.shape());
        assertEquals(expected.get("sha256").text(), Golden.sha256(actual));
    }
}
