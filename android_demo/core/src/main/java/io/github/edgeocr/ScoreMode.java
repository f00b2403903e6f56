package io.github.edgeocr;

/** Over which pixels the score of a box is the mean. */
public enum ScoreMode {
    /** Over the rectangle around the kernel. */
    FAST,
    /** Over the kernel's own outline. */
    SLOW
}
