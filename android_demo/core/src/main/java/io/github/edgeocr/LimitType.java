package io.github.edgeocr;

/** Which side of an image the detector's limit speaks of. */
public enum LimitType {
    /** Grow until the shorter side is as long as the limit. */
    MIN,
    /** Shrink until the longer side is no longer than the limit. */
    MAX
}
