package io.github.edgeocr.demo;

import android.content.res.AssetManager;
import io.github.edgeocr.BundleFiles;
import java.io.IOException;
import java.io.InputStream;

/** A bundle among the assets of the app. */
public final class AssetBundleFiles implements BundleFiles {
    /** The folder of the bundle that is packed into the app. */
    public static final String FOLDER = "bundle";

    private final AssetManager assets;
    private final String folder;

    public AssetBundleFiles(AssetManager assets, String folder) {
        this.assets = assets;
        this.folder = folder;
    }

    @Override
    public InputStream open(String name) throws IOException {
        return assets.open(folder + "/" + name);
    }

    @Override
    public String toString() {
        return "assets/" + folder;
    }
}
