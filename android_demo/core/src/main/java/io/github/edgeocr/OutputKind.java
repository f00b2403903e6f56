package io.github.edgeocr;

/** What the real values of a classifying network's output are. */
enum OutputKind {
    LOGITS,
    PROBABILITIES
}
