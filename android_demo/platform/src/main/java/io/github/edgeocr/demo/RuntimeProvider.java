package io.github.edgeocr.demo;

/** What the app's {@code Application} is: it knows which LiteRT it was built with. */
public interface RuntimeProvider {
    OcrController.RuntimeSource runtimeSource();

    /** Version of LiteRT; null where the app was not told. */
    String runtimeVersion();
}
