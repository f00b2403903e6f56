package io.github.edgeocr.desktop;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import io.github.edgeocr.BgrImage;
import io.github.edgeocr.BundleFiles;
import io.github.edgeocr.OcrResult;
import io.github.edgeocr.RuntimeUnavailableException;
import io.github.edgeocr.demo.DemoSettings;
import io.github.edgeocr.demo.OcrController;
import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.Arrays;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.After;
import org.junit.Test;

/** With the tiny bundle, whose networks read a language of coloured stripes. */
public final class OcrControllerTest {
    private static final DemoSettings SETTINGS = new DemoSettings(1, null, null, null);

    private final BlockingQueue<Object> told = new LinkedBlockingQueue<>();
    private OcrController controller = controller(NativeRuntime.tinyBundle(), NativeRuntime::open);

    @After
    public void close() {
        controller.close();
    }

    @Test
    public void anImageIsRead() throws InterruptedException {
        controller.read(OcrControllerTest::page, SETTINGS);
        assertEquals("abcd", read().getText());
        assertFalse(controller.isBusy());
    }

    @Test
    public void anotherNumberOfThreadsReadsTheSame() throws InterruptedException {
        for (int threads : new int[] {1, 2, 1}) {
            controller.read(OcrControllerTest::page, new DemoSettings(threads, null, null, null));
            assertEquals("abcd", read().getText());
        }
    }

    @Test
    public void settingsAreForOneImage() throws InterruptedException {
        controller.read(OcrControllerTest::page, new DemoSettings(1, null, 1f, null));
        assertEquals("", read().getText());
        controller.read(OcrControllerTest::page, SETTINGS);
        assertEquals("abcd", read().getText());
    }

    /** A camera that is turned gives turned frames; upright again they read the same. */
    @Test
    public void framesOfATurnedCameraAreRead() throws InterruptedException {
        for (int degrees : new int[] {0, 90, 180, 270}) {
            BgrImage frame = page().rotated((360 - degrees) % 360);
            assertTrue(controller.offer(() -> frame.rotated(degrees), SETTINGS));
            OcrResult result = read();
            assertEquals("abcd", result.getText());
            assertEquals(page().width(), result.getWidth());
        }
    }

    @Test
    public void aFrameIsDroppedWhileAnotherOneIsRead() throws InterruptedException {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch mayEnd = new CountDownLatch(1);
        assertTrue(
                controller.offer(
                        () -> {
                            begun.countDown();
                            await(mayEnd);
                            return page();
                        },
                        SETTINGS));
        await(begun);
        assertTrue(controller.isBusy());
        assertFalse(controller.offer(OcrControllerTest::page, SETTINGS));
        controller.read(OcrControllerTest::blank, SETTINGS);
        mayEnd.countDown();
        assertEquals("abcd", read().getText());
        assertEquals("", read().getText());
        assertNull(told.poll());
    }

    @Test
    public void aBadPictureIsToldAndTheNextOneIsRead() throws InterruptedException {
        controller.read(() -> null, SETTINGS);
        assertTrue(problem().contains("null"));
        controller.read(() -> BgrImage.fromArgb(new int[0], 0, 0), SETTINGS);
        assertTrue(problem().contains("empty"));
        controller.read(() -> BgrImage.fromArgb(new int[1], 2, 2), SETTINGS);
        assertFalse(problem().isEmpty());
        controller.read(
                () -> {
                    throw new IOException("the stream broke");
                },
                SETTINGS);
        assertTrue(problem().contains("the stream broke"));
        controller.read(OcrControllerTest::page, SETTINGS);
        assertEquals("abcd", read().getText());
    }

    @Test
    public void aPixelIsAnImageWithoutText() throws InterruptedException {
        controller.read(() -> BgrImage.fromArgb(new int[1], 1, 1), SETTINGS);
        assertEquals("", read().getText());
    }

    @Test
    public void aCorruptAssetIsNamed() throws InterruptedException {
        BundleFiles sound = NativeRuntime.tinyBundle();
        String[] names = {"bundle.json", "det.tflite", "rec.tflite", "charset.txt"};
        for (String corrupt : names) {
            BundleFiles files =
                    name ->
                            name.equals(corrupt)
                                    ? new ByteArrayInputStream(new byte[] {1, 2, 3})
                                    : sound.open(name);
            assertRefused(files, corrupt);
        }
        BundleFiles none =
                name -> {
                    throw new FileNotFoundException(name);
                };
        assertRefused(none, "bundle.json");
    }

    @Test
    public void aMissingRuntimeIsTold() throws InterruptedException {
        controller.close();
        controller =
                controller(
                        NativeRuntime.tinyBundle(),
                        () -> {
                            throw new RuntimeUnavailableException("built without LiteRT");
                        });
        controller.read(OcrControllerTest::page, SETTINGS);
        assertEquals("built without LiteRT", problem());
    }

    @Test
    public void aClosedControllerTakesNothing() {
        controller.close();
        assertFalse(controller.offer(OcrControllerTest::page, SETTINGS));
        controller.read(OcrControllerTest::page, SETTINGS);
        controller.close();
        assertNull(told.poll());
    }

    private void assertRefused(BundleFiles files, String named) throws InterruptedException {
        controller.close();
        controller = controller(files, NativeRuntime::open);
        controller.read(OcrControllerTest::page, SETTINGS);
        String problem = problem();
        assertTrue(problem, problem.contains(named));
    }

    private OcrController controller(BundleFiles files, OcrController.RuntimeSource runtime) {
        return new OcrController(
                files,
                runtime,
                Runnable::run,
                new OcrController.Listener() {
                    @Override
                    public void onRead(OcrResult result) {
                        told.add(result);
                    }

                    @Override
                    public void onFailed(String message) {
                        told.add(message);
                    }
                });
    }

    private OcrResult read() throws InterruptedException {
        Object next = next();
        assertTrue(next.toString(), next instanceof OcrResult);
        return (OcrResult) next;
    }

    private String problem() throws InterruptedException {
        Object next = next();
        assertTrue("read: " + next, next instanceof String);
        return (String) next;
    }

    /** Waits for what only a hanging controller never tells. */
    private Object next() throws InterruptedException {
        Object next = told.poll(5, TimeUnit.MINUTES);
        assertNotNull("nothing was told", next);
        return next;
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    private static BgrImage blank() {
        int[] argb = new int[250 * 100];
        Arrays.fill(argb, 0xffffffff);
        return BgrImage.fromArgb(argb, 250, 100);
    }

    /** The line "abcd": red, with a green stripe a character, whose height says which one. */
    private static BgrImage page() {
        int width = 250;
        int height = 100;
        int stripe = 16;
        int lineHeight = 32;
        int[] argb = new int[width * height];
        Arrays.fill(argb, 0xffffffff);
        for (int y = 0; y < lineHeight; y++) {
            for (int x = 0; x < stripe * 9; x++) {
                int column = x / stripe;
                boolean green = column % 2 == 1 && y / (lineHeight / 4) == column / 2;
                int red = y >= lineHeight - lineHeight / 8 ? 160 : 255;
                argb[(30 + y) * width + 20 + x] =
                        0xff000000 | red << 16 | (green ? 255 : 0) << 8;
            }
        }
        return BgrImage.fromArgb(argb, width, height);
    }
}
