package io.github.edgeocr;

import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;

/** One picture, and what the Python SDK makes of it with one bundle. */
final class GoldenScene {
    private static final Map<String, GoldenScene> READ = new HashMap<>();

    final Golden vectors;
    final BgrImage image;

    private GoldenScene(String file) {
        vectors = Golden.read(file);
        image = png(new File(Golden.FOLDER, "../../" + vectors.get("image").text()));
    }

    /** For JUnit's Parameterized: file name of every scene's vectors. */
    static List<Object[]> names() {
        List<Object[]> names = new ArrayList<>();
        String[] files = new File(Golden.FOLDER, "jvm").list();
        Arrays.sort(files);
        for (String file : files) {
            if (file.matches("[^.]+\\.(recorded|tiny-fp32|tiny-int8)\\.json")) {
                names.add(new Object[] {file});
            }
        }
        return names;
    }

    /** Read once for all tests: scenes don't change. */
    static synchronized GoldenScene read(String name) {
        GoldenScene scene = READ.get(name);
        if (scene == null) {
            scene = new GoldenScene("jvm/" + name);
            READ.put(name, scene);
        }
        return scene;
    }

    /** An engine whose networks answer with what was recorded. */
    Ocr ocr() {
        return Ocr.open(
                Golden.bundle(vectors.get("bundle").text()), new RecordedRunners(vectors), 1);
    }

    OcrOptions options() {
        OcrOptions.Builder options = new OcrOptions.Builder();
        for (Map.Entry<?, ?> option : vectors.get("options").members().entrySet()) {
            switch ((String) option.getKey()) {
                case "characters":
                    options.setCharacters((Boolean) option.getValue());
                    break;
                case "dilation":
                    options.setDilation((Boolean) option.getValue());
                    break;
                case "score_mode":
                    options.setScoreMode(
                            option.getValue().equals("slow") ? ScoreMode.SLOW : ScoreMode.FAST);
                    break;
                case "orientation_threshold":
                    options.setOrientationThreshold((Double) option.getValue());
                    break;
                default:
                    throw new IllegalStateException("unknown option " + option.getKey());
            }
        }
        return options.build();
    }

    /** 8-bit grey or RGB samples as they lie in the file, free of any colour management. */
    static BgrImage png(File file) {
        try {
            BufferedImage decoded = ImageIO.read(file);
            Raster raster = decoded.getRaster();
            int width = decoded.getWidth();
            int height = decoded.getHeight();
            int bands = raster.getNumBands();
            int[] samples = raster.getPixels(0, 0, width, height, (int[]) null);
            byte[] pixels = new byte[width * height * BgrImage.CHANNELS];
            for (int i = 0; i < width * height; i++) {
                for (int channel = 0; channel < BgrImage.CHANNELS; channel++) {
                    int band = bands < BgrImage.CHANNELS ? 0 : 2 - channel;
                    pixels[i * BgrImage.CHANNELS + channel] = (byte) samples[i * bands + band];
                }
            }
            return BgrImage.fromBgr(pixels, width, height);
        } catch (IOException error) {
            throw new IllegalStateException(file.toString(), error);
        }
    }
}
