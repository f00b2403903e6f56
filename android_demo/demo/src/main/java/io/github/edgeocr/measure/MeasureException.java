package io.github.edgeocr.measure;

import io.github.edgeocr.EdgeOcrException;

/** A plan that can't be followed on this device, or a result that can't be written. */
public final class MeasureException extends EdgeOcrException {
    private static final long serialVersionUID = 1L;

    public MeasureException(String message) {
        super(message);
    }
}
