package io.github.edgeocr;

/** Element type of a tensor. */
public enum TensorType {
    INT8,
    FLOAT32
}
