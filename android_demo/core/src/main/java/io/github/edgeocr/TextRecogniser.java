package io.github.edgeocr;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * Reads a line of text: {@code decode(infer(prepare(line)))}, for any number of threads.
 *
 * <p>The line is scaled to the height of the network and goes into the narrowest width that has room
 * for it; it may be squashed by {@link #TOLERATED_SQUASH} to fit, no more. One that is too long for
 * the widest is cut by {@link LineSplitter}. Where the bundle says that the width can be resized, any
 * multiple up to the widest will do.
 */
public final class TextRecogniser {
    /** A line may be made this much narrower than its height asks for, to fit a width. */
    private static final double TOLERATED_SQUASH = 1.2;
    /** Fewer leave a piece of a long line nothing of its own between its overlaps. */
    private static final int FEWEST_STEPS = 4;

    private static final String SPACE = " ";

    private final RecognitionModel model;
    private final List<String> charset;
    private final RunnerPool networks;
    private final Map<String, InputTable> tables;
    /** By width. */
    private final List<Signature> buckets;

    private final Signature widest;
    /** Columns per CTC step. */
    private final int step;

    private final LineSplitter splitter;

    TextRecogniser(Bundle bundle, TensorRunner.Factory factory, int workers) {
        model = bundle.rec;
        charset = bundle.charset();
        networks = new RunnerPool(bundle, model, factory, workers, 1, 3);
        tables = networks.inputTables();
        buckets = new ArrayList<>(model.signatures);
        Collections.sort(
                buckets,
                new Comparator<Signature>() {
                    @Override
                    public int compare(Signature one, Signature other) {
                        return Integer.compare(one.width, other.width);
                    }
                });
        widest = buckets.get(buckets.size() - 1);
        try {
            step = columnsPerStep(bundle);
        } catch (BundleException error) {
            networks.close();
            throw error;
        }
        splitter = new LineSplitter(widest.height, widest.width, step);
    }

    private int columnsPerStep(Bundle bundle) {
        String what = bundle + ": " + model.file;
        int columns = 0;
        for (Signature bucket : buckets) {
            int[] shape = networks.output(bucket.name).shape();
            int steps = shape[1];
            if (shape[2] != model.classes) {
                throw new BundleException(
                        what + " has " + shape[2] + " classes, bundle.json states " + model.classes
                                + " (stages.rec.classes)");
            }
            if (steps < 1
                    || bucket.width % steps != 0
                    || columns != 0 && bucket.width / steps != columns) {
                throw new BundleException(
                        what + " must have the same whole number of columns per CTC step at every"
                                + " width; at " + bucket.width + " columns it has " + steps
                                + " steps");
            }
            columns = bucket.width / steps;
        }
        if (widest.width < FEWEST_STEPS * columns) {
            throw new BundleException(
                    what + " has " + widest.width / columns + " CTC steps at its widest, it must"
                            + " have " + FEWEST_STEPS);
        }
        return columns;
    }

    /** Reads a line that stands upright. */
    Reading recognise(BgrImage line, StageTimes times) {
        long began = System.nanoTime();
        PreparedLine input = prepare(line);
        long prepared = System.nanoTime();
        List<Tensor> outputs = infer(input);
        long inferred = System.nanoTime();
        Reading reading = decode(outputs, input);
        times.add(StageTimes.REC, began, prepared, inferred, System.nanoTime());
        return reading;
    }

    /** Scales, cuts where needed, normalises and quantizes. */
    public PreparedLine prepare(BgrImage line) {
        int columns = (int) Math.ceil((double) widest.height * line.width() / line.height() - 1e-6);
        BgrImage scaled;
        List<LineSpan> spans;
        if (columns <= widest.width * TOLERATED_SQUASH) {
            double tolerated = columns / TOLERATED_SQUASH;
            if (model.widthMultiple != 0) {
                tolerated = Math.min(columns, widest.width);
            }
            columns = Math.min(columns, narrowestFor(tolerated).width);
            scaled = BilinearResize.resize(line, columns, widest.height);
            spans = Collections.singletonList(new LineSpan(0, columns, 0, columns));
        } else {
            columns = Math.min(columns, splitter.mostColumns());
            scaled = BilinearResize.resize(line, columns, widest.height);
            spans = splitter.split(scaled);
        }
        List<LinePiece> pieces = new ArrayList<>();
        for (LineSpan span : spans) {
            pieces.add(piece(scaled, span));
        }
        return new PreparedLine(pieces, (double) columns / line.width());
    }

    private LinePiece piece(BgrImage scaled, LineSpan span) {
        Signature bucket = narrowestFor(span.end - span.begin);
        boolean whole = span.begin == 0 && span.end == scaled.width();
        NetworkInput shown =
                NetworkInput.fit(
                        whole ? scaled : scaled.columns(span.begin, span.end),
                        bucket.height, bucket.width, tables.get(bucket.name),
                        InputTable.Padding.ZERO, 1);
        return new LinePiece(shown.tensor, bucket.name, span);
    }

    /** The narrowest width with room, no wider than the widest. */
    private Signature narrowestFor(double columns) {
        double needed = columns;
        if (model.widthMultiple != 0) {
            needed = Math.max(columns, Math.min(model.minWidth, widest.width));
        }
        Signature narrowest = widest;
        for (Signature bucket : buckets) {
            if (bucket.width >= needed) {
                narrowest = bucket;
                break;
            }
        }
        if (model.widthMultiple == 0) {
            return narrowest;
        }
        int width = (int) Math.ceil(needed / model.widthMultiple) * model.widthMultiple;
        return narrowest.resized(narrowest.height, Math.min(width, narrowest.width));
    }

    /** Runs the network: (1, steps, classes) as the model emits it, for every piece. */
    public List<Tensor> infer(PreparedLine prepared) {
        List<Tensor> outputs = new ArrayList<>();
        for (LinePiece piece : prepared.pieces) {
            outputs.add(networks.run(piece.signature, piece.tensor));
        }
        return outputs;
    }

    /** Decodes the pieces and joins them. */
    public Reading decode(List<Tensor> outputs, PreparedLine prepared) {
        Reading reading = new Reading(step / prepared.scale);
        for (int i = 0; i < outputs.size(); i++) {
            LinePiece piece = prepared.pieces.get(i);
            CtcPath path =
                    CtcPath.decode(outputs.get(i), networks.output(piece.signature), model.outputs);
            if (prepared.pieces.size() == 1) {
                for (int run = 0; run < path.count; run++) {
                    String character = charset.get(path.classes[run] - 1);
                    reading.add(character, path.scores[run], path.starts[run], path.ends[run]);
                }
            } else {
                join(path, piece.span, reading);
            }
        }
        return reading;
    }

    /** Adds what a piece of a long line owns. */
    private void join(CtcPath path, LineSpan span, Reading reading) {
        // A space at a cut may be seen a little to the left by one piece and a little to the right
        // by the other, so that neither would own it: both may keep it, the first wins.
        int reach = widest.height / 4;
        int joint = reading.characters().size();
        int firstStep = span.begin / step;
        for (int run = 0; run < path.count; run++) {
            String character = charset.get(path.classes[run] - 1);
            double middle = span.begin + (path.starts[run] + path.ends[run] + 1) / 2.0 * step;
            int slack = character.equals(SPACE) ? reach : 0;
            if (middle < span.ownBegin - slack || middle >= span.ownEnd + slack) {
                continue;
            }
            int size = reading.characters().size();
            boolean seenBefore =
                    character.equals(SPACE)
                            && size == joint
                            && size > 0
                            && reading.characters().get(size - 1).equals(SPACE);
            if (!seenBefore) {
                reading.add(
                        character, path.scores[run], firstStep + path.starts[run],
                        firstStep + path.ends[run]);
            }
        }
    }

    void warmUp() {
        networks.warmUp(buckets);
    }

    void close() {
        networks.close();
    }
}
