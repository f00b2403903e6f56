package io.github.edgeocr.demo;

import android.app.Activity;
import android.app.AlertDialog;
import android.content.DialogInterface;
import android.content.SharedPreferences;
import android.view.View;
import android.widget.CheckBox;
import android.widget.CompoundButton;
import android.widget.SeekBar;
import android.widget.TextView;
import java.util.Locale;

/** Lets the user choose threads and thresholds, and keeps the choice. */
public final class SettingsDialog {
    /** Told of a new choice. */
    public interface Listener {
        void onChosen(DemoSettings settings);
    }

    private static final String FILE = "settings";
    private static final String THREADS = "threads";
    private static final String THRESHOLD = "threshold";
    private static final String BOX_THRESHOLD = "box_threshold";
    private static final String MIN_SCORE = "min_score";

    private SettingsDialog() {}

    /** What was chosen last, else what is recommended. */
    public static DemoSettings load(Activity activity) {
        SharedPreferences kept = kept(activity);
        DemoSettings recommended = DemoSettings.recommended();
        return new DemoSettings(
                kept.getInt(THREADS, recommended.threads),
                kept.contains(THRESHOLD) ? kept.getFloat(THRESHOLD, 0) : null,
                kept.contains(BOX_THRESHOLD) ? kept.getFloat(BOX_THRESHOLD, 0) : null,
                kept.contains(MIN_SCORE) ? kept.getFloat(MIN_SCORE, 0) : null);
    }

    public static void show(final Activity activity, final Listener listener) {
        DemoSettings current = load(activity);
        View view = View.inflate(activity, R.layout.settings, null);
        final SeekBar threads = (SeekBar) view.findViewById(R.id.threads);
        final TextView label = (TextView) view.findViewById(R.id.threads_label);
        threads.setMax(DemoSettings.MOST_THREADS - 1);
        threads.setOnSeekBarChangeListener(
                new OnChange() {
                    @Override
                    void onChange(int value) {
                        label.setText(activity.getString(R.string.threads, value + 1));
                    }
                });
        threads.setProgress(current.threads - 1);
        label.setText(activity.getString(R.string.threads, current.threads));
        final Threshold pixel =
                new Threshold(view, R.id.threshold, R.id.threshold_own, current.threshold, 0.3f);
        final Threshold box =
                new Threshold(
                        view,
                        R.id.box_threshold,
                        R.id.box_threshold_own,
                        current.boxThreshold,
                        0.6f);
        final Threshold score =
                new Threshold(view, R.id.min_score, R.id.min_score_own, current.minScore, 0.5f);
        new AlertDialog.Builder(activity)
                .setTitle(R.string.settings)
                .setView(view)
                .setNegativeButton(android.R.string.cancel, null)
                .setPositiveButton(
                        android.R.string.ok,
                        new DialogInterface.OnClickListener() {
                            @Override
                            public void onClick(DialogInterface dialog, int which) {
                                DemoSettings chosen =
                                        new DemoSettings(
                                                threads.getProgress() + 1,
                                                pixel.value(),
                                                box.value(),
                                                score.value());
                                keep(activity, chosen);
                                listener.onChosen(chosen);
                            }
                        })
                .show();
    }

    private static SharedPreferences kept(Activity activity) {
        return activity.getSharedPreferences(FILE, Activity.MODE_PRIVATE);
    }

    private static void keep(Activity activity, DemoSettings settings) {
        SharedPreferences.Editor editor = kept(activity).edit().clear();
        editor.putInt(THREADS, settings.threads);
        if (settings.threshold != null) {
            editor.putFloat(THRESHOLD, settings.threshold);
        }
        if (settings.boxThreshold != null) {
            editor.putFloat(BOX_THRESHOLD, settings.boxThreshold);
        }
        if (settings.minScore != null) {
            editor.putFloat(MIN_SCORE, settings.minScore);
        }
        editor.apply();
    }

    /** A check box that takes the place of the bundle's threshold, and the bar with the value. */
    private static final class Threshold {
        private final SeekBar bar;
        private final CheckBox own;

        Threshold(View view, int barId, int ownId, Float chosen, final float start) {
            bar = (SeekBar) view.findViewById(barId);
            own = (CheckBox) view.findViewById(ownId);
            final String name = own.getText().toString();
            bar.setMax(100);
            bar.setOnSeekBarChangeListener(
                    new OnChange() {
                        @Override
                        void onChange(int value) {
                            own.setText(String.format(Locale.ROOT, "%s: %.2f", name, value / 100f));
                        }
                    });
            own.setOnCheckedChangeListener(
                    new CompoundButton.OnCheckedChangeListener() {
                        @Override
                        public void onCheckedChanged(CompoundButton button, boolean checked) {
                            bar.setEnabled(checked);
                        }
                    });
            bar.setProgress(Math.round(100 * (chosen == null ? start : chosen)));
            own.setChecked(chosen != null);
            bar.setEnabled(chosen != null);
        }

        Float value() {
            return own.isChecked() ? bar.getProgress() / 100f : null;
        }
    }

    /** The one of a bar's three events that matters here. */
    private abstract static class OnChange implements SeekBar.OnSeekBarChangeListener {
        abstract void onChange(int value);

        @Override
        public void onProgressChanged(SeekBar bar, int value, boolean byUser) {
            onChange(value);
        }

        @Override
        public void onStartTrackingTouch(SeekBar bar) {}

        @Override
        public void onStopTrackingTouch(SeekBar bar) {}
    }
}
