package io.github.edgeocr.demo;

import android.Manifest;
import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.ClipData;
import android.content.ClipboardManager;
import android.content.Context;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.graphics.Bitmap;
import android.graphics.Rect;
import android.hardware.camera2.CameraAccessException;
import android.net.Uri;
import android.os.Bundle;
import android.os.Handler;
import android.os.Looper;
import android.view.SurfaceHolder;
import android.view.SurfaceView;
import android.view.View;
import android.widget.Button;
import android.widget.FrameLayout;
import android.widget.TextView;
import android.widget.Toast;
import io.github.edgeocr.BgrImage;
import java.io.IOException;
import java.util.concurrent.Executor;

/** The one screen: the camera or a picture with boxes and texts over it, and the text below. */
public final class MainActivity extends Activity implements ScreenModel.Screen {
    private static final int PICK = 1;
    private static final int ASK_FOR_CAMERA = 2;

    private final Handler main = new Handler(Looper.getMainLooper());
    private ScreenModel model;
    private CameraFrames camera;
    private boolean surfaceReady;
    private boolean photoAfterPermission;
    private FrameLayout stage;
    private SurfaceView preview;
    private ResultView resultView;
    private TextView message;
    private TextView text;
    private Button live;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        setContentView(R.layout.main);
        stage = (FrameLayout) findViewById(R.id.stage);
        preview = (SurfaceView) findViewById(R.id.preview);
        resultView = (ResultView) findViewById(R.id.result);
        message = (TextView) findViewById(R.id.message);
        text = (TextView) findViewById(R.id.text);
        live = (Button) findViewById(R.id.live);
        model =
                new ScreenModel(
                        new AssetBundleFiles(getAssets(), AssetBundleFiles.FOLDER),
                        ((RuntimeProvider) getApplication()).runtimeSource(),
                        new Executor() {
                            @Override
                            public void execute(Runnable command) {
                                main.post(command);
                            }
                        },
                        SettingsDialog.load(this),
                        this);
        preview.getHolder().addCallback(new PreviewSurface());
        connectButtons();
    }

    @Override
    protected void onResume() {
        super.onResume();
        startCamera();
    }

    @Override
    protected void onPause() {
        stopCamera();
        super.onPause();
    }

    @Override
    protected void onDestroy() {
        model.close();
        super.onDestroy();
    }

    @Override
    public void show(UiState state) {
        resultView.show(state.picture, state.result);
        text.setText(state.text());
        live.setActivated(state.live);
        if (state.problem != null) {
            message.setText(state.problem);
        } else if (state.result == null) {
            message.setText(R.string.reading);
        } else if (state.result.getLines().isEmpty()) {
            message.setText(R.string.no_text);
        } else {
            message.setText(
                    getString(
                            R.string.read,
                            state.result.getLines().size(),
                            Math.round(state.result.getTimingsMillis().get("total"))));
        }
    }

    private void connectButtons() {
        live.setOnClickListener(
                new View.OnClickListener() {
                    @Override
                    public void onClick(View view) {
                        withCamera(false);
                    }
                });
        findViewById(R.id.photo)
                .setOnClickListener(
                        new View.OnClickListener() {
                            @Override
                            public void onClick(View view) {
                                withCamera(true);
                            }
                        });
        findViewById(R.id.gallery)
                .setOnClickListener(
                        new View.OnClickListener() {
                            @Override
                            public void onClick(View view) {
                                pickPicture();
                            }
                        });
        findViewById(R.id.copy)
                .setOnClickListener(
                        new View.OnClickListener() {
                            @Override
                            public void onClick(View view) {
                                copyText();
                            }
                        });
        findViewById(R.id.settings)
                .setOnClickListener(
                        new View.OnClickListener() {
                            @Override
                            public void onClick(View view) {
                                chooseSettings();
                            }
                        });
        findViewById(R.id.benchmark)
                .setOnClickListener(
                        new View.OnClickListener() {
                            @Override
                            public void onClick(View view) {
                                startActivity(
                                        new Intent(MainActivity.this, BenchmarkActivity.class));
                            }
                        });
    }

    private void pickPicture() {
        Intent pick = new Intent(Intent.ACTION_GET_CONTENT);
        pick.setType("image/*");
        pick.addCategory(Intent.CATEGORY_OPENABLE);
        try {
            startActivityForResult(pick, PICK);
        } catch (ActivityNotFoundException error) {
            message.setText(R.string.no_gallery);
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (request != PICK || result != RESULT_OK || data == null || data.getData() == null) {
            return;
        }
        final Uri uri = data.getData();
        final Context context = getApplicationContext();
        message.setText(R.string.reading);
        model.read(
                new ScreenModel.Picture() {
                    @Override
                    public Bitmap load() throws IOException {
                        return Pictures.decode(context, uri);
                    }
                });
    }

    private void copyText() {
        ClipboardManager clipboard = (ClipboardManager) getSystemService(CLIPBOARD_SERVICE);
        clipboard.setPrimaryClip(ClipData.newPlainText(getString(R.string.app_name), model.text()));
        Toast.makeText(this, R.string.copied, Toast.LENGTH_SHORT).show();
    }

    private void chooseSettings() {
        SettingsDialog.show(
                this,
                new SettingsDialog.Listener() {
                    @Override
                    public void onChosen(DemoSettings settings) {
                        model.choose(settings);
                    }
                });
    }

    private void withCamera(boolean photo) {
        if (checkSelfPermission(Manifest.permission.CAMERA) != PackageManager.PERMISSION_GRANTED) {
            photoAfterPermission = photo;
            requestPermissions(new String[] {Manifest.permission.CAMERA}, ASK_FOR_CAMERA);
            return;
        }
        startCamera();
        if (camera == null) {
            model.stopLive(getString(R.string.no_camera));
        } else if (photo) {
            model.takePhoto();
        } else {
            model.startLive();
        }
    }

    @Override
    public void onRequestPermissionsResult(int request, String[] permissions, int[] results) {
        if (request != ASK_FOR_CAMERA) {
            return;
        }
        if (results.length == 0 || results[0] != PackageManager.PERMISSION_GRANTED) {
            model.stopLive(getString(R.string.camera_refused));
            return;
        }
        withCamera(photoAfterPermission);
    }

    private void startCamera() {
        if (camera != null
                || !surfaceReady
                || checkSelfPermission(Manifest.permission.CAMERA)
                        != PackageManager.PERMISSION_GRANTED) {
            return;
        }
        try {
            int turned = 90 * getWindowManager().getDefaultDisplay().getRotation();
            camera = new CameraFrames(this, turned, new Frames());
            fitPreview();
            startFrames();
        } catch (CameraAccessException | SecurityException error) {
            stopCamera();
            model.stopLive(getString(R.string.no_camera));
        }
    }

    /** Starts the camera as soon as the surface has the size of its frames. */
    private void startFrames() throws CameraAccessException {
        Rect surface = preview.getHolder().getSurfaceFrame();
        if (camera != null
                && surface.width() == camera.sensorWidth()
                && surface.height() == camera.sensorHeight()) {
            camera.start(preview.getHolder());
        }
    }

    private void stopCamera() {
        if (camera != null) {
            camera.close();
            camera = null;
        }
    }

    /** Makes the preview show the whole frame, so that boxes lie where their text is. */
    private void fitPreview() {
        FittedImage fitted =
                new FittedImage(
                        camera.width(), camera.height(), stage.getWidth(), stage.getHeight());
        FrameLayout.LayoutParams layout = (FrameLayout.LayoutParams) preview.getLayoutParams();
        layout.width = Math.round(camera.width() * fitted.scale);
        layout.height = Math.round(camera.height() * fitted.scale);
        preview.setLayoutParams(layout);
        preview.getHolder().setFixedSize(camera.sensorWidth(), camera.sensorHeight());
    }

    private final class PreviewSurface implements SurfaceHolder.Callback {
        @Override
        public void surfaceCreated(SurfaceHolder holder) {
            surfaceReady = true;
            startCamera();
        }

        @Override
        public void surfaceChanged(SurfaceHolder holder, int format, int width, int height) {
            try {
                startFrames();
            } catch (CameraAccessException | SecurityException error) {
                stopCamera();
                model.stopLive(getString(R.string.no_camera));
            }
        }

        @Override
        public void surfaceDestroyed(SurfaceHolder holder) {
            surfaceReady = false;
            stopCamera();
        }
    }

    private final class Frames implements CameraFrames.Listener {
        @Override
        public boolean wantsFrame() {
            return model.wantsFrame();
        }

        @Override
        public void onFrame(BgrImage frame) {
            model.onFrame(frame);
        }

        @Override
        public void onFailed(final String reason) {
            main.post(
                    new Runnable() {
                        @Override
                        public void run() {
                            stopCamera();
                            model.stopLive(getString(R.string.camera_failed, reason));
                        }
                    });
        }
    }
}
