package io.github.edgeocr.measure;

import io.github.edgeocr.BgrImage;
import io.github.edgeocr.BundleFiles;
import io.github.edgeocr.TensorRunner;
import java.io.IOException;
import java.util.Map;

/** What a measurement needs of the machine that it runs on. */
public interface Device {
    /** Who measures, as the result names it: "android" or "jvm". */
    String app();

    /** Of the app, the system and the runtime. */
    Map<String, Object> versions();

    /** What does not change. */
    Map<String, Object> environment();

    /** What changes while a machine works: load, frequencies, temperatures; what it tells. */
    Map<String, Object> facts();

    /** Proportional set size of this process in bytes; null where the system does not tell. */
    Long proportionalBytes();

    /** Processor time of this process so far, all threads; null where the system does not tell. */
    Double processorMillis();

    /**
     * @throws io.github.edgeocr.RuntimeUnavailableException there is none
     */
    TensorRunner.Factory runtime();

    /** The bundle at a path of the plan. */
    BundleFiles bundle(String path);

    /** The content of the file at a path of the plan. */
    byte[] file(String path) throws IOException;

    /**
     * The image at a path of the plan, in its own size, upright after its EXIF orientation.
     *
     * @throws io.github.edgeocr.ImageException it is none
     */
    BgrImage image(String path) throws IOException;
}
