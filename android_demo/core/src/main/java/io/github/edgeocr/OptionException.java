package io.github.edgeocr;

/** An option has a value outside of its documented range. */
public class OptionException extends EdgeOcrException {
    private static final long serialVersionUID = 1L;

    public OptionException(String message) {
        super(message);
    }
}
