package io.github.edgeocr.measure;

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.Charset;

/** Linux's account of this process's memory. */
public final class ProcessMemory {
    private ProcessMemory() {}

    /** Resident size in bytes; null where the system does not tell. */
    public static Long resident() {
        return bytes("/proc/self/status", "VmRSS:");
    }

    /** Largest resident size so far. */
    public static Long peak() {
        return bytes("/proc/self/status", "VmHWM:");
    }

    /** Resident size with every shared page divided by the processes that share it. */
    public static Long proportional() {
        return bytes("/proc/self/smaps_rollup", "Pss:");
    }

    private static Long bytes(String path, String key) {
        try (BufferedReader reader =
                new BufferedReader(
                        new InputStreamReader(
                                new FileInputStream(path), Charset.forName("US-ASCII")))) {
            for (String row = reader.readLine(); row != null; row = reader.readLine()) {
                if (row.startsWith(key)) {
                    String[] words = row.substring(key.length()).trim().split("\\s+");
                    return Long.parseLong(words[0]) * 1024;
                }
            }
        } catch (IOException | NumberFormatException error) {
            return null;
        }
        return null;
    }
}
