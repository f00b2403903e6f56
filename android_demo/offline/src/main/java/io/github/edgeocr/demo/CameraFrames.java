package io.github.edgeocr.demo;

import android.content.Context;
import android.graphics.ImageFormat;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCaptureSession;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraDevice;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureRequest;
import android.hardware.camera2.params.StreamConfigurationMap;
import android.media.Image;
import android.media.ImageReader;
import android.os.Handler;
import android.os.HandlerThread;
import android.util.Size;
import android.view.Surface;
import android.view.SurfaceHolder;
import io.github.edgeocr.BgrImage;
import io.github.edgeocr.EdgeOcrException;
import java.util.Arrays;

/**
 * Shows the back camera on a surface and gives its frames upright. Only the newest frame is ever
 * kept: while one is being read, later ones take its place in the queue of two.
 */
final class CameraFrames {
    /** Called on the camera's own thread. */
    interface Listener {
        /** Whether a frame would be used now. */
        boolean wantsFrame();

        void onFrame(BgrImage frame);

        void onFailed(String reason);
    }

    /** Large enough for a page of text, small enough for several frames a second. */
    private static final int MOST_PIXELS = 1280 * 960;

    private final CameraManager manager;
    private final Listener listener;
    private final String id;
    private final Size size;
    private final int degrees;
    private HandlerThread thread;
    private Handler handler;
    private ImageReader reader;
    private CameraDevice camera;
    private volatile boolean closed;

