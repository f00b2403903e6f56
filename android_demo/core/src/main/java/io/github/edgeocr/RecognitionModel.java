package io.github.edgeocr;

/**
 * CTC recogniser. Output (1, steps, classes): class 0 is the blank, class i + 1 is character i of
 * the charset.
 */
public final class RecognitionModel extends ModelFile {
    static final String[] KEYS = {
        "outputs", "charset_file", "charset_sha256", "classes", "min_score", "min_width"
    };

    /** UTF-8, one character (or cluster) a line, the space as a line that holds one space. */
    public final String charsetFile;
    public final String charsetSha256;
    /** Characters + 1. */
    public final int classes;
    /** Lines whose text scores less are dropped. */
    public final double minScore;
    /**
     * Where the width can be resized: what shorter lines are padded to, in pixels; 0 for nothing.
     */
    public final int minWidth;

    final OutputKind outputs;

    RecognitionModel(ManifestObject stage) {
        super(stage);
        outputs = stage.choice("outputs", OutputKind.class);
        charsetFile = stage.fileName("charset_file");
        charsetSha256 = stage.string("charset_sha256");
        classes = stage.integer("classes", 2, 1_000_000);
        minScore = stage.number("min_score", 0, 1);
        minWidth = stage.optionalInteger("min_width", 1, 16384);
        for (Signature signature : signatures) {
            if (signature.height != signatures.get(0).height) {
                throw stage.invalid("signatures", "all must have the same height");
            }
        }
    }
}
