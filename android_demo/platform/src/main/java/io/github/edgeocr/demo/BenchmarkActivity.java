package io.github.edgeocr.demo;

import android.app.Activity;
import android.os.Bundle;
import android.util.Log;
import android.view.WindowManager;
import android.widget.TextView;
import io.github.edgeocr.EdgeOcrException;
import io.github.edgeocr.measure.MeasureException;
import io.github.edgeocr.measure.Probe;
import io.github.edgeocr.measure.ProbePlan;
import io.github.edgeocr.measure.RunFolder;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;

/**
 * Measures the pipeline on this phone and writes {@code edgeocr-bench}'s device result.
 *
 * <p>A host that pushed a plan starts it with the name of the run's folder as the extra "run", and
 * it ends by itself. Started from the app it reads the sample page twenty times, and stays.
 */
public final class BenchmarkActivity extends Activity {
    /** Extra: name of a folder in the app's external files, edgeocr-bench- and 12 hex digits. */
    public static final String RUN = "run";

    private static final String TAG = "edgeocr-bench";
    private static final int ROUNDS = 20;

    private final StringBuilder lines = new StringBuilder();
    private Thread worker;
    private TextView log;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        setContentView(R.layout.benchmark);
        log = (TextView) findViewById(R.id.log);
        final String run = getIntent().getStringExtra(RUN);
        final File root = getExternalFilesDir(null);
        worker =
                new Thread("edgeocr-bench") {
                    @Override
                    public void run() {
                        measure(root, run);
                    }
                };
        worker.start();
    }

    @Override
    protected void onDestroy() {
        worker.interrupt();
        super.onDestroy();
    }

    private void measure(File root, String run) {
        RunFolder folder;
        try {
            folder = run == null ? ownFolder(root) : RunFolder.named(root, run);
        } catch (MeasureException | IOException error) {
            show(error.getMessage());
            return;
        }
        String problem;
        try {
            ProbePlan plan = run == null ? ownPlan() : ProbePlan.parse(text(folder.folder));
            folder.finish(probe(plan, folder).run());
            show(getString(R.string.measured, folder.folder + "/result.json"));
            problem = null;
        } catch (EdgeOcrException | IOException error) {
            problem = error.getMessage();
        } catch (InterruptedException error) {
            problem = "the benchmark screen was left before the end";
        } catch (Throwable error) { // The host waits for a word, whatever went wrong.
            problem = "unexpected: " + error;
            Log.e(TAG, problem, error);
        }
        if (problem != null) {
            show(problem);
            fail(folder, problem);
        }
        if (run != null) {
            finish();
        }
    }

    private Probe probe(ProbePlan plan, final RunFolder folder) {
        return new Probe(
                plan,
                new AndroidDevice(this, folder.folder),
                new Probe.Progress() {
                    @Override
                    public void onStep(String text) {
                        show(text);
                        try {
                            folder.progress(text);
                        } catch (IOException error) {
                            throw new MeasureException(
                                    "can't write progress.txt: " + error.getMessage());
                        }
                    }
                });
    }

    private void fail(RunFolder folder, String problem) {
        try {
            folder.fail(problem);
        } catch (IOException error) {
            Log.e(TAG, "can't write error.txt", error);
        }
    }

    private static RunFolder ownFolder(File root) throws IOException {
        File folder = new File(root, "benchmark");
        if (root == null || (!folder.isDirectory() && !folder.mkdirs())) {
            throw new IOException("the storage for the result is not there");
        }
        new File(folder, "progress.txt").delete();
        return new RunFolder(folder);
    }

    private ProbePlan ownPlan() {
        return ProbePlan.ofOnePage(
                new ProbePlan.PlannedBundle("bundle", "assets/" + AssetBundleFiles.FOLDER),
                new ProbePlan.PlannedImage("receipt.jpg", "assets/samples/receipt.jpg", null),
                SettingsDialog.load(this).threads,
                ROUNDS);
    }

    private static String text(File folder) throws IOException {
        try (InputStream stream = new FileInputStream(new File(folder, "plan.json"))) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            byte[] piece = new byte[8192];
            for (int read = stream.read(piece); read >= 0; read = stream.read(piece)) {
                content.write(piece, 0, read);
            }
            return content.toString("UTF-8");
        }
    }

    private void show(final String line) {
        Log.i(TAG, line);
        runOnUiThread(
                new Runnable() {
                    @Override
                    public void run() {
                        lines.append(line).append('\n');
                        log.setText(lines);
                    }
                });
    }
}
