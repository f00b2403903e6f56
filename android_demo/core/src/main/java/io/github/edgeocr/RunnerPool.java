package io.github.edgeocr;

import java.io.Closeable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.LinkedBlockingDeque;

/** Interpreters of one model, lent to one thread each; for any number of threads. */
final class RunnerPool implements Closeable {
    /** What is lent: its runner is opened when it is first needed. */
    private static final class Slot {
        TensorRunner runner;
    }

    private final TensorRunner.Factory factory;
    private final ModelFile model;
    private final byte[] content;
    private final int threads;
    private final int size;
    private final LinkedBlockingDeque<Slot> idle = new LinkedBlockingDeque<>();
    private final Map<String, TensorPort> inputs = new HashMap<>();
    private final Map<String, TensorPort> outputs = new HashMap<>();
    private volatile boolean closed;

    /**
     * Opens the first interpreter and checks every signature against the manifest.
     *
     * @param size interpreters at most
     * @param threads of each interpreter
     * @param outputRank number of dimensions that every output must have
     */
    RunnerPool(
            Bundle bundle,
            ModelFile model,
            TensorRunner.Factory factory,
            int size,
            int threads,
            int outputRank) {
        this.factory = factory;
        this.model = model;
        this.content = bundle.readModel(model);
        this.threads = threads;
        this.size = size;
        TensorRunner first = factory.open(model, content, threads);
        try {
            for (Signature signature : model.signatures) {
                check(bundle, first, signature, outputRank);
            }
        } catch (RuntimeException error) {
            first.close();
            throw error;
        }
        Slot opened = new Slot();
        opened.runner = first;
        idle.addFirst(opened);
        for (int i = 1; i < size; i++) {
            idle.addLast(new Slot());
        }
    }

    TensorPort input(String signature) {
        return inputs.get(signature);
    }

    TensorPort output(String signature) {
        return outputs.get(signature);
    }

    /** By signature: what every pixel value becomes at its input. */
    Map<String, InputTable> inputTables() {
        Map<String, InputTable> tables = new HashMap<>();
        for (Map.Entry<String, TensorPort> entry : inputs.entrySet()) {
            tables.put(entry.getKey(), new InputTable(model, entry.getValue()));
        }
        return tables;
    }

    /** Runs a signature on any interpreter that is free; waits while there is none. */
    Tensor run(String signature, Tensor input) {
        Slot slot = borrow();
        try {
            return runner(slot).run(signature, input);
        } finally {
            idle.addFirst(slot);
        }
    }

    /** Runs the signatures once on every interpreter. */
    synchronized void warmUp(List<Signature> signatures) {
        // Two callers that collect all interpreters would wait for each other: one at a time.
        List<Slot> slots = new ArrayList<>();
        try {
            while (slots.size() < size) {
                slots.add(borrow());
            }
            for (Slot slot : slots) {
                for (Signature signature : signatures) {
                    TensorPort port = inputs.get(signature.name);
                    runner(slot).run(signature.name, Tensor.zeros(port.type, port.shape()));
                }
            }
        } finally {
            idle.addAll(slots);
        }
    }

    /** Waits for the interpreters that are lent, then closes all. */
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        for (int i = 0; i < size; i++) {
            Slot slot = take();
            if (slot.runner != null) {
                slot.runner.close();
            }
        }
        idle.addFirst(new Slot()); // Wakes those that wait, who find the pool closed.
    }

    private Slot borrow() {
        Slot slot = take();
        if (closed) {
            idle.addFirst(slot);
            throw new IllegalStateException(model.file + " was closed");
        }
        return slot;
    }

    private Slot take() {
        try {
            return idle.takeFirst();
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new EdgeOcrException("interrupted while waiting for an interpreter", error);
        }
    }

    private TensorRunner runner(Slot slot) {
        if (slot.runner == null) {
            slot.runner = factory.open(model, content, threads);
        }
        return slot.runner;
    }

    private void check(Bundle bundle, TensorRunner runner, Signature signature, int rank) {
        TensorPort given = runner.input(signature.name);
        TensorPort taken = runner.output(signature.name);
        int[] stated = {1, signature.height, signature.width, 3};
        String what = bundle + ": " + model.file + ": the ";
        if (!Arrays.equals(given.shape(), stated)) {
            throw new BundleException(
                    what + "input of signature " + signature.name + " is "
                            + Arrays.toString(given.shape()) + ", bundle.json states "
                            + Arrays.toString(stated));
        }
        if (taken.shape().length != rank || taken.shape()[0] != 1) {
            throw new BundleException(
                    what + "output of signature " + signature.name + " is "
                            + Arrays.toString(taken.shape()) + ", it must have " + rank
                            + " dimensions, the first of them 1");
        }
        inputs.put(signature.name, given);
        outputs.put(signature.name, taken);
    }
}
