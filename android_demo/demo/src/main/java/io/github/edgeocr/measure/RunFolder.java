package io.github.edgeocr.measure;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.Charset;
import java.util.regex.Pattern;

/**
 * The folder through which a host and the app talk about one measurement: plan.json lies in it,
 * progress.txt grows, and result.json or error.txt ends it.
 */
public final class RunFolder {
    private static final Charset UTF_8 = Charset.forName("UTF-8");
    private static final Pattern NAME = Pattern.compile("edgeocr-bench-[0-9a-f]{12}");

    public final File folder;

    public RunFolder(File folder) {
        this.folder = folder;
    }

    /**
     * The folder that a host made.
     *
     * @param root below which it lies
     * @param name as the host says; it can be no path
     * @throws MeasureException the name is not of the host's form
     */
    public static RunFolder named(File root, String name) {
        if (name == null || !NAME.matcher(name).matches()) {
            throw new MeasureException(
                    "a run must be called edgeocr-bench- and 12 hexadecimal digits, not " + name);
        }
        return new RunFolder(new File(root, name));
    }

    /** One step, for whoever waits. */
    public synchronized void progress(String line) throws IOException {
        try (FileOutputStream out = new FileOutputStream(new File(folder, "progress.txt"), true)) {
            out.write((line + "\n").getBytes(UTF_8));
        }
    }

    /** Ends the run with what was measured. */
    public void finish(String result) throws IOException {
        writeWhole("result.json", result);
    }

    /** Ends the run with the reason why nothing was. */
    public void fail(String message) throws IOException {
        writeWhole("error.txt", message.replaceAll("\\s+", " ").trim() + "\n");
    }

    private void writeWhole(String name, String text) throws IOException {
        File part = new File(folder, name + ".part");
        try (FileOutputStream out = new FileOutputStream(part)) {
            out.write(text.getBytes(UTF_8));
            out.getFD().sync();
        }
        if (!part.renameTo(new File(folder, name))) {
            throw new IOException("can't rename " + part);
        }
    }
}
