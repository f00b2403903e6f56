package io.github.edgeocr;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** What a line says, with the CTC steps of its characters. */
public final class Reading {
    private final List<String> characters = new ArrayList<>();
    private final List<Float> scores = new ArrayList<>();
    private final List<Integer> starts = new ArrayList<>();
    private final List<Integer> ends = new ArrayList<>();
    private final double stepWidth;

    /** @param stepWidth pixels of the line per step */
    Reading(double stepWidth) {
        this.stepWidth = stepWidth;
    }

    void add(String character, float score, int start, int end) {
        characters.add(character);
        scores.add(score);
        starts.add(start);
        ends.add(end);
    }

    public String text() {
        StringBuilder text = new StringBuilder();
        for (String character : characters) {
            text.append(character);
        }
        return text.toString();
    }

    /** Mean confidence of the characters in [0, 1]; 0 for an empty line. */
    public float score() {
        double sum = 0;
        for (float score : scores) {
            sum += score;
        }
        return scores.isEmpty() ? 0 : (float) (sum / scores.size());
    }

    /** In order of reading. */
    public List<String> characters() {
        return Collections.unmodifiableList(characters);
    }

    /** Confidence of character {@code i} in [0, 1]. */
    public float score(int i) {
        return scores.get(i);
    }

    /** First CTC step of character {@code i}. */
    int start(int i) {
        return starts.get(i);
    }

    /** Last CTC step of character {@code i}, inclusive. */
    int end(int i) {
        return ends.get(i);
    }

    double stepWidth() {
        return stepWidth;
    }
}
