package io.github.edgeocr;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.After;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;

public class OcrTest {
    private static final BgrImage PAGE =
            GoldenScene.png(new File(Golden.FOLDER, "jvm/scenes/picture_language.png"));
    private static final OcrOptions OPTIONS =
            new OcrOptions.Builder().setOrientationThreshold(0.8).setCharacters(true).build();
    /**
     * As the Python SDK reads them: the detector is shown the page at 0.4 of its size and cuts the
     * lower rows of the long line off.
     */
    private static final List<String> TEXTS =
            Arrays.asList("abcd dcba", "dab cab", "ab ba ab a abba a a");

    private final PictureLanguageRunners runners = new PictureLanguageRunners();
    private final Ocr ocr = Ocr.open(PictureLanguageRunners.BUNDLE, runners, 1);

    @After
    public void close() {
        ocr.close();
    }

    @Test
    public void networksInJava_computeWhatTheRecordedOnesDid() {
        Golden vectors = Golden.read("jvm/picture_language.tiny-fp32.json");
        DetectorInput input = ocr.detector().prepare(PAGE, OPTIONS);
        float[] expected = vectors.get("detection").get("output").tensor().floats();
        float[] actual = ocr.detector().infer(input).floats();
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], actual[i], 1e-6);
        }
    }

    @Test
    public void read_givesTextConfidenceAndAngleOfEveryLine() {
        OcrResult result = ocr.read(PAGE, OPTIONS);

        assertEquals(TEXTS, texts(result));
        assertEquals("abcd dcba\ndab cab\nab ba ab a abba a a", result.getText());
        assertEquals(PAGE.width(), result.getWidth());
        assertEquals(PAGE.height(), result.getHeight());
        TextLine upsideDown = result.getLines().get(1);
        assertEquals(180, upsideDown.getRotation());
        assertEquals(180, Math.abs(upsideDown.getAngle()), 1);
        assertEquals(0, result.getLines().get(0).getAngle(), 1);
        for (TextLine line : result.getLines()) {
            assertTrue(line.getConfidence() > 0.5 && line.getConfidence() <= 1);
            assertEquals(line.getText().length(), line.getSymbols().size());
        }
        // Of a line on its head the first character stands at the right.
        List<TextSymbol> symbols = upsideDown.getSymbols();
        assertTrue(
                symbols.get(0).getCornerPoints().left() > symbols.get(6).getCornerPoints().left());
        for (String stage : new String[] {"detect", "crop", "orient", "recognise", "total"}) {
            assertTrue(result.getTimingsMillis().get(stage) >= 0);
        }
    }

    @Test
    public void read_ofACameraFrame_isTheSameInEveryRotation() {
        for (int degrees : new int[] {90, 180, 270}) {
            // What a sensor delivers that is mounted so, and what its frame's rotation asks for.
            BgrImage frame = PAGE.rotated(360 - degrees);
            assertEquals(TEXTS, texts(ocr.read(frame.rotated(degrees), OPTIONS)));
        }
    }

    @Test
    public void read_ofAFrameOnItsSide_stillReadsItsLines() {
        OcrResult result = ocr.read(PAGE.rotated(90), OPTIONS);
        assertTrue(result.getText(), texts(result).containsAll(TEXTS.subList(0, 2)));
        assertEquals(90, result.getLines().get(0).getAngle(), 1);
    }

    @Test
    public void read_onSeveralThreads_givesTheSameAsOnOne() throws Exception {
        final Ocr parallel = Ocr.open(PictureLanguageRunners.BUNDLE, runners, 3);
        ExecutorService callers = Executors.newFixedThreadPool(4);
        List<Future<List<String>>> results = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            results.add(
                    callers.submit(
                            new Callable<List<String>>() {
                                @Override
                                public List<String> call() {
                                    return texts(parallel.read(PAGE, OPTIONS));
                                }
                            }));
        }
        for (Future<List<String>> result : results) {
            assertEquals(TEXTS, result.get());
        }
        callers.shutdown();
        parallel.close();
    }

    @Test
    public void read_ofAnEmptyPage_isAnEmptyResult() {
        BgrImage white = BgrImage.fromArgb(new int[64 * 48], 64, 48);
        OcrResult result = ocr.read(white);
        assertTrue(result.getLines().isEmpty());
        assertEquals("", result.getText());
    }

    @Test
    public void read_ofTheSmallestImages_isAnEmptyResult() {
        int[][] sizes = {{1, 1}, {1, 500}, {500, 1}, {2, 3}};
        for (int[] size : sizes) {
            BgrImage image = Noise.image(1, size[0], size[1]);
            assertTrue(ocr.detect(image, OPTIONS).isEmpty() || image.height() > 3);
            ocr.read(image, OPTIONS);
            ocr.readLine(image, OPTIONS);
        }
    }

    @Test
    public void options_changeTheirCallAndNothingElse() {
        OcrOptions.Builder wishes = new OcrOptions.Builder().setOrientationThreshold(0.8);
        OcrResult boxesOnly = ocr.read(PAGE, wishes.setRecognise(false).build());
        assertEquals(3, boxesOnly.getLines().size());
        assertEquals("", boxesOnly.getLines().get(0).getText());
        assertEquals(180, boxesOnly.getLines().get(1).getRotation());

        OcrResult upright = ocr.read(PAGE, wishes.setRecognise(true).setOrient(false).build());
        assertEquals(0, upright.getLines().get(1).getRotation());
        assertTrue(upright.getLines().get(0).getSymbols().isEmpty());

        OcrOptions strict = new OcrOptions.Builder().setBoxThreshold(1).build();
        assertTrue(ocr.read(PAGE, strict).getLines().isEmpty());
        assertTrue(
                ocr.read(PAGE, new OcrOptions.Builder().setMinScore(1).build()).getLines().isEmpty());
        assertEquals(
                1, ocr.detect(PAGE, new OcrOptions.Builder().setMaxCandidates(1).build()).size());

        assertEquals(TEXTS, texts(ocr.read(PAGE, OPTIONS)));
    }

    @Test
    public void readLine_takesTheWholeImageForALine() {
        Quad box = ocr.detect(PAGE, OPTIONS).get(0);
        BgrImage crop = LineCrop.cut(PAGE, box).pixels();

        TextLine line = ocr.readLine(crop, OPTIONS);

        assertEquals(TEXTS.get(0), line.getText());
        assertEquals(crop.width(), line.getCornerPoints().right(), 0);
        assertEquals(1, line.getDetectionConfidence(), 0);
    }

    @Test
    public void badInput_isNamed() {
        assertFails(ImageException.class, "the image is null", new ThrowingRunnable() {
            @Override
            public void run() {
                ocr.read(null);
            }
        });
        assertFails(ImageException.class, "the image is null", new ThrowingRunnable() {
            @Override
            public void run() {
                ocr.readLine(null, OPTIONS);
            }
        });
        assertFails(OptionException.class, "the options are null", new ThrowingRunnable() {
            @Override
            public void run() {
                ocr.read(PAGE, null);
            }
        });
        assertFails(ImageException.class, "more than the limit of 1000", new ThrowingRunnable() {
            @Override
            public void run() {
                ocr.detect(PAGE, new OcrOptions.Builder().setMaxPixels(1000).build());
            }
        });
        assertFails(OptionException.class, "threads is 0", new ThrowingRunnable() {
            @Override
            public void run() {
                Ocr.open(PictureLanguageRunners.BUNDLE, runners, 0);
            }
        });
        assertFails(BundleException.class, "the bundle is null", new ThrowingRunnable() {
            @Override
            public void run() {
                Ocr.open(null, runners, 1);
            }
        });
        assertFails(RuntimeUnavailableException.class, "is null", new ThrowingRunnable() {
            @Override
            public void run() {
                Ocr.open(PictureLanguageRunners.BUNDLE, null, 1);
            }
        });
    }

    @Test
    public void crops_withoutAnArea_areRefused() {
        float[][] flat = {
            {5, 5, 5, 5, 5, 5, 5, 5}, {0, 0, 9, 9, 9, 9, 0, 0}, {0, 0, Float.NaN, 0, 9, 9, 0, 9},
            {0, 0, Float.POSITIVE_INFINITY, 0, 9, 9, 0, 9}
        };
        for (final float[] corners : flat) {
            assertFails(ImageException.class, "it has no area", new ThrowingRunnable() {
                @Override
                public void run() {
                    LineCrop.cut(PAGE, new Quad(corners));
                }
            });
        }
    }

    @Test
    public void crops_withThreeCornersOnALine_areRefused() {
        assertFails(ImageException.class, "three corners are on one line", new ThrowingRunnable() {
            @Override
            public void run() {
                LineCrop.cut(PAGE, new Quad(10, 10, 50, 10, 50, 30, 50, 50));
            }
        });
    }

    @Test
    public void crops_outsideOfTheImage_repeatItsBorder() {
        Quad beyond = new Quad(700, 300, 760, 304, 758, 330, 698, 326);
        byte[] pixels = LineCrop.cut(PAGE, beyond).pixels().pixels();
        for (byte value : pixels) {
            assertEquals((byte) 255, value);
        }
    }

    @Test
    public void failureOfTheRuntime_reachesTheCallerAndLeavesTheEngineUsable() {
        final Ocr parallel = Ocr.open(PictureLanguageRunners.BUNDLE, runners, 3);
        runners.failure = new RuntimeUnavailableException("det.tflite: out of memory");
        RuntimeException error = assertThrows(
                RuntimeUnavailableException.class,
                new ThrowingRunnable() {
                    @Override
                    public void run() {
                        parallel.read(PAGE, OPTIONS);
                    }
                });
        assertSame(runners.failure, error);
        runners.failure = null;
        assertEquals(TEXTS, texts(parallel.read(PAGE, OPTIONS)));
        parallel.close();
    }

    @Test
    public void failureWhileOpening_closesWhatWasOpened() {
        final int before = runners.opened.size();
        final TensorRunner.Factory refusesTheLast = new TensorRunner.Factory() {
            @Override
            public TensorRunner open(ModelFile model, byte[] content, int threads) {
                if (model instanceof RecognitionModel) {
                    throw new RuntimeUnavailableException("rec.tflite: refused");
                }
                return runners.open(model, content, threads);
            }
        };
        assertFails(RuntimeUnavailableException.class, "rec.tflite: refused", new ThrowingRunnable() {
            @Override
            public void run() {
                Ocr.open(PictureLanguageRunners.BUNDLE, refusesTheLast, 2);
            }
        });
        assertEquals(before + 2, runners.opened.size());
        assertTrue(runners.opened.get(before).closed);
        assertTrue(runners.opened.get(before + 1).closed);
    }

    @Test
    public void close_closesEveryNetworkOnceAndLaterCallsFail() {
        final Ocr parallel = Ocr.open(PictureLanguageRunners.BUNDLE, runners, 3);
        parallel.warmUp();
        parallel.close();
        parallel.close();
        // Three belong to the engine of every test; of the other, the detector has one.
        assertEquals(3 + 1 + 3 + 3, runners.opened.size());
        for (int i = 0; i < runners.opened.size(); i++) {
            assertEquals(i >= 3, runners.opened.get(i).closed);
        }
        assertThrows(IllegalStateException.class, new ThrowingRunnable() {
            @Override
            public void run() {
                parallel.read(PAGE, OPTIONS);
            }
        });
        assertFalse(texts(ocr.read(PAGE, OPTIONS)).isEmpty());
    }

    @Test
    public void warmUp_runsEveryNetworkInEveryShape() {
        ocr.warmUp();
        assertEquals(2, runners.opened.get(0).runs); // the detector keeps two shapes warm
        assertEquals(1, runners.opened.get(1).runs);
        assertEquals(3, runners.opened.get(2).runs);
    }

    @Test
    public void optionsOutOfRange_areRefused() {
        final OcrOptions.Builder options = new OcrOptions.Builder();
        ThrowingRunnable[] calls = {
            new ThrowingRunnable() {
                @Override
                public void run() {
                    options.setThreshold(Double.NaN);
                }
            },
            new ThrowingRunnable() {
                @Override
                public void run() {
                    options.setBoxThreshold(1.1);
                }
            },
            new ThrowingRunnable() {
                @Override
                public void run() {
                    options.setUnclipRatio(0);
                }
            },
            new ThrowingRunnable() {
                @Override
                public void run() {
                    options.setLimitSide(31);
                }
            },
            new ThrowingRunnable() {
                @Override
                public void run() {
                    options.setMaxCandidates(100_001);
                }
            },
            new ThrowingRunnable() {
                @Override
                public void run() {
                    options.setMaxPixels(0);
                }
            },
            new ThrowingRunnable() {
                @Override
                public void run() {
                    options.setScoreMode(null);
                }
            },
        };
        for (ThrowingRunnable call : calls) {
            assertThrows(OptionException.class, call);
        }
    }

    private static List<String> texts(OcrResult result) {
        List<String> texts = new ArrayList<>();
        for (TextLine line : result.getLines()) {
            texts.add(line.getText());
        }
        return texts;
    }

    private static void assertFails(
            Class<? extends RuntimeException> type, String message, ThrowingRunnable call) {
        RuntimeException error = assertThrows(type, call);
        assertTrue(error.getMessage(), error.getMessage().contains(message));
    }
}
