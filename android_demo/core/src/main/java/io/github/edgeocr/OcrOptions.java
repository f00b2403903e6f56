package io.github.edgeocr;

/**
 * What a caller wishes for one call. Facts about the models live in the bundle; what is not set here
 * follows its recommendation. Options are passed per call and never change the engine.
 */
public final class OcrOptions {
    /** Default limit on width x height of an image: 100 megapixels. */
    public static final int MAX_PIXELS = 100_000_000;

    /** The bundle's recommendations, and all stages. */
    public static final OcrOptions DEFAULT = new Builder().build();

    final boolean orient;
    final boolean recognise;
    final boolean characters;
    final int maxPixels;
    // Null: as the bundle recommends.
    final Integer limitSide;
    final LimitType limitType;
    final Double threshold;
    final Double boxThreshold;
    final Double unclipRatio;
    final Integer maxCandidates;
    final Boolean dilation;
    final ScoreMode scoreMode;
    final Double orientationThreshold;
    final Double minScore;

    private OcrOptions(Builder builder) {
        orient = builder.orient;
        recognise = builder.recognise;
        characters = builder.characters;
        maxPixels = builder.maxPixels;
        limitSide = builder.limitSide;
        limitType = builder.limitType;
        threshold = builder.threshold;
        boxThreshold = builder.boxThreshold;
        unclipRatio = builder.unclipRatio;
        maxCandidates = builder.maxCandidates;
        dilation = builder.dilation;
        scoreMode = builder.scoreMode;
        orientationThreshold = builder.orientationThreshold;
        minScore = builder.minScore;
    }

    /** Collects wishes; every setter throws {@link OptionException} out of its range. */
    public static final class Builder {
        private boolean orient = true;
        private boolean recognise = true;
        private boolean characters;
        private int maxPixels = MAX_PIXELS;
        private Integer limitSide;
        private LimitType limitType;
        private Double threshold;
        private Double boxThreshold;
        private Double unclipRatio;
        private Integer maxCandidates;
        private Boolean dilation;
        private ScoreMode scoreMode;
        private Double orientationThreshold;
        private Double minScore;

        /** Whether the direction of lines is judged; otherwise every line counts as upright. */
        public Builder setOrient(boolean value) {
            orient = value;
            return this;
        }

        /** Whether lines are read; otherwise they carry boxes and an empty text. */
        public Builder setRecognise(boolean value) {
            recognise = value;
            return this;
        }

        /** Whether every character of a line gets its own quad and confidence. */
        public Builder setCharacters(boolean value) {
            characters = value;
            return this;
        }

        /** Images with more pixels are refused; positive. */
        public Builder setMaxPixels(int value) {
            maxPixels = whole("maxPixels", value, 1, Integer.MAX_VALUE);
            return this;
        }

        /** Side in pixels that the limit type speaks of; at least 32. */
        public Builder setLimitSide(int value) {
            limitSide = whole("limitSide", value, 32, Integer.MAX_VALUE);
            return this;
        }

        public Builder setLimitType(LimitType value) {
            limitType = present("limitType", value);
            return this;
        }

        /** Probability in [0, 1] above which a pixel is text. */
        public Builder setThreshold(double value) {
            threshold = probability("threshold", value);
            return this;
        }

        /** Mean probability in [0, 1] below which a box is dropped. */
        public Builder setBoxThreshold(double value) {
            boxThreshold = probability("boxThreshold", value);
            return this;
        }

        /** Growth of the shrunk text kernel, in (0, 10]. */
        public Builder setUnclipRatio(double value) {
            if (!(value > 0 && value <= 10)) {
                throw new OptionException("unclipRatio is " + value + "; it must be in (0, 10]");
            }
            unclipRatio = value;
            return this;
        }

        /** Contours looked at per image, 1 to 100,000. */
        public Builder setMaxCandidates(int value) {
            maxCandidates = whole("maxCandidates", value, 1, 100_000);
            return this;
        }

        /** Whether the mask is dilated by 2 x 2 before its contours are traced. */
        public Builder setDilation(boolean value) {
            dilation = value;
            return this;
        }

        public Builder setScoreMode(ScoreMode value) {
            scoreMode = present("scoreMode", value);
            return this;
        }

        /** Probability in [0, 1] of "180" from which a line is turned. */
        public Builder setOrientationThreshold(double value) {
            orientationThreshold = probability("orientationThreshold", value);
            return this;
        }

        /** Lines whose text scores less, in [0, 1], are dropped. */
        public Builder setMinScore(double value) {
            minScore = probability("minScore", value);
            return this;
        }

        public OcrOptions build() {
            return new OcrOptions(this);
        }

        private static int whole(String name, int value, int low, int high) {
            if (value < low || value > high) {
                throw new OptionException(
                        name + " is " + value + "; it must be "
                                + (high == Integer.MAX_VALUE ? "at least " + low
                                        : low + " to " + high));
            }
            return value;
        }

        private static double probability(String name, double value) {
            if (!(value >= 0 && value <= 1)) {
                throw new OptionException(name + " is " + value + "; it must be in [0, 1]");
            }
            return value;
        }

        private static <T> T present(String name, T value) {
            if (value == null) {
                throw new OptionException(name + " is null; leave it unset for the bundle's own");
            }
            return value;
        }
    }
}
