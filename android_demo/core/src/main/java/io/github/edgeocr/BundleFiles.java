package io.github.edgeocr;

import java.io.IOException;
import java.io.InputStream;

/** Where the files of a bundle lie: a folder, the assets of an app, an archive. */
public interface BundleFiles {
    /**
     * Opens one file for reading; the caller closes it.
     *
     * @param name of a file at the root of the bundle, such as "bundle.json"
     * @throws java.io.FileNotFoundException there is no such file
     * @throws IOException it cannot be read
     */
    InputStream open(String name) throws IOException;

    /** Names the bundle in messages. */
    @Override
    String toString();
}
