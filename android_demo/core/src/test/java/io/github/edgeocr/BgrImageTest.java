package io.github.edgeocr;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import org.junit.Test;
import org.junit.function.ThrowingRunnable;

public class BgrImageTest {
    @Test
    public void fromArgb_laysTransparencyOnWhite() {
        int[] argb = {0xff102030, 0x00000000, 0x80ff0000};
        byte[] pixels = BgrImage.fromArgb(argb, 3, 1).pixels();
        // Half transparent red: 255, and (0 * 128 + 255 * 127 + 127) / 255 = 127 of the others.
        int[] expected = {0x30, 0x20, 0x10, 255, 255, 255, 127, 127, 255};
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], pixels[i] & 255);
        }
    }

    @Test
    public void fromNv21_withoutColour_isGrey() {
        byte[] nv21 = {0, 50, 100, (byte) 255, (byte) 128, (byte) 128};
        byte[] pixels = BgrImage.fromNv21(nv21, 2, 2).pixels();
        for (int i = 0; i < pixels.length; i++) {
            assertEquals(nv21[i / 3], pixels[i]);
        }
    }

    @Test
    public void fromNv21_followsFullRangeBt601() {
        // Pure colours by the definition of JFIF, as (Y, V, U) and (red, green, blue).
        int[][] colours = {
            {76, 255, 85, 254, 0, 0}, {150, 21, 44, 0, 255, 1}, {29, 107, 255, 0, 0, 254}
        };
        for (int[] colour : colours) {
            byte luma = (byte) colour[0];
            byte[] nv21 = {luma, luma, luma, luma, (byte) colour[1], (byte) colour[2]};
            byte[] pixels = BgrImage.fromNv21(nv21, 2, 2).pixels();
            // Samples are whole numbers: a pure colour comes back within two levels.
            assertEquals(colour[3], pixels[2] & 255, 2);
            assertEquals(colour[4], pixels[1] & 255, 2);
            assertEquals(colour[5], pixels[0] & 255, 2);
        }
    }

    @Test
    public void fromYuv420_ofAnyStrides_isTheSameAsNv21() {
        int width = 7;
        int height = 5;
        int chromaWidth = 4;
        int chromaHeight = 3;
        byte[] noise = Noise.bytes(5, width * height + 2 * chromaWidth * chromaHeight);
        BgrImage expected = BgrImage.fromNv21(noise, width, height);

        byte[] y = new byte[16 * height];
        for (int row = 0; row < height; row++) {
            System.arraycopy(noise, row * width, y, row * 16, width);
        }
        for (int pixelStride = 1; pixelStride <= 3; pixelStride++) {
            int rowStride = 20;
            byte[] u = new byte[rowStride * chromaHeight];
            byte[] v = new byte[rowStride * chromaHeight];
            for (int row = 0; row < chromaHeight; row++) {
                for (int column = 0; column < chromaWidth; column++) {
                    int from = width * height + (row * chromaWidth + column) * 2;
                    v[row * rowStride + column * pixelStride] = noise[from];
                    u[row * rowStride + column * pixelStride] = noise[from + 1];
                }
            }
            BgrImage image =
                    BgrImage.fromYuv420(y, 16, u, v, rowStride, pixelStride, width, height);
            assertArrayEquals(expected.pixels(), image.pixels());
        }
    }

    @Test
    public void rotated_movesTheFirstPixelClockwise() {
        BgrImage image = Noise.image(1, 5, 3);
        byte blue = image.pixels()[0];
        assertSame(image, image.rotated(0));
        assertEquals(blue, image.rotated(90).pixels()[(3 - 1) * 3]);
        assertEquals(blue, image.rotated(180).pixels()[(5 * 3 - 1) * 3]);
        assertEquals(blue, image.rotated(270).pixels()[(5 - 1) * 3 * 3]);
        assertEquals(3, image.rotated(90).width());
        assertEquals(5, image.rotated(270).height());
    }

    @Test
    public void rotated_fourTimes_isTheImage() {
        BgrImage image = Noise.image(2, 31, 17);
        BgrImage turned = image.rotated(90).rotated(90).rotated(90).rotated(90);
        assertArrayEquals(image.pixels(), turned.pixels());
        assertArrayEquals(image.pixels(), image.rotated(270).rotated(90).pixels());
        assertArrayEquals(image.rotated(180).pixels(), image.rotated(90).rotated(90).pixels());
    }

    @Test
    public void rotatedByOtherDegrees_isRefused() {
        assertRefused("0, 90, 180 or 270 degrees, not by 45", new ThrowingRunnable() {
            @Override
            public void run() {
                Noise.image(1, 2, 2).rotated(45);
            }
        });
    }

    @Test
    public void factories_refuseWhatIsNoImage() {
        assertRefused("the ARGB array is null", new ThrowingRunnable() {
            @Override
            public void run() {
                BgrImage.fromArgb(null, 1, 1);
            }
        });
        assertRefused("the BGR array has 11 values, the image needs 12", new ThrowingRunnable() {
            @Override
            public void run() {
                BgrImage.fromBgr(new byte[11], 2, 2);
            }
        });
        assertRefused("the image is empty (0 x 5 pixels)", new ThrowingRunnable() {
            @Override
            public void run() {
                BgrImage.fromBgr(new byte[0], 0, 5);
            }
        });
        assertRefused("no side may exceed 32000", new ThrowingRunnable() {
            @Override
            public void run() {
                BgrImage.fromBgr(new byte[3], 32001, 1);
            }
        });
        assertRefused("no side may exceed 32000", new ThrowingRunnable() {
            @Override
            public void run() {
                BgrImage.fromArgb(new int[1], 30000, 30000); // more than an array can hold
            }
        });
        assertRefused("the NV21 array has 5 values, the image needs 6", new ThrowingRunnable() {
            @Override
            public void run() {
                BgrImage.fromNv21(new byte[5], 2, 2);
            }
        });
        assertRefused("the V plane is null", new ThrowingRunnable() {
            @Override
            public void run() {
                BgrImage.fromYuv420(new byte[4], 2, new byte[1], null, 1, 1, 2, 2);
            }
        });
        assertRefused("the Y plane cannot have 2 samples a row", new ThrowingRunnable() {
            @Override
            public void run() {
                BgrImage.fromYuv420(new byte[4], 1, new byte[1], new byte[1], 1, 1, 2, 2);
            }
        });
        assertRefused("the U plane cannot have 1 samples a row", new ThrowingRunnable() {
            @Override
            public void run() {
                BgrImage.fromYuv420(new byte[4], 2, new byte[1], new byte[1], 1, 0, 2, 2);
            }
        });
    }

    private static void assertRefused(String message, ThrowingRunnable call) {
        ImageException error = assertThrows(ImageException.class, call);
        assertTrue(error.getMessage(), error.getMessage().contains(message));
    }
}
