package io.github.edgeocr;

/** DB detector. Output (1, height, width, 1): text probability. */
public final class DetectionModel extends ModelFile {
    static final String[] KEYS = {
        "limit_side", "limit_type", "max_side", "threshold", "box_threshold", "unclip_ratio",
        "max_candidates", "dilation", "score_mode"
    };

    public final int limitSide;
    public final LimitType limitType;
    /** Images are shrunk to this longer side whatever {@link #limitType} wants, in pixels. */
    public final int maxSide;
    public final double threshold;
    public final double boxThreshold;
    public final double unclipRatio;
    public final int maxCandidates;
    public final boolean dilation;
    public final ScoreMode scoreMode;

    DetectionModel(ManifestObject stage) {
        super(stage);
        limitSide = stage.integer("limit_side", 32, 16384);
        limitType = stage.choice("limit_type", LimitType.class);
        maxSide = stage.integer("max_side", 32, 16384);
        threshold = stage.number("threshold", 0, 1);
        boxThreshold = stage.number("box_threshold", 0, 1);
        unclipRatio = stage.number("unclip_ratio", 0.01, 10);
        maxCandidates = stage.integer("max_candidates", 1, 100_000);
        dilation = stage.bool("dilation");
        scoreMode = stage.choice("score_mode", ScoreMode.class);
    }

    /** Whether the input may have any size, in steps of its multiples. */
    boolean isFree() {
        return heightMultiple != 0 && widthMultiple != 0;
    }
}
