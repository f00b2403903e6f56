package io.github.edgeocr;

/** A model bundle is missing, incomplete, corrupt or of another schema. */
public class BundleException extends EdgeOcrException {
    private static final long serialVersionUID = 1L;

    public BundleException(String message) {
        super(message);
    }

    public BundleException(String message, Throwable cause) {
        super(message, cause);
    }
}
