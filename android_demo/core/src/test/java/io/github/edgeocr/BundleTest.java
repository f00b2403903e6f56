package io.github.edgeocr;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;

public class BundleTest {
    @Test
    public void open_readsWhatTheManifestStates() {
        Bundle bundle = Bundle.open(MemoryBundleFiles.tiny());

        assertEquals("tiny", bundle.name);
        assertEquals("int8", bundle.precision);
        assertEquals(Arrays.asList("a", "b", "c", "d", " "), bundle.charset());
        assertEquals(3, bundle.det.signatures.size());
        assertEquals(96, bundle.det.signatures.get(0).height);
        assertEquals(0.3, bundle.det.threshold, 0);
        assertEquals(0, bundle.det.heightMultiple);
        assertEquals(2064, bundle.readModel(bundle.det).length);
    }

    @Test
    public void open_withAMissingFile_namesIt() {
        for (String name : new String[] {"bundle.json", "det.tflite", "charset.txt"}) {
            assertRefused(MemoryBundleFiles.tiny().remove(name), name + " is missing");
        }
    }

    @Test
    public void open_withADamagedFile_namesIt() {
        for (String name : new String[] {"det.tflite", "cls.tflite", "rec.tflite", "charset.txt"}) {
            MemoryBundleFiles files = MemoryBundleFiles.tiny();
            byte[] damaged = files.get(name).clone();
            damaged[damaged.length / 2] ^= 1;
            assertRefused(files.put(name, damaged), name + " has SHA-256");
        }
    }

    @Test
    public void open_withAFileCutOff_namesIt() {
        MemoryBundleFiles files = MemoryBundleFiles.tiny();
        files.put("rec.tflite", Arrays.copyOf(files.get("rec.tflite"), 100));
        assertRefused(files, "rec.tflite has 100 bytes, bundle.json states 4344");
    }

    @Test
    public void open_withAFileTooLong_namesIt() {
        MemoryBundleFiles files = MemoryBundleFiles.tiny();
        files.put("cls.tflite", Arrays.copyOf(files.get("cls.tflite"), 5000));
        assertRefused(files, "cls.tflite is larger than the 1368 bytes expected");
    }

    @Test
    public void open_withAWrongValue_namesItsKey() {
        String[][] edits = {
            {"\"schema\": 1", "\"schema\": 2", "schema is 2"},
            {"\"schema\": 1", "\"schema\": 1.5", "schema is 1.5, it must be a whole number"},
            {"\"int8\",", "\"int4\",", "precision is 'int4'"},
            {"\"limit_side\": 256", "\"limit_side\": 8", "stages.det.limit_side is 8"},
            {"\"limit_type\": \"max\"", "\"limit_type\": \"MAX\"", "stages.det.limit_type is 'MAX'"},
            {"\"threshold\": 0.3", "\"threshold\": \"0.3\"", "stages.det.threshold is '0.3'"},
            {"\"threshold\": 0.3", "\"threshold\": 1e999", "it must be a finite number"},
            {"\"dilation\": false", "\"dilation\": 0", "stages.det.dilation is 0"},
            {"\"dilation\": false,", "", "key stages.det.dilation is missing"},
            {"\"dilation\": false", "\"dilation\": false, \"x\": 1", "unknown key stages.det.x"},
            {"\"file\": \"det.tflite\"", "\"file\": \"../det.tflite\"", "stages.det.file"},
            {"\"name\": \"h96w128\"", "\"name\": \"h128w96\"", "twice"},
            {"\"height\": 96", "\"height\": 0", "stages.det.signatures[0].height is 0"},
            {"\"origin\": {", "\"origin\": [{", "not valid JSON"},
            {"\"classes\": 6", "\"classes\": 7", "classes (stages.rec.classes) need 6"},
        };
        for (String[] edit : edits) {
            assertRefused(MemoryBundleFiles.tiny().edit(edit[0], edit[1]), edit[2]);
        }
    }

    @Test
    public void open_withRandomDamageToTheManifest_isRefusedOrReadButNeverFailsOtherwise() {
        byte[] manifest = MemoryBundleFiles.tiny().get("bundle.json");
        Random random = new Random(3);
        int refused = 0;
        for (int i = 0; i < 300; i++) {
            byte[] damaged = manifest.clone();
            for (int k = random.nextInt(3); k >= 0; k--) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
            }
            try {
                Bundle.open(MemoryBundleFiles.tiny().put("bundle.json", damaged));
            } catch (BundleException error) {
                refused++;
            }
        }
        assertTrue(refused + " of 300 refused", refused > 200);
    }

    @Test
    public void open_withoutReadableFiles_isRefused() {
        assertRefused(null, "the files of the bundle are null");
        assertRefused(new FolderBundleFiles(new File("/nowhere")), "bundle.json is missing");
        assertRefused(
                new BundleFiles() {
                    @Override
                    public InputStream open(String name) throws IOException {
                        throw new IOException("the card was pulled out");
                    }

                    @Override
                    public String toString() {
                        return "card";
                    }
                },
                "card: cannot read bundle.json: the card was pulled out");
    }

    @Test
    public void open_withATextThatIsNotUtf8_isRefused() {
        byte[] latin1 = "{\"name\": \"\u00e9\"}".getBytes(StandardCharsets.ISO_8859_1);
        assertRefused(MemoryBundleFiles.tiny().put("bundle.json", latin1), "not valid JSON");
    }

    private static void assertRefused(final BundleFiles files, String message) {
        BundleException error = assertThrows(
                BundleException.class,
                new ThrowingRunnable() {
                    @Override
                    public void run() {
                        Bundle.open(files);
                    }
                });
        assertTrue(error.getMessage(), error.getMessage().contains(message));
    }
}
