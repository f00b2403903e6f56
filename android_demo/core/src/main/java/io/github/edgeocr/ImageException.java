package io.github.edgeocr;

/** The input is no image that can be read, or it exceeds a documented limit. */
public class ImageException extends EdgeOcrException {
    private static final long serialVersionUID = 1L;

    public ImageException(String message) {
        super(message);
    }

    public ImageException(String message, Throwable cause) {
        super(message, cause);
    }
}
