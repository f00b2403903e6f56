package io.github.edgeocr;

/** A piece of a line, in columns of the line scaled to the network's height. */
final class LineSpan {
    /** First column that the network sees. */
    final int begin;
    /** One past the last column that it sees. */
    final int end;
    /** First column whose characters count for this piece. */
    final int ownBegin;
    /** One past the last column whose characters count for this piece. */
    final int ownEnd;

    LineSpan(int begin, int end, int ownBegin, int ownEnd) {
        this.begin = begin;
        this.end = end;
        this.ownBegin = ownBegin;
        this.ownEnd = ownEnd;
    }
}
