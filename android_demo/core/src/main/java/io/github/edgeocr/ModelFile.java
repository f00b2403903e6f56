package io.github.edgeocr;

import java.util.List;

/**
 * What every stage's model states. Input: (1, height, width, 3), NHWC.
 *
 * <p>A pixel enters the network as {@code (pixel / 255 - mean) / std}, per channel in the order of
 * the network; quantized inputs are quantized after that, by the model's own scale.
 */
public class ModelFile {
    /** Name of the .tflite file in the bundle. */
    public final String file;
    /** Size of the file. */
    public final int bytes;
    /** Of the file, in lower-case hexadecimal digits. */
    public final String sha256;
    /** Order of the channels that the network wants. */
    public final ChannelOrder channelOrder;
    /** The input shapes that the model was built for; at least one. */
    public final List<Signature> signatures;
    /**
     * The input's height may be resized, before tensors are allocated, to any multiple of this many
     * pixels; 0 where only the heights of the signatures may be used.
     */
    public final int heightMultiple;
    /** The same for the width. */
    public final int widthMultiple;

    final double[] mean;
    final double[] std;

    ModelFile(ManifestObject stage) {
        file = stage.fileName("file");
        bytes = stage.integer("bytes", 1, Bundle.MAX_FILE_BYTES);
        sha256 = stage.string("sha256");
        channelOrder = stage.choice("channel_order", ChannelOrder.class);
        mean = stage.triple("mean");
        std = stage.triple("std");
        signatures = stage.signatures("signatures");
        heightMultiple = stage.optionalInteger("height_multiple", 1, 1024);
        widthMultiple = stage.optionalInteger("width_multiple", 1, 1024);
        for (double deviation : std) {
            if (deviation == 0) {
                throw stage.invalid("std", "no part may be 0");
            }
        }
    }
}
