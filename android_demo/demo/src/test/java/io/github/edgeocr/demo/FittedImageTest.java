package io.github.edgeocr.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Random;
import org.junit.Test;

public final class FittedImageTest {
    /** Of a view's pixels: coordinates are floats of up to 4000, with 24 bits. */
    private static final float ROUNDING = 0.01f;

    @Test
    public void theWholeImageIsInTheViewAndTouchesTwoOfItsEdges() {
        Random random = new Random(1);
        for (int i = 0; i < 1000; i++) {
            int width = 1 + random.nextInt(4000);
            int height = 1 + random.nextInt(4000);
            int viewWidth = 1 + random.nextInt(4000);
            int viewHeight = 1 + random.nextInt(4000);
            FittedImage fitted = new FittedImage(width, height, viewWidth, viewHeight);
            float left = fitted.x(0);
            float top = fitted.y(0);
            assertTrue(left >= -ROUNDING && top >= -ROUNDING);
            assertEquals(left, viewWidth - fitted.x(width), ROUNDING);
            assertEquals(top, viewHeight - fitted.y(height), ROUNDING);
            assertEquals(0, Math.min(left, top), ROUNDING);
        }
    }

    @Test
    public void aViewWithoutSizeShowsAPoint() {
        FittedImage fitted = new FittedImage(640, 480, 0, 0);
        assertEquals(0, fitted.x(640), 0);
        assertEquals(0, fitted.y(480), 0);
    }

    @Test
    public void anEmptyImageIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> new FittedImage(0, 480, 9, 9));
        assertThrows(IllegalArgumentException.class, () -> new FittedImage(640, 0, 9, 9));
    }
}
