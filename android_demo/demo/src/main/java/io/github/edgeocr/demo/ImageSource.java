package io.github.edgeocr.demo;

import io.github.edgeocr.BgrImage;
import java.io.IOException;

/** An image that is decoded, or copied out of a camera's buffers, where it is read. */
public interface ImageSource {
    /**
     * @throws io.github.edgeocr.ImageException it is none
     * @throws IOException it can't be loaded
     */
    BgrImage load() throws IOException;
}
