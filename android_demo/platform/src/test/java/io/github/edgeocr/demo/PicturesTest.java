package io.github.edgeocr.demo;

import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import android.graphics.Bitmap;
import io.github.edgeocr.ImageException;
import org.junit.Test;

/** What of Pictures runs without a phone. */
public final class PicturesTest {
    /** Android's decoders return null for what they can't decode. */
    @Test
    public void aMissingBitmapIsNoPicture() {
        ImageException error =
                assertThrows(ImageException.class, () -> Pictures.pixels((Bitmap) null));
        assertTrue(error.getMessage(), error.getMessage().contains("no picture"));
    }
}
