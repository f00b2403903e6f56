package io.github.edgeocr;

import java.util.Random;

/** Random pixels and boxes, the same in every run. */
final class Noise {
    private Noise() {}

    /** D. Knuth's generator (MMIX), from which the golden vectors' images are drawn too. */
    static byte[] bytes(long seed, int size) {
        byte[] values = new byte[size];
        long state = seed;
        for (int i = 0; i < size; i++) {
            state = state * 6364136223846793005L + 1442695040888963407L;
            values[i] = (byte) (state >>> 56);
        }
        return values;
    }

    static BgrImage image(long seed, int width, int height) {
        return BgrImage.fromBgr(bytes(seed, width * height * 3), width, height);
    }

    /** An upright box of 12 to 300 by 10 to 40 pixels. */
    static Quad box(Random random) {
        float x = random.nextInt(800);
        float y = random.nextInt(800);
        float width = 12 + random.nextInt(288);
        float height = 10 + random.nextInt(30);
        return new Quad(x, y, x + width, y, x + width, y + height, x, y + height);
    }
}
