package io.github.edgeocr;

import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * A model bundle: a folder whose bundle.json says everything about its models.
 *
 * <pre>bundle.json  det.tflite  cls.tflite  rec.tflite  charset.txt</pre>
 *
 * <p>Charset, line height and normalisation travel with the weights and are checked by SHA-256, so
 * a model never meets a wrong one.
 */
public final class Bundle {
    static final String MANIFEST = "bundle.json";
    static final int MAX_FILE_BYTES = 1_000_000_000;

    private static final long SCHEMA = 1;
    private static final int MAX_MANIFEST_BYTES = 4_000_000;
    private static final int BUFFER_BYTES = 1 << 16;

    public final String name;
    public final String version;
    public final String licence;
    /** "fp32", "fp16" or "int8". */
    public final String precision;
    public final DetectionModel det;
    public final OrientationModel cls;
    public final RecognitionModel rec;

    private final BundleFiles files;
    private final List<String> charset;

    private Bundle(BundleFiles files, ManifestObject manifest) {
        this.files = files;
        name = manifest.string("name");
        version = manifest.string("version");
        licence = manifest.string("licence");
        precision = manifest.choice("precision", "fp32", "fp16", "int8");
        ManifestObject stages = manifest.object("stages", "det", "cls", "rec");
        det = new DetectionModel(stages.stage("det", DetectionModel.KEYS));
        cls = new OrientationModel(stages.stage("cls", OrientationModel.KEYS));
        rec = new RecognitionModel(stages.stage("rec", RecognitionModel.KEYS));
        for (String needed : new String[] {"origin", "tools", "quantization"}) {
            manifest.record(needed, true);
        }
        for (String optional : new String[] {"parity", "accuracy"}) {
            manifest.record(optional, false);
        }
        for (ModelFile model : new ModelFile[] {det, cls, rec}) {
            readModel(model);
        }
        charset = readCharset();
    }

    /**
     * Opens and verifies a bundle.
     *
     * <p>Every file must exist with the size and SHA-256 that the manifest states; the charset must
     * have the length that the recogniser expects.
     *
     * @throws BundleException naming the file, and the key where a value is wrong
     */
    public static Bundle open(BundleFiles files) {
        if (files == null) {
            throw new BundleException("the files of the bundle are null");
        }
        byte[] content = read(files, MANIFEST, MAX_MANIFEST_BYTES);
        Object document;
        try {
            document = Json.parse(utf8(content));
        } catch (Json.SyntaxException | CharacterCodingException error) {
            throw new BundleException(
                    files + ": " + MANIFEST + " is not valid JSON: " + error.getMessage(), error);
        }
        ManifestObject manifest =
                new ManifestObject(
                        files.toString(), "", document,
                        "schema", "name", "version", "licence", "precision", "stages", "origin",
                        "tools", "quantization", "parity", "accuracy");
        int schema = manifest.integer("schema", Integer.MIN_VALUE, Integer.MAX_VALUE);
        if (schema != SCHEMA) {
            throw new BundleException(
                    files + ": " + MANIFEST + ": schema is " + schema + ", this edgeocr reads schema "
                            + SCHEMA + "; convert the bundle again");
        }
        return new Bundle(files, manifest);
    }

    /** The recogniser's characters; class i + 1 of the network is number i. */
    public List<String> charset() {
        return charset;
    }

    /**
     * The content of a model's file.
     *
     * @throws BundleException it is missing, or not what the manifest states
     */
    public byte[] readModel(ModelFile model) {
        byte[] content = read(files, model.file, model.bytes);
        if (content.length != model.bytes) {
            throw new BundleException(
                    files + ": " + model.file + " has " + content.length + " bytes, " + MANIFEST
                            + " states " + model.bytes + "; the bundle is incomplete, fetch or"
                            + " convert it again");
        }
        verifySha256(model.file, content, model.sha256);
        return content;
    }

    @Override
    public String toString() {
        return name + " " + version + " (" + files + ")";
    }

    private List<String> readCharset() {
        String file = rec.charsetFile;
        byte[] content = read(files, file, MAX_MANIFEST_BYTES);
        verifySha256(file, content, rec.charsetSha256);
        String text;
        try {
            text = utf8(content);
        } catch (CharacterCodingException error) {
            throw new BundleException(files + ": " + file + ": the charset is not UTF-8", error);
        }
        List<String> entries = new ArrayList<>(rec.classes);
        // Only U+000A ends a line: other separators, such as U+2028, can be entries themselves.
        int begin = 0;
        int length = text.endsWith("\n") ? text.length() - 1 : text.length();
        while (begin <= length) {
            int newline = text.indexOf('\n', begin);
            int end = newline < 0 ? length : newline;
            if (end == begin) {
                throw new BundleException(
                        files + ": " + file + ": line " + (entries.size() + 1)
                                + " of the charset is empty; write the space as one space");
            }
            entries.add(text.substring(begin, end));
            begin = end + 1;
        }
        if (entries.size() + 1 != rec.classes) {
            throw new BundleException(
                    files + ": " + file + " has " + entries.size() + " entries; the recogniser's "
                            + rec.classes + " classes (stages.rec.classes) need "
                            + (rec.classes - 1));
        }
        return Collections.unmodifiableList(entries);
    }

    private void verifySha256(String file, byte[] content, String expected) {
        String actual = sha256(content);
        if (!actual.equals(expected)) {
            throw new BundleException(
                    files + ": " + file + " has SHA-256 " + actual + ", " + MANIFEST + " states "
                            + expected + "; the file was changed or damaged, fetch or convert the"
                            + " bundle again");
        }
    }

    private static byte[] read(BundleFiles files, String name, int limit) {
        try (InputStream stream = files.open(name)) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            byte[] buffer = new byte[BUFFER_BYTES];
            for (int count = stream.read(buffer); count >= 0; count = stream.read(buffer)) {
                content.write(buffer, 0, count);
                if (content.size() > limit) {
                    throw new BundleException(
                            files + ": " + name + " is larger than the " + limit
                                    + " bytes expected");
                }
            }
            return content.toByteArray();
        } catch (FileNotFoundException error) {
            throw new BundleException(files + ": " + name + " is missing", error);
        } catch (IOException error) {
            throw new BundleException(
                    files + ": cannot read " + name + ": " + error.getMessage(), error);
        }
    }

    /** Malformed bytes are an error, not replacement characters. */
    private static String utf8(byte[] content) throws CharacterCodingException {
        return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString();
    }

    private static String sha256(byte[] content) {
        try {
            StringBuilder digits = new StringBuilder(64);
            for (byte value : MessageDigest.getInstance("SHA-256").digest(content)) {
                digits.append(Character.forDigit(value >> 4 & 15, 16));
                digits.append(Character.forDigit(value & 15, 16));
            }
            return digits.toString();
        } catch (NoSuchAlgorithmException error) {
            throw new AssertionError(error); // Every Java platform has SHA-256.
        }
    }
}
