package io.github.edgeocr;

/** 0/180 classifier. Output (1, 2): logits or probabilities of 0 and 180 degrees. */
public final class OrientationModel extends ModelFile {
    static final String[] KEYS = {"threshold", "outputs"};

    /** Probability of "180" from which a line is turned. */
    public final double threshold;

    final OutputKind outputs;

    OrientationModel(ManifestObject stage) {
        super(stage);
        threshold = stage.number("threshold", 0, 1);
        outputs = stage.choice("outputs", OutputKind.class);
    }
}
