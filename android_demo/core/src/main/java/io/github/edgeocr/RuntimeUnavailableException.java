package io.github.edgeocr;

/** The TFLite runtime is missing, refuses a model or fails to run it. */
public class RuntimeUnavailableException extends EdgeOcrException {
    private static final long serialVersionUID = 1L;

    public RuntimeUnavailableException(String message) {
        super(message);
    }

    public RuntimeUnavailableException(String message, Throwable cause) {
        super(message, cause);
    }
}
