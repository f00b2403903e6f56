package io.github.edgeocr;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** A line as the recogniser takes it: one piece, or several of a long one. */
public final class PreparedLine {
    final List<LinePiece> pieces;
    /** Columns of the scaled line per pixel of the line. */
    final double scale;

    PreparedLine(List<LinePiece> pieces, double scale) {
        this.pieces = Collections.unmodifiableList(pieces);
        this.scale = scale;
    }

    /** The pieces' network inputs, (1, height, width, 3) each. */
    public List<Tensor> tensors() {
        List<Tensor> tensors = new ArrayList<>();
        for (LinePiece piece : pieces) {
            tensors.add(piece.tensor);
        }
        return tensors;
    }
}