    /**
     * Chooses the camera and the size of its frames.
     *
     * @param displayDegrees by which the display is turned from its natural orientation
     * @throws CameraAccessException there is no camera, or none that can be used now
     */
    CameraFrames(Context context, int displayDegrees, Listener listener)
            throws CameraAccessException {
        this.listener = listener;
        manager = (CameraManager) context.getSystemService(Context.CAMERA_SERVICE);
        id = choose(manager);
        CameraCharacteristics facts = manager.getCameraCharacteristics(id);
        StreamConfigurationMap map =
                facts.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP);
        if (map == null) {
            throw new CameraAccessException(CameraAccessException.CAMERA_ERROR);
        }
        size = choose(map.getOutputSizes(ImageFormat.YUV_420_888));
        degrees =
                degrees(
                        facts.get(CameraCharacteristics.SENSOR_ORIENTATION),
                        displayDegrees,
                        isFront(facts));
    }

    /** Width of the frames as they are given, upright. */
    int width() {
        return degrees % 180 == 0 ? size.getWidth() : size.getHeight();
    }

    int height() {
        return degrees % 180 == 0 ? size.getHeight() : size.getWidth();
    }

    /** Width of the frames on the surface, which the system turns. */
    int sensorWidth() {
        return size.getWidth();
    }

    int sensorHeight() {
        return size.getHeight();
    }

    /**
     * Starts; needs the permission for the camera.
     *
     * @param holder of the surface, which must be there
     */
    void start(final SurfaceHolder holder) throws CameraAccessException {
        if (thread != null) {
            return;
        }
        thread = new HandlerThread("camera");
        thread.start();
        handler = new Handler(thread.getLooper());
        reader =
                ImageReader.newInstance(
                        size.getWidth(), size.getHeight(), ImageFormat.YUV_420_888, 2);
        reader.setOnImageAvailableListener(
                new ImageReader.OnImageAvailableListener() {
                    @Override
                    public void onImageAvailable(ImageReader source) {
                        give(source);
                    }
                },
                handler);
        try {
            manager.openCamera(id, opened(holder), handler);
        } catch (CameraAccessException | SecurityException error) {
            reader.close();
            thread.quitSafely();
            throw error;
        }
    }

    private CameraDevice.StateCallback opened(final SurfaceHolder holder) {
        return new CameraDevice.StateCallback() {
            @Override
            public void onOpened(CameraDevice device) {
                camera = device;
                if (closed) {
                    release();
                } else {
                    preview(holder.getSurface());
                }
            }

            @Override
            public void onDisconnected(CameraDevice device) {
                lose(device, "another app took it");
            }

            @Override
            public void onError(CameraDevice device, int error) {
                lose(device, "error " + error);
            }
        };
    }

    /** Stops and frees the camera, on its own thread; one that is just being opened, then. */
    void close() {
        closed = true;
        if (thread == null) {
            return;
        }
        handler.post(
                new Runnable() {
                    @Override
                    public void run() {
                        if (camera != null) {
                            release();
                        }
                    }
                });
    }

    private void release() {
        camera.close();
        reader.close();
        thread.quitSafely();
    }

    private void lose(CameraDevice device, String reason) {
        camera = device;
        fail(reason);
        if (closed) {
            release();
        }
    }

    private void give(ImageReader source) {
        Image image = closed ? null : source.acquireLatestImage();
        if (image == null) {
            return;
        }
        BgrImage frame = null;
        try {
            if (listener.wantsFrame()) {
                frame = Pictures.pixels(image, degrees);
            }
        } catch (EdgeOcrException error) {
            fail(error.getMessage());
        } finally {
            image.close();
        }
        if (frame != null) {
            listener.onFrame(frame);
        }
    }

    private void preview(final Surface surface) {
        if (closed) {
            return;
        }
        try {
            camera.createCaptureSession(
                    Arrays.asList(surface, reader.getSurface()),
                    new CameraCaptureSession.StateCallback() {
                        @Override
                        public void onConfigured(CameraCaptureSession session) {
                            repeat(session, surface);
                        }

                        @Override
                        public void onConfigureFailed(CameraCaptureSession session) {
                            fail("it refuses frames of " + size);
                        }
                    },
                    handler);
        } catch (CameraAccessException | IllegalStateException | IllegalArgumentException error) {
            fail(error.getMessage());
        }
    }

    private void repeat(CameraCaptureSession session, Surface surface) {
        if (closed) {
            return;
        }
        try {
            CaptureRequest.Builder request =
                    camera.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW);
            request.addTarget(surface);
            request.addTarget(reader.getSurface());
            request.set(
                    CaptureRequest.CONTROL_AF_MODE,
                    CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE);
            session.setRepeatingRequest(request.build(), null, handler);
        } catch (CameraAccessException | IllegalStateException | IllegalArgumentException error) {
            fail(error.getMessage());
        }
    }

    private void fail(String reason) {
        if (!closed) {
            listener.onFailed(reason);
        }
    }

    private static String choose(CameraManager manager) throws CameraAccessException {
        String[] ids = manager.getCameraIdList();
        if (ids.length == 0) {
            throw new CameraAccessException(CameraAccessException.CAMERA_DISCONNECTED);
        }
        for (String id : ids) {
            if (!isFront(manager.getCameraCharacteristics(id))) {
                return id;
            }
        }
        return ids[0];
    }

    private static boolean isFront(CameraCharacteristics facts) {
        Integer facing = facts.get(CameraCharacteristics.LENS_FACING);
        return facing != null && facing == CameraCharacteristics.LENS_FACING_FRONT;
    }

    /** The largest that is not too large, else the smallest. */
    private static Size choose(Size[] sizes) throws CameraAccessException {
        if (sizes == null || sizes.length == 0) {
            throw new CameraAccessException(CameraAccessException.CAMERA_ERROR);
        }
        Size best = sizes[0];
        for (Size size : sizes) {
            boolean fits = pixels(size) <= MOST_PIXELS;
            boolean bestFits = pixels(best) <= MOST_PIXELS;
            if (fits != bestFits ? fits : fits == (pixels(size) > pixels(best))) {
                best = size;
            }
        }
        return best;
    }

    private static int pixels(Size size) {
        return size.getWidth() * size.getHeight();
    }

    private static int degrees(int sensor, int display, boolean front) {
        return front ? (sensor + display) % 360 : (sensor - display + 360) % 360;
    }
}
