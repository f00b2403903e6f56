package io.github.edgeocr;

import java.util.ArrayList;
import java.util.List;

/**
 * Places the characters of a line by the CTC steps that emitted them.
 *
 * <p>CTC says where a character is, not how wide: the middle of its run of steps is taken for its
 * centre, neighbours share the room between them in proportion to their usual advance widths (a
 * Chinese character takes about twice the room of a Latin letter), and none grows beyond a sensible
 * width. Good to about half a character.
 */
final class CharacterQuads {
    // Advance widths of common fonts relative to the height of a line, which is about the height of
    // a crop.
    private static final double WIDE_ADVANCE = 1.0;
    private static final double NARROW_ADVANCE = 0.55;
    private static final double SPACE_ADVANCE = 0.35;
    /** A glyph may be wider than the common advance ("W", "—") before the rest is called a gap. */
    private static final double WIDEST = 1.4;

    private CharacterQuads() {}

    /**
     * @param upsideDown whether the crop was turned by 180 degrees before it was read
     * @return in image pixels, clockwise from each character's own top-left: of a line upside down
     *     they start at the lower right as the image shows them
     */
    static List<Quad> of(Reading reading, LineCrop crop, boolean upsideDown) {
        List<String> characters = reading.characters();
        int count = characters.size();
        int width = crop.pixels().width();
        int height = crop.pixels().height();
        double[] centres = new double[count];
        double[] advances = new double[count];
        for (int i = 0; i < count; i++) {
            centres[i] = (reading.start(i) + reading.end(i) + 1) / 2.0 * reading.stepWidth();
            advances[i] = advance(characters.get(i)) * height;
        }
        double[] lefts = new double[count];
        double[] rights = new double[count];
        for (int i = 0; i + 1 < count; i++) {
            double gap = centres[i + 1] - centres[i];
            rights[i] = gap * advances[i] / (advances[i] + advances[i + 1]);
            lefts[i + 1] = gap - rights[i];
        }
        List<Quad> quads = new ArrayList<>(count);
        if (count == 0) {
            return quads;
        }
        // The outer characters have one neighbour: they reach as far on the free side, and at least
        // half of their advance.
        int last = count - 1;
        lefts[0] = Math.max(count > 1 ? rights[0] : 0, advances[0] / 2);
        rights[last] = Math.max(count > 1 ? lefts[last] : 0, advances[last] / 2);
        for (int i = 0; i < count; i++) {
            double limit = advances[i] * WIDEST / 2;
            double x0 = clip(centres[i] - Math.min(lefts[i], limit), width);
            double x1 = clip(centres[i] + Math.min(rights[i], limit), width);
            double[] corners = {x0, 0, x1, 0, x1, height, x0, height};
            if (upsideDown) {
                corners =
                        new double[] {
                            width - x0, height, width - x1, height, width - x1, 0, width - x0, 0
                        };
            }
            quads.add(crop.toImage().apply(corners));
        }
        return quads;
    }

    private static double clip(double x, int width) {
        return Math.max(0, Math.min(x, width));
    }

    private static double advance(String character) {
        int first = character.codePointAt(0);
        if (isSpace(character)) {
            return SPACE_ADVANCE;
        }
        return EastAsianWidth.isWide(first) ? WIDE_ADVANCE : NARROW_ADVANCE;
    }

    private static boolean isSpace(String character) {
        for (int i = 0; i < character.length(); i++) {
            char c = character.charAt(i);
            if (!Character.isSpaceChar(c) && !Character.isWhitespace(c)) {
                return false;
            }
        }
        return true;
    }
}
