package io.github.edgeocr.measure;

import io.github.edgeocr.Json;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What to measure: the plan.json of {@code edgeocr-bench}, schema 1, as far as one process without
 * privileges can follow it. What it can't follow is refused, not left out.
 */
public final class ProbePlan {
    static final int SCHEMA = 1;

    /** One set of models. Several take turns in every round. */
    public static final class PlannedBundle {
        public final String name;
        public final String path;

        public PlannedBundle(String name, String path) {
            this.name = name;
            this.path = path;
        }
    }

    /** One page. */
    public static final class PlannedImage {
        public final String name;
        public final String path;
        /** Lines of text that are written on it; null where that is not known. */
        public final Long lines;

        public PlannedImage(String name, String path, Long lines) {
            this.name = name;
            this.path = path;
            this.lines = lines;
        }
    }

    public final List<PlannedBundle> bundles;
    /** Pages that are timed in every round. */
    public final List<PlannedImage> images;
    /** More pages, read once by every bundle after the timing. */
    public final List<PlannedImage> readOnce;
    public final List<Integer> threads;
    /** Longest sides in pixels that the detector is shown; null for what the bundle says. */
    public final List<Integer> limitSides;
    public final int rounds;
    /** Reads of every image before the rounds. */
    public final int warmUps;
    /** Whether the opening of the models is recorded. */
    public final boolean coldStart;
    /** How long every bundle reads without a rest at the end; 0 for not at all. */
    public final double sustainedSeconds;
    /** Before every read that is timed. */
    public final double restSeconds;

    private ProbePlan(
            List<PlannedBundle> bundles,
            List<PlannedImage> images,
            List<PlannedImage> readOnce,
            List<Integer> threads,
            List<Integer> limitSides,
            int rounds,
            int warmUps,
            boolean coldStart,
            double sustainedSeconds,
            double restSeconds) {
        this.bundles = Collections.unmodifiableList(bundles);
        this.images = Collections.unmodifiableList(images);
        this.readOnce = Collections.unmodifiableList(readOnce);
        this.threads = Collections.unmodifiableList(threads);
        this.limitSides = Collections.unmodifiableList(limitSides);
        this.rounds = rounds;
        this.warmUps = warmUps;
        this.coldStart = coldStart;
        this.sustainedSeconds = sustainedSeconds;
        this.restSeconds = restSeconds;
    }

    /** One bundle that reads one image. */
    public static ProbePlan ofOnePage(
            PlannedBundle bundle, PlannedImage image, int threads, int rounds) {
        return new ProbePlan(
                Collections.singletonList(bundle),
                Collections.singletonList(image),
                Collections.<PlannedImage>emptyList(),
                Collections.singletonList(threads),
                Collections.<Integer>singletonList(null),
                rounds,
                1,
                true,
                0,
                0.1);
    }

    /**
     * Reads the text of a plan.json.
     *
     * @throws MeasureException it is no such plan, or wants what only {@code edgeocr-bench} on
     *     the device itself can do
     */
    public static ProbePlan parse(String text) {
        Fields plan = new Fields(text);
        plan.allow(
                "schema bundles images read_once threads limit_sides line_widths rounds warm_ups"
                        + " cold_starts processes throughput_s sustained_s cores rest_s"
                        + " cool_down_c cool_down_s");
        if (plan.integer("schema", 0, Integer.MAX_VALUE) != SCHEMA) {
            throw new MeasureException("plan.json must have schema " + SCHEMA);
        }
        plan.refuseEntries("line_widths", "lines that are timed alone");
        plan.refuseEntries("processes", "several processes");
        plan.refuseEntries("cores", "being bound to processors");
        if (plan.value("cool_down_c") != null) {
            throw new MeasureException(
                    "plan.json: the app can't follow cool_down_c, it sees no temperatures");
        }
        List<PlannedBundle> bundles = new ArrayList<>();
        for (Object entry : plan.list("bundles")) {
            Fields bundle = new Fields(entry, "bundles");
            bundle.allow("name path");
            bundles.add(new PlannedBundle(bundle.text("name"), bundle.path("path")));
        }
        List<PlannedImage> images = images(plan, "images");
        List<Integer> threads = new ArrayList<>();
        for (Object entry : plan.list("threads")) {
            threads.add((int) plan.whole("threads", entry, 1, 64));
        }
        List<Integer> limitSides = new ArrayList<>();
        for (Object entry : plan.list("limit_sides")) {
            limitSides.add(
                    entry == null ? null : (int) plan.whole("limit_sides", entry, 32, 16384));
        }
        if (bundles.isEmpty() || images.isEmpty() || threads.isEmpty() || limitSides.isEmpty()) {
            throw new MeasureException(
                    "plan.json needs at least one bundle, image, thread and limit side");
        }
        return new ProbePlan(
                bundles,
                images,
                images(plan, "read_once"),
                threads,
                limitSides,
                plan.integer("rounds", 1, 1_000_000),
                plan.integer("warm_ups", 0, 1_000_000),
                plan.integer("cold_starts", 0, 10_000) > 0,
                plan.number("sustained_s", 0, 86_400),
                plan.number("rest_s", 0, 3600));
    }

