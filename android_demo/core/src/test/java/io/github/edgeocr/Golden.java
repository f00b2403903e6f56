package io.github.edgeocr;

import static org.junit.Assert.assertEquals;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.zip.InflaterInputStream;

/** A value of a JSON file of golden vectors, and the files themselves. */
final class Golden {
    /** tests/golden of the repository, which the system property edgeocr.golden names. */
    static final File FOLDER = new File(System.getProperty("edgeocr.golden", "../../tests/golden"));

    private final Object value;

    private Golden(Object value) {
        this.value = value;
    }

    /** @param name of a JSON file in {@link #FOLDER} */
    static Golden read(String name) {
        try {
            byte[] content = Files.readAllBytes(new File(FOLDER, name).toPath());
            return new Golden(Json.parse(new String(content, StandardCharsets.UTF_8)));
        } catch (IOException | Json.SyntaxException error) {
            throw new IllegalStateException(name, error);
        }
    }

    /** Opens tests/golden/{@code name}, or one of the recorded bundles beside its vectors. */
    static Bundle bundle(String name) {
        String folder = name.equals("recorded") ? "jvm/recorded" : name;
        return Bundle.open(new FolderBundleFiles(new File(FOLDER, folder)));
    }

    Golden get(String key) {
        Map<?, ?> members = (Map<?, ?>) value;
        if (!members.containsKey(key)) {
            throw new IllegalStateException("no key " + key + " among " + members.keySet());
        }
        return new Golden(members.get(key));
    }

    boolean has(String key) {
        return ((Map<?, ?>) value).containsKey(key);
    }

    Map<?, ?> members() {
        return (Map<?, ?>) value;
    }

    Golden get(int i) {
        return new Golden(((List<?>) value).get(i));
    }

    List<Golden> items() {
        List<Golden> items = new ArrayList<>();
        for (Object item : (List<?>) value) {
            items.add(new Golden(item));
        }
        return items;
    }

    int size() {
        return ((List<?>) value).size();
    }

    boolean isNull() {
        return value == null;
    }

    String text() {
        return (String) value;
    }

    boolean flag() {
        return (Boolean) value;
    }

    double number() {
        return ((Number) value).doubleValue();
    }

    int whole() {
        return ((Long) value).intValue();
    }

    int[] wholes() {
        int[] values = new int[size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = get(i).whole();
        }
        return values;
    }

    double[] doubles() {
        double[] values = new double[size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = get(i).number();
        }
        return values;
    }

    /** A list of numbers, or of lists of them, one behind the other. */
    float[] floats() {
        float[] values = new float[0];
        for (int i = 0; i < size(); i++) {
            Golden item = get(i);
            float[] next = item.value instanceof List
                    ? item.floats()
                    : new float[] {(float) item.number()};
            values = Arrays.copyOf(values, values.length + next.length);
            System.arraycopy(next, 0, values, values.length - next.length, next.length);
        }
        return values;
    }

    Quad quad() {
        return new Quad(floats());
    }

    /** The bytes of a packed array. */
    byte[] bytes() {
        byte[] deflated = Base64.getDecoder().decode(get("deflated").text());
        try (InflaterInputStream stream =
                new InflaterInputStream(new ByteArrayInputStream(deflated))) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            byte[] buffer = new byte[4096];
            for (int count = stream.read(buffer); count >= 0; count = stream.read(buffer)) {
                content.write(buffer, 0, count);
            }
            return content.toByteArray();
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    /** A packed array of int8 or float32. */
    Tensor tensor() {
        byte[] content = bytes();
        int[] shape = get("shape").wholes();
        if (get("type").text().equals("int8")) {
            return Tensor.int8(content, shape);
        }
        assertEquals("float32", get("type").text());
        float[] values = new float[content.length / 4];
        ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
        return Tensor.float32(values, shape);
    }

    TensorPort port() {
        boolean quantized = get("type").text().equals("int8");
        return new TensorPort(
                get("name").text(),
                quantized ? TensorType.INT8 : TensorType.FLOAT32,
                get("shape").wholes(),
                quantized ? (float) get("scale").number() : 1,
                get("zero_point").whole());
    }

    static String sha256(Tensor tensor) {
        if (tensor.type() == TensorType.INT8) {
            return sha256(tensor.bytes());
        }
        ByteBuffer buffer =
                ByteBuffer.allocate(4 * tensor.floats().length).order(ByteOrder.LITTLE_ENDIAN);
        buffer.asFloatBuffer().put(tensor.floats());
        return sha256(buffer.array());
    }

    static String sha256(byte[] content) {
        try {
            StringBuilder digits = new StringBuilder();
            for (byte value : MessageDigest.getInstance("SHA-256").digest(content)) {
                digits.append(Character.forDigit(value >> 4 & 15, 16));
                digits.append(Character.forDigit(value & 15, 16));
            }
            return digits.toString();
        } catch (NoSuchAlgorithmException error) {
            throw new AssertionError(error);
        }
    }
}
