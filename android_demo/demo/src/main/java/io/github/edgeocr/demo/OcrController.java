package io.github.edgeocr.demo;

import io.github.edgeocr.Bundle;
import io.github.edgeocr.BundleFiles;
import io.github.edgeocr.EdgeOcrException;
import io.github.edgeocr.Ocr;
import io.github.edgeocr.OcrResult;
import io.github.edgeocr.TensorRunner;
import java.io.Closeable;
import java.io.IOException;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Reads images on a thread of its own, one at a time, and tells what came of it.
 *
 * <p>The models are opened with the first image, and again when the number of threads changes.
 */
public final class OcrController implements Closeable {
    /** Where a TFLite runtime comes from; asked once, on the controller's thread. */
    public interface RuntimeSource {
        /**
         * @throws io.github.edgeocr.RuntimeUnavailableException there is none
         */
        TensorRunner.Factory open();
    }

    /** Called through the executor that the constructor was given. */
    public interface Listener {
        /** The lines of an image. */
        void onRead(OcrResult result);

        /** An image, a bundle or the runtime is not as it must be. The next image is tried anew. */
        void onFailed(String message);
    }

    private final BundleFiles files;
    private final RuntimeSource runtimeSource;
    private final Executor callbacks;
    private final Listener listener;
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private final AtomicInteger unread = new AtomicInteger();
    private volatile boolean closed;

    // Of the worker alone.
    private TensorRunner.Factory factory;
    private Bundle bundle;
    private Ocr ocr;
    private int threads;

    public OcrController(
            BundleFiles files, RuntimeSource runtimeSource, Executor callbacks, Listener listener) {
        this.files = files;
        this.runtimeSource = runtimeSource;
        this.callbacks = callbacks;
        this.listener = listener;
    }

    /** Whether an image is being read, so that another one would be dropped. */
    public boolean isBusy() {
        return unread.get() > 0;
    }

    /**
     * Reads an image, unless another one is being read: a camera's next frame is newer than any
     * that would have waited.
     *
     * @return whether it is read; if not, the source is not used
     */
    public synchronized boolean offer(ImageSource source, DemoSettings settings) {
        if (closed || !unread.compareAndSet(0, 1)) {
            return false;
        }
        submit(source, settings);
        return true;
    }

    /** Reads an image, after the one that is being read. */
    public synchronized void read(ImageSource source, DemoSettings settings) {
        if (!closed) {
            unread.incrementAndGet();
            submit(source, settings);
        }
    }

    /** Frees the models, after the image that is being read; nothing is told from now on. */
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        worker.execute(
                new Runnable() {
                    @Override
                    public void run() {
                        closeModels();
                    }
                });
        worker.shutdown();
    }

    private void submit(final ImageSource source, final DemoSettings settings) {
        worker.execute(
                new Runnable() {
                    @Override
                    public void run() {
                        readNow(source, settings);
                    }
                });
    }

    private void readNow(ImageSource source, DemoSettings settings) {
        OcrResult result = null;
        String problem = null;
        try {
            open(settings.threads);
            result = ocr.read(source.load(), settings.options());
        } catch (EdgeOcrException error) {
            problem = error.getMessage();
        } catch (IOException error) {
            problem = "The picture can't be loaded: " + error.getMessage();
        } catch (OutOfMemoryError error) {
            problem = "The picture is too large for this device's memory";
        } finally {
            unread.decrementAndGet();
        }
        tell(result, problem);
    }

    private void open(int wanted) {
        if (ocr != null && threads == wanted) {
            return;
        }
        closeModels();
        if (factory == null) {
            factory = runtimeSource.open();
        }
        if (bundle == null) {
            bundle = Bundle.open(files);
        }
        ocr = Ocr.open(bundle, factory, wanted);
        threads = wanted;
    }

    private void closeModels() {
        if (ocr != null) {
            ocr.close();
            ocr = null;
        }
    }

    private void tell(final OcrResult result, final String problem) {
        callbacks.execute(
                new Runnable() {
                    @Override
                    public void run() {
                        if (closed) {
                            return;
                        }
                        if (result != null) {
                            listener.onRead(result);
                        } else {
                            listener.onFailed(problem);
                        }
                    }
                });
    }
}
