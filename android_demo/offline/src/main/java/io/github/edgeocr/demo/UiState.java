package io.github.edgeocr.demo;

import android.graphics.Bitmap;
import io.github.edgeocr.OcrResult;

/** All that the screen shows. Unchangeable. */
final class UiState {
    /** Whether the camera's frames are read one after the other. */
    final boolean live;

    /** The picture that is shown; null for the camera's preview. */
    final Bitmap picture;

    /** What was read; null before that. */
    final OcrResult result;

    /** What went wrong; null for nothing. */
    final String problem;

    UiState(boolean live, Bitmap picture, OcrResult result, String problem) {
        this.live = live;
        this.picture = picture;
        this.result = result;
        this.problem = problem;
    }

    String text() {
        return result == null ? "" : result.getText();
    }
}
