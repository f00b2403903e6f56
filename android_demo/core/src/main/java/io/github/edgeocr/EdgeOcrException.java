package io.github.edgeocr;

/**
 * Base of everything that edgeocr throws on purpose.
 *
 * <p>A message says what is wrong, in which file or value, and what to do about it. An image
 * without text is an empty result, never an exception.
 */
public class EdgeOcrException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public EdgeOcrException(String message) {
        super(message);
    }

    public EdgeOcrException(String message, Throwable cause) {
        super(message, cause);
    }
}