    private static List<PlannedImage> images(Fields plan, String key) {
        List<PlannedImage> images = new ArrayList<>();
        for (Object entry : plan.list(key)) {
            Fields image = new Fields(entry, key);
            image.allow("name path lines");
            Object lines = image.value("lines");
            images.add(
                    new PlannedImage(
                            image.text("name"),
                            image.path("path"),
                            lines == null ? null : image.whole("lines", lines, 0, 1_000_000)));
        }
        return images;
    }

    /** The keys of one object, each of which must be there and of its type. */
    private static final class Fields {
        private final Map<?, ?> fields;
        private final String where;

        Fields(String text) {
            this(parsed(text), "the plan");
        }

        Fields(Object value, String where) {
            if (!(value instanceof Map)) {
                throw new MeasureException("plan.json: " + where + " must hold objects");
            }
            this.fields = (Map<?, ?>) value;
            this.where = where;
        }

        private static Object parsed(String text) {
            try {
                return Json.parse(text);
            } catch (Json.SyntaxException error) {
                throw new MeasureException("plan.json is no JSON: " + error.getMessage());
            }
        }

        void allow(String keys) {
            Set<Object> unknown = new HashSet<Object>(fields.keySet());
            unknown.removeAll(Arrays.asList(keys.split(" ")));
            if (!unknown.isEmpty()) {
                throw new MeasureException("plan.json: " + where + " has unknown " + unknown);
            }
        }

        void refuseEntries(String key, String what) {
            Object value = value(key);
            if (value != null && !list(key).isEmpty()) {
                throw new MeasureException(
                        "plan.json: the app can't follow " + key + ": " + what);
            }
        }

        Object value(String key) {
            if (!fields.containsKey(key)) {
                throw new MeasureException("plan.json: " + where + " has no " + key);
            }
            return fields.get(key);
        }

        List<?> list(String key) {
            Object value = value(key);
            if (!(value instanceof List)) {
                throw invalid(key, value, "a list");
            }
            return (List<?>) value;
        }

        String text(String key) {
            Object value = value(key);
            if (!(value instanceof String)) {
                throw invalid(key, value, "a text");
            }
            return (String) value;
        }

        /** A path below the plan's folder. */
        String path(String key) {
            String path = text(key);
            if (path.isEmpty() || path.startsWith("/")
                    || Arrays.asList(path.split("/")).contains("..")) {
                throw invalid(key, path, "a path within the folder of the plan");
            }
            return path;
        }

        int integer(String key, int low, int high) {
            return (int) whole(key, value(key), low, high);
        }

        long whole(String key, Object value, long low, long high) {
            if (!(value instanceof Long) || (Long) value < low || (Long) value > high) {
                throw invalid(key, value, "a whole number from " + low + " to " + high);
            }
            return (Long) value;
        }

        double number(String key, double low, double high) {
            Object value = value(key);
            double number = value instanceof Number ? ((Number) value).doubleValue() : Double.NaN;
            if (!(number >= low && number <= high)) {
                throw invalid(key, value, "a number from " + low + " to " + high);
            }
            return number;
        }

        private MeasureException invalid(String key, Object value, String wanted) {
            return new MeasureException(
                    "plan.json: " + key + " of " + where + " is " + value + "; it must be "
                            + wanted);
        }
    }
}
