package io.github.edgeocr.desktop;

import com.sun.management.OperatingSystemMXBean;
import io.github.edgeocr.BgrImage;
import io.github.edgeocr.BundleFiles;
import io.github.edgeocr.FolderBundleFiles;
import io.github.edgeocr.ImageException;
import io.github.edgeocr.TensorRunner;
import io.github.edgeocr.measure.Device;
import io.github.edgeocr.measure.ProcessMemory;
import java.awt.image.BufferedImage;
import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.imageio.ImageIO;

/** This computer. Image files are taken as they lie: no EXIF orientation is applied. */
final class DesktopDevice implements Device {
    private final TensorRunner.Factory runtime;
    private final File folder;

    /**
     * @param folder that paths of a plan are relative to
     */
    DesktopDevice(TensorRunner.Factory runtime, File folder) {
        this.runtime = runtime;
        this.folder = folder;
    }

    /**
     * The pixels of an image file.
     *
     * @throws ImageException it is none that Java decodes
     */
    static BgrImage decode(File file) throws IOException {
        if (!file.isFile()) {
            throw new ImageException("there is no file " + file);
        }
        BufferedImage image = ImageIO.read(file);
        if (image == null) {
            throw new ImageException(file + " is of no kind that Java decodes");
        }
        int width = image.getWidth();
        int height = image.getHeight();
        int[] argb = image.getRGB(0, 0, width, height, null, 0, width);
        return BgrImage.fromArgb(argb, width, height);
    }

    @Override
    public String app() {
        return "jvm";
    }

    @Override
    public Map<String, Object> versions() {
        Map<String, Object> versions = new LinkedHashMap<>();
        versions.put("java", System.getProperty("java.version"));
        versions.put("jvm", System.getProperty("java.vm.name"));
        return versions;
    }

    @Override
    public Map<String, Object> environment() {
        Map<String, Object> environment = new LinkedHashMap<>();
        environment.put("architecture", System.getProperty("os.arch"));
        environment.put("system", System.getProperty("os.name"));
        environment.put("kernel", System.getProperty("os.version"));
        environment.put("cpus", Runtime.getRuntime().availableProcessors());
        return environment;
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        try {
            String load =
                    new String(
                            Files.readAllBytes(new File("/proc/loadavg").toPath()),
                            StandardCharsets.US_ASCII);
            facts.put("load_1min", Double.parseDouble(load.split(" ")[0]));
        } catch (IOException error) {
            return facts; // Only Linux tells.
        }
        return facts;
    }

    @Override
    public Long proportionalBytes() {
        return ProcessMemory.proportional();
    }

    @Override
    public Double processorMillis() {
        java.lang.management.OperatingSystemMXBean system =
                ManagementFactory.getOperatingSystemMXBean();
        return system instanceof OperatingSystemMXBean
                ? ((OperatingSystemMXBean) system).getProcessCpuTime() / 1e6
                : null;
    }

    @Override
    public TensorRunner.Factory runtime() {
        return runtime;
    }

    @Override
    public BundleFiles bundle(String path) {
        return new FolderBundleFiles(new File(folder, path));
    }

    @Override
    public byte[] file(String path) throws IOException {
        return Files.readAllBytes(new File(folder, path).toPath());
    }

    @Override
    public BgrImage image(String path) throws IOException {
        return decode(new File(folder, path));
    }
}
