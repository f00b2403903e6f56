package io.github.edgeocr;

/** A piece of a line as the network takes it. */
final class LinePiece {
    /** (1, height, width, 3). */
    final Tensor tensor;
    final String signature;
    final LineSpan span;

    LinePiece(Tensor tensor, String signature, LineSpan span) {
        this.tensor = tensor;
        this.signature = signature;
        this.span = span;
    }
}
