package io.github.edgeocr;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.util.Collection;
import java.util.List;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.junit.runners.Parameterized;
import org.junit.runners.Parameterized.Parameters;

/** A whole picture is read as the Python SDK reads it, network outputs being equal. */
@RunWith(Parameterized.class)
public class GoldenPipelineTest {
    /** Python rounds scores to four digits and corners to two. */
    private static final double SCORE_TOLERANCE = 6e-5;

    private static final float CORNER_TOLERANCE = 0.0101f;

    private final GoldenScene scene;

    public GoldenPipelineTest(String name) {
        scene = GoldenScene.read(name);
    }

    @Parameters(name = "{0}")
    public static Collection<Object[]> scenes() {
        return GoldenScene.names();
    }

    @Test
    public void read_givesTheSameLines() {
        RecordedRunners runners = new RecordedRunners(scene.vectors);
        Bundle bundle = Golden.bundle(scene.vectors.get("bundle").text());
        OcrResult result;
        try (Ocr ocr = Ocr.open(bundle, runners, 1)) {
            result = ocr.read(scene.image, scene.options());
        }
        assertTrue("networks were asked less than in Python", runners.isUsedUp());
        Golden expected = scene.vectors.get("lines");
        assertEquals(expected.size(), result.getLines().size());
        for (int i = 0; i < expected.size(); i++) {
            assertLine(expected.get(i), result.getLines().get(i));
        }
    }

    private static void assertLine(Golden expected, TextLine actual) {
        assertEquals(expected.get("text").text(), actual.getText());
        assertEquals(expected.get("score").number(), actual.getConfidence(), SCORE_TOLERANCE);
        assertEquals(
                expected.get("detection_score").number(), actual.getDetectionConfidence(),
                SCORE_TOLERANCE);
        assertEquals(expected.get("rotation").whole(), actual.getRotation());
        assertCorners(expected.get("box").quad(), actual.getCornerPoints());
        List<TextSymbol> symbols = actual.getSymbols();
        if (!expected.has("characters")) {
            assertTrue(symbols.isEmpty());
            return;
        }
        Golden characters = expected.get("characters");
        assertEquals(characters.size(), symbols.size());
        for (int i = 0; i < symbols.size(); i++) {
            assertEquals(characters.get(i).get("text").text(), symbols.get(i).getText());
            assertEquals(
                    characters.get(i).get("score").number(), symbols.get(i).getConfidence(),
                    SCORE_TOLERANCE);
            assertCorners(
                    characters.get(i).get("box").quad(), symbols.get(i).getCornerPoints());
        }
    }

    private static void assertCorners(Quad expected, Quad actual) {
        for (int corner = 0; corner < 4; corner++) {
            assertEquals(expected.x(corner), actual.x(corner), CORNER_TOLERANCE);
            assertEquals(expected.y(corner), actual.y(corner), CORNER_TOLERANCE);
        }
    }
}
