package io.github.edgeocr;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.HashMap;
import java.util.Map;

/** A copy of the tiny int8 bundle in memory, to be damaged. */
final class MemoryBundleFiles implements BundleFiles {
    private final Map<String, byte[]> files = new HashMap<>();

    static MemoryBundleFiles tiny() {
        MemoryBundleFiles copy = new MemoryBundleFiles();
        try {
            for (File file : new File(Golden.FOLDER, "tiny-int8").listFiles()) {
                copy.files.put(file.getName(), Files.readAllBytes(file.toPath()));
            }
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
        return copy;
    }

    byte[] get(String name) {
        return files.get(name);
    }

    MemoryBundleFiles put(String name, byte[] content) {
        files.put(name, content);
        return this;
    }

    MemoryBundleFiles remove(String name) {
        files.remove(name);
        return this;
    }

    /** Replaces a piece of bundle.json, which must be there. */
    MemoryBundleFiles edit(String piece, String replacement) {
        String manifest = new String(files.get("bundle.json"), StandardCharsets.UTF_8);
        if (!manifest.contains(piece)) {
            throw new IllegalStateException("bundle.json does not contain " + piece);
        }
        String edited = manifest.replace(piece, replacement);
        return put("bundle.json", edited.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public InputStream open(String name) throws IOException {
        byte[] content = files.get(name);
        if (content == null) {
            throw new FileNotFoundException(name);
        }
        return new ByteArrayInputStream(content);
    }

    @Override
    public String toString() {
        return "memory";
    }
}
