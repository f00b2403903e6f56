package io.github.edgeocr.demo;

import android.app.Application;
import io.github.edgeocr.RuntimeUnavailableException;
import io.github.edgeocr.TensorRunner;
import io.github.edgeocr.litert.LiteRtRunner;
import java.io.File;

/** Runs models with the libraries that were packed into the app; LiteRT's may be missing. */
public final class DemoApplication extends Application implements RuntimeProvider {
    private static final String LITE_RT = "libLiteRt.so";

    @Override
    public OcrController.RuntimeSource runtimeSource() {
        final String folder = getApplicationInfo().nativeLibraryDir;
        return new OcrController.RuntimeSource() {
            @Override
            public TensorRunner.Factory open() {
                File liteRt = new File(folder, LITE_RT);
                if (!liteRt.exists()) {
                    throw new RuntimeUnavailableException(
                            "This app was built without LiteRT, so it can't read. Build it with"
                                    + " build_offline.sh --litert AAR, or with Gradle.");
                }
                return LiteRtRunner.load(
                        new File(folder, "libedgeocr_litert.so").getPath(), liteRt.getPath());
            }
        };
    }

    @Override
    public String runtimeVersion() {
        return null;
    }
}
