package io.github.edgeocr.demo;

import android.app.Activity;
import android.app.ActivityManager;
import android.content.Context;
import android.content.Intent;
import android.content.IntentFilter;
import android.content.pm.PackageManager;
import android.graphics.BitmapFactory;
import android.os.BatteryManager;
import android.os.Build;
import android.os.Debug;
import android.os.PowerManager;
import android.os.Process;
import io.github.edgeocr.BgrImage;
import io.github.edgeocr.BundleFiles;
import io.github.edgeocr.FolderBundleFiles;
import io.github.edgeocr.TensorRunner;
import io.github.edgeocr.measure.Device;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileReader;
import java.io.IOException;
import java.io.InputStream;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/** This phone, as far as an app without privileges sees it. */
final class AndroidDevice implements Device {
    private static final String CPUS = "/sys/devices/system/cpu";
    private static final String ASSETS = "assets/";

    private final Activity activity;
    private final RuntimeProvider provider;
    private final File folder;
    private TensorRunner.Factory factory;

    /**
     * @param folder that paths of a plan are relative to; paths that begin with "assets/" are the
     *     app's own
     */
    AndroidDevice(Activity activity, File folder) {
        this.activity = activity;
        this.provider = (RuntimeProvider) activity.getApplication();
        this.folder = folder;
    }

    @Override
    public String app() {
        return "android";
    }

    @Override
    public Map<String, Object> versions() {
        Map<String, Object> versions = new LinkedHashMap<>();
        try {
            versions.put(
                    "edgeocr_demo",
                    activity.getPackageManager()
                            .getPackageInfo(activity.getPackageName(), 0)
                            .versionName);
        } catch (PackageManager.NameNotFoundException error) {
            throw new IllegalStateException("an app is installed while it runs", error);
        }
        versions.put("android", Build.VERSION.RELEASE);
        if (provider.runtimeVersion() != null) {
            versions.put("litert", provider.runtimeVersion());
        }
        return versions;
    }

    @Override
    public Map<String, Object> environment() {
        Map<String, Object> environment = new LinkedHashMap<>();
        environment.put("architecture", System.getProperty("os.arch"));
        environment.put("system", "Android");
        environment.put("kernel", System.getProperty("os.version"));
        environment.put(
                "distribution",
                "Android " + Build.VERSION.RELEASE + " (API " + Build.VERSION.SDK_INT + ")");
        environment.put("board", Build.MANUFACTURER + " " + Build.MODEL);
        environment.put("hardware", Build.HARDWARE);
        environment.put("fingerprint", Build.FINGERPRINT);
        environment.put("cpus", Runtime.getRuntime().availableProcessors());
        ActivityManager.MemoryInfo memory = new ActivityManager.MemoryInfo();
        ((ActivityManager) activity.getSystemService(Context.ACTIVITY_SERVICE))
                .getMemoryInfo(memory);
        environment.put("memory_bytes", memory.totalMem);
        putCpus(environment, "cpuinfo_max_freq", "cpuinfo_max_freq");
        putCpus(environment, "scaling_governor", "scaling_governor");
        return environment;
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        putCpus(facts, "scaling_cur_freq_khz", "scaling_cur_freq");
        Integer status = thermalStatus();
        if (status != null) {
            facts.put("thermal_status", status);
        }
        Intent battery =
                activity.registerReceiver(null, new IntentFilter(Intent.ACTION_BATTERY_CHANGED));
        if (battery != null && battery.hasExtra(BatteryManager.EXTRA_TEMPERATURE)) {
            double celsius = battery.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, 0) / 10.0;
            facts.put("temperature_c", Collections.singletonMap("battery", celsius));
        }
        return facts;
    }

    @Override
    public Long proportionalBytes() {
        return Debug.getPss() * 1024;
    }

    @Override
    public Double processorMillis() {
        return (double) Process.getElapsedCpuTime();
    }

    @Override
    public TensorRunner.Factory runtime() {
        if (factory == null) {
            factory = provider.runtimeSource().open();
        }
        return factory;
    }

    @Override
    public BundleFiles bundle(String path) {
        return path.startsWith(ASSETS)
                ? new AssetBundleFiles(activity.getAssets(), path.substring(ASSETS.length()))
                : new FolderBundleFiles(new File(folder, path));
    }

    @Override
    public byte[] file(String path) throws IOException {
        try (InputStream stream =
                path.startsWith(ASSETS)
                        ? activity.getAssets().open(path.substring(ASSETS.length()))
                        : new FileInputStream(new File(folder, path))) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            byte[] piece = new byte[65536];
            for (int read = stream.read(piece); read >= 0; read = stream.read(piece)) {
                content.write(piece, 0, read);
            }
            return content.toByteArray();
        }
    }

    @Override
    public BgrImage image(String path) throws IOException {
        if (path.startsWith(ASSETS)) { // None of them has an EXIF orientation.
            byte[] content = file(path);
            return Pictures.pixels(BitmapFactory.decodeByteArray(content, 0, content.length));
        }
        return Pictures.pixels(Pictures.decode(new File(folder, path), Integer.MAX_VALUE));
    }

    /** 0 (none) to 6 (shut down), from Android 10 on; null before. */
    private Integer thermalStatus() {
        Object power = activity.getSystemService(Context.POWER_SERVICE);
        try {
            return (Integer)
                    PowerManager.class.getMethod("getCurrentThermalStatus").invoke(power);
        } catch (ReflectiveOperationException error) {
            return null;
        }
    }

    private static void putCpus(Map<String, Object> facts, String key, String file) {
        Map<String, Object> values = new TreeMap<>();
        for (int cpu = 0; cpu < Runtime.getRuntime().availableProcessors(); cpu++) {
            String path = CPUS + "/cpu" + cpu + "/cpufreq/" + file;
            try (BufferedReader reader = new BufferedReader(new FileReader(path))) {
                values.put(String.valueOf(cpu), reader.readLine());
            } catch (IOException error) {
                continue; // Many systems hide it from apps.
            }
        }
        if (!values.isEmpty()) {
            facts.put(key, values);
        }
    }
}
