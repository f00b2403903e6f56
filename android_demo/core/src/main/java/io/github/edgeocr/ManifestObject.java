package io.github.edgeocr;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * One object of bundle.json, read strictly: a key that is unknown, missing or of another type or
 * range is a {@link BundleException} that names it. Nothing is converted but whole numbers where
 * any number will do.
 */
final class ManifestObject {
    private static final String[] MODEL_KEYS = {
        "file", "bytes", "sha256", "channel_order", "mean", "std", "signatures", "height_multiple",
        "width_multiple"
    };

    private final String source;
    private final String path;
    private final Map<?, ?> members;

    /**
     * @param source names the bundle in messages
     * @param path dotted key of this object; "" for the root
     */
    ManifestObject(String source, String path, Object value, String... known) {
        this.source = source;
        this.path = path;
        if (!(value instanceof Map)) {
            throw new BundleException(
                    source + ": " + Bundle.MANIFEST + ": " + (path.isEmpty() ? "it" : path)
                            + " must be an object");
        }
        members = (Map<?, ?>) value;
        List<String> names = Arrays.asList(known);
        for (Object name : members.keySet()) {
            if (!names.contains(name)) {
                throw new BundleException(
                        source + ": " + Bundle.MANIFEST + ": unknown key " + dotted(name));
            }
        }
    }

    ManifestObject object(String name, String... known) {
        return new ManifestObject(source, dotted(name), required(name), known);
    }

    ManifestObject stage(String name, String[] ownKeys) {
        List<String> known = new ArrayList<>(Arrays.asList(MODEL_KEYS));
        known.addAll(Arrays.asList(ownKeys));
        return object(name, known.toArray(new String[0]));
    }

    /** An object whose members only people read: free in its keys. */
    void record(String name, boolean needed) {
        if ((needed || members.containsKey(name)) && !(required(name) instanceof Map)) {
            throw invalid(name, "it must be an object");
        }
    }

    String string(String name) {
        Object value = required(name);
        if (!(value instanceof String)) {
            throw invalid(name, "it must be a string");
        }
        return (String) value;
    }

    /** Bundles are flat: no file may lie outside of them. */
    String fileName(String name) {
        String value = string(name);
        boolean flat = value.indexOf('/') < 0 && value.indexOf('\\') < 0;
        if (!flat || Arrays.asList("", ".", "..", Bundle.MANIFEST).contains(value)) {
            throw invalid(name, "it must be the name of a file beside it");
        }
        return value;
    }

    boolean bool(String name) {
        Object value = required(name);
        if (!(value instanceof Boolean)) {
            throw invalid(name, "it must be true or false");
        }
        return (Boolean) value;
    }

    int integer(String name, int low, int high) {
        return inRange(name, required(name), low, high);
    }

    /** 0 where the key is missing or null. */
    int optionalInteger(String name, int low, int high) {
        Object value = members.get(name);
        return value == null ? 0 : inRange(name, value, low, high);
    }

    private int inRange(String name, Object value, int low, int high) {
        if (!(value instanceof Long)) {
            throw invalid(name, "it must be a whole number");
        }
        long number = (Long) value;
        if (number < low || number > high) {
            throw invalid(name, "it must be in [" + low + ", " + high + "]");
        }
        return (int) number;
    }

    double number(String name, double low, double high) {
        double value = finite(name, required(name));
        if (value < low || value > high) {
            throw invalid(name, "it must be in [" + low + ", " + high + "]");
        }
        return value;
    }

    private double finite(String name, Object value) {
        double number = value instanceof Number ? ((Number) value).doubleValue() : Double.NaN;
        if (Double.isNaN(number) || Double.isInfinite(number)) {
            throw invalid(name, "it must be a finite number");
        }
        return number;
    }

    /** A constant of an enum, written in any case of its own that the schema has. */
    <T extends Enum<T>> T choice(String name, Class<T> type) {
        Object value = required(name);
        List<String> choices = new ArrayList<>();
        for (T constant : type.getEnumConstants()) {
            String written = constant.name();
            if (type != ChannelOrder.class) {
                written = written.toLowerCase(Locale.ROOT);
            }
            if (written.equals(value)) {
                return constant;
            }
            choices.add(written);
        }
        throw invalid(name, "it must be one of " + choices);
    }

    /** One of a few strings. */
    String choice(String name, String... choices) {
        Object value = required(name);
        if (!Arrays.asList(choices).contains(value)) {
            throw invalid(name, "it must be one of " + Arrays.toString(choices));
        }
        return (String) value;
    }

    double[] triple(String name) {
        List<?> items = list(name);
        if (items.size() != 3) {
            throw invalid(name, "it must be a list of 3");
        }
        double[] values = new double[3];
        for (int i = 0; i < 3; i++) {
            values[i] = finite(name, items.get(i));
        }
        return values;
    }

    List<Signature> signatures(String name) {
        List<Signature> signatures = new ArrayList<>();
        Set<String> names = new HashSet<>();
        for (Object item : list(name)) {
            ManifestObject entry =
                    new ManifestObject(
                            source, dotted(name) + "[" + signatures.size() + "]", item,
                            "name", "height", "width");
            Signature signature =
                    new Signature(
                            entry.string("name"),
                            entry.integer("height", 1, 16384),
                            entry.integer("width", 1, 16384));
            if (!names.add(signature.name)) {
                throw invalid(name, "it names the signature " + signature.name + " twice");
            }
            signatures.add(signature);
        }
        if (signatures.isEmpty()) {
            throw invalid(name, "it must not be empty");
        }
        return Collections.unmodifiableList(signatures);
    }

    private List<?> list(String name) {
        Object value = required(name);
        if (!(value instanceof List)) {
            throw invalid(name, "it must be a list");
        }
        return (List<?>) value;
    }

    private Object required(String name) {
        if (!members.containsKey(name)) {
            throw new BundleException(
                    source + ": " + Bundle.MANIFEST + ": key " + dotted(name) + " is missing");
        }
        return members.get(name);
    }

    BundleException invalid(String name, String wanted) {
        Object value = members.get(name);
        String shown = value instanceof String ? "'" + value + "'" : String.valueOf(value);
        return new BundleException(
                source + ": " + Bundle.MANIFEST + ": " + dotted(name) + " is " + shown + ", "
                        + wanted);
    }

    private String dotted(Object name) {
        return path.isEmpty() ? String.valueOf(name) : path + "." + name;
    }
}
