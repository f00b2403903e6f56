package io.github.edgeocr.demo;

import android.graphics.Bitmap;
import io.github.edgeocr.BgrImage;
import io.github.edgeocr.BundleFiles;
import io.github.edgeocr.OcrResult;
import java.io.IOException;
import java.util.concurrent.Executor;

/**
 * Turns what the user and the camera do into the state of the screen. Knows no Context, and is used
 * by the main thread alone, but for {@link #onFrame}.
 */
final class ScreenModel {
    /** Told of every new state, on the main thread. */
    interface Screen {
        void show(UiState state);
    }

    /** Where a picture comes from; loaded on the controller's thread. */
    interface Picture {
        Bitmap load() throws IOException;
    }

    private final OcrController controller;
    private final Screen screen;
    private volatile DemoSettings settings;
    private volatile boolean live;
    private volatile boolean wantsPhoto;
    private volatile Bitmap loaded;
    private UiState state = new UiState(false, null, null, null);

    ScreenModel(
            BundleFiles bundle,
            OcrController.RuntimeSource runtime,
            Executor mainThread,
            DemoSettings settings,
            Screen screen) {
        this.settings = settings;
        this.screen = screen;
        controller =
                new OcrController(
                        bundle,
                        runtime,
                        mainThread,
                        new OcrController.Listener() {
                            @Override
                            public void onRead(OcrResult result) {
                                change(new UiState(live, loaded, result, null));
                            }

                            @Override
                            public void onFailed(String message) {
                                live = false;
                                change(new UiState(false, loaded, null, message));
                            }
                        });
    }

    /** Shows the camera and reads its frames. */
    void startLive() {
        loaded = null;
        live = true;
        change(new UiState(true, null, null, null));
    }

    /** Reads no more frames: for what the camera can't do, a reason. */
    void stopLive(String problem) {
        live = false;
        change(new UiState(false, state.picture, state.result, problem));
    }

    /** Keeps the camera's next frame, and reads it. */
    void takePhoto() {
        loaded = null;
        wantsPhoto = true;
    }

    /** Whether a frame would be used; others need not be converted. */
    boolean wantsFrame() {
        return wantsPhoto || (live && !controller.isBusy());
    }

    /** A frame of the camera, upright; called on the camera's thread. */
    void onFrame(final BgrImage frame) {
        if (wantsPhoto) {
            wantsPhoto = false;
            read(
                    new Picture() {
                        @Override
                        public Bitmap load() {
                            return Pictures.bitmap(frame);
                        }
                    });
        } else if (live) {
            controller.offer(
                    new ImageSource() {
                        @Override
                        public BgrImage load() {
                            return frame;
                        }
                    },
                    settings);
        }
    }

    /** Shows a picture and reads it. */
    void read(final Picture picture) {
        live = false;
        controller.read(
                new ImageSource() {
                    @Override
                    public BgrImage load() throws IOException {
                        loaded = null;
                        Bitmap bitmap = picture.load();
                        BgrImage pixels = Pictures.pixels(bitmap);
                        loaded = bitmap;
                        return pixels;
                    }
                },
                settings);
    }

    /** Reads with other settings from now on, and the picture that is shown once more. */
    void choose(DemoSettings chosen) {
        settings = chosen;
        final Bitmap shown = state.picture;
        if (shown != null) {
            read(
                    new Picture() {
                        @Override
                        public Bitmap load() {
                            return shown;
                        }
                    });
        }
    }

    String text() {
        return state.text();
    }

    void close() {
        live = false;
        controller.close();
    }

    private void change(UiState next) {
        state = next;
        screen.show(next);
    }
}
