package io.github.edgeocr.desktop;

import io.github.edgeocr.FolderBundleFiles;
import io.github.edgeocr.TensorRunner;
import io.github.edgeocr.litert.LiteRtRunner;
import java.io.File;

/** The libraries and the bundle that the tests were started with. */
public final class NativeRuntime {
    private NativeRuntime() {}

    public static TensorRunner.Factory open() {
        return LiteRtRunner.load(adapter(), liteRt());
    }

    public static String adapter() {
        return property("edgeocr.adapter");
    }

    public static String liteRt() {
        return property("edgeocr.litert");
    }

    public static FolderBundleFiles tinyBundle() {
        return new FolderBundleFiles(new File(property("edgeocr.bundle")));
    }

    private static String property(String name) {
        String value = System.getProperty(name);
        if (value == null) {
            throw new IllegalStateException("start the tests with -D" + name + "=...");
        }
        return value;
    }
}
