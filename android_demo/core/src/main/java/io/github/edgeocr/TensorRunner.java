package io.github.edgeocr;

import java.io.Closeable;

/**
 * One interpreter over one model: the only thing that the pipeline asks of a TFLite runtime.
 *
 * <p>An object serves one thread at a time.
 */
public interface TensorRunner extends Closeable {
    /**
     * The one input of a signature.
     *
     * @throws BundleException there is no such signature, or it has not one input of int8 or
     *     float32
     */
    TensorPort input(String signature);

    /**
     * The one output of a signature.
     *
     * @throws BundleException there is no such signature, or it has not one output of int8 or
     *     float32
     */
    TensorPort output(String signature);

    /**
     * Runs a signature. Nothing is remembered from the run before, nor is the state of an LSTM.
     *
     * @param input its shape may differ from the port's along the axes that the bundle calls
     *     resizable; the network is resized then
     * @return the caller's own: the next run leaves it alone
     * @throws RuntimeUnavailableException the runtime cannot run the model
     */
    Tensor run(String signature, Tensor input);

    @Override
    void close();

    /** Opens interpreters; for any number of threads. */
    interface Factory {
        /**
         * Opens a model.
         *
         * @param model names it, by its file, in messages
         * @param content of its .tflite file, verified; neither may change it
         * @param threads to compute with
         * @throws RuntimeUnavailableException the runtime is missing or refuses the model
         */
        TensorRunner open(ModelFile model, byte[] content, int threads);
    }
}
