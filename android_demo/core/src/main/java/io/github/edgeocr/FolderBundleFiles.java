package io.github.edgeocr;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;

/** A bundle that lies in a folder. */
public final class FolderBundleFiles implements BundleFiles {
    private final File folder;

    public FolderBundleFiles(File folder) {
        if (folder == null) {
            throw new BundleException("the bundle's folder is null");
        }
        this.folder = folder;
    }

    @Override
    public InputStream open(String name) throws IOException {
        return new FileInputStream(new File(folder, name));
    }

    @Override
    public String toString() {
        return folder.getPath();
    }
}
