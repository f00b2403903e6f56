package io.github.edgeocr.measure;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public final class RunFolderTest {
    @Rule public TemporaryFolder temporary = new TemporaryFolder();

    @Test
    public void aRunIsNamedAsTheHostNamesIt() {
        File root = temporary.getRoot();
        File folder = RunFolder.named(root, "edgeocr-bench-0123456789ab").folder;
        assertEquals(new File(root, "edgeocr-bench-0123456789ab"), folder);
    }

    @Test
    public void noOtherNameIsTaken() {
        String[] names = {
            null, "", "..", "edgeocr-bench-0123456789a", "edgeocr-bench-0123456789AB",
            "edgeocr-bench-0123456789ab/..", "/edgeocr-bench-0123456789ab",
            "edgeocr-bench-0123456789ab\n",
        };
        for (String name : names) {
            assertThrows(
                    MeasureException.class, () -> RunFolder.named(temporary.getRoot(), name));
        }
    }

    @Test
    public void aRunEndsWithOneWholeFile() throws IOException {
        RunFolder folder = new RunFolder(temporary.getRoot());
        folder.progress("one");
        folder.progress("zwei €");
        folder.finish("{}\n");
        assertEquals("one\nzwei €\n", text("progress.txt"));
        assertEquals("{}\n", text("result.json"));
        String[] files = temporary.getRoot().list();
        java.util.Arrays.sort(files);
        assertArrayEquals(new String[] {"progress.txt", "result.json"}, files);
    }

    @Test
    public void anErrorIsOneLine() throws IOException {
        new RunFolder(temporary.getRoot()).fail("what\n  where\twhy\n");
        assertEquals("what where why\n", text("error.txt"));
    }

    private String text(String name) throws IOException {
        File file = new File(temporary.getRoot(), name);
        return new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
    }
}
