package io.github.edgeocr;

/**
 * What every 8-bit value becomes at the input of one network.
 *
 * <p>Normalising a pixel and quantizing it depend on nothing but its value and its channel, so both
 * together are one table of 256 entries per channel, and an int8 model's input never exists as
 * floats. A value x becomes {@code r = (x / 255 - mean) / std}, and where the input is quantized
 * {@code clip(round(r / scale) + zeroPoint, -128, 127)}, with ties rounded to even.
 */
final class InputTable {
    final TensorType type;

    /** By channel of the network; the one of the two that is not of {@link #type} is null. */
    private final byte[][] bytes;

    private final float[][] floats;
    /** By channel of the network: its channel in a BGR pixel. */
    private final int[] source;

    private final int zeroPoint;

    InputTable(ModelFile model, TensorPort input) {
        type = input.type;
        zeroPoint = input.zeroPoint;
        source = model.channelOrder == ChannelOrder.BGR ? new int[] {0, 1, 2} : new int[] {2, 1, 0};
        boolean quantized = type == TensorType.INT8;
        bytes = quantized ? new byte[BgrImage.CHANNELS][256] : null;
        floats = quantized ? null : new float[BgrImage.CHANNELS][256];
        for (int channel = 0; channel < BgrImage.CHANNELS; channel++) {
            for (int value = 0; value < 256; value++) {
                double real = (value / 255.0 - model.mean[channel]) / model.std[channel];
                if (quantized) {
                    double rounded = Math.rint(real / input.scale) + zeroPoint;
                    bytes[channel][value] = (byte) Math.max(-128, Math.min(127, rounded));
                } else {
                    floats[channel][value] = (float) real;
                }
            }
        }
    }

    /** An input of one image in which nothing is written yet. */
    Tensor blank(int height, int width) {
        return Tensor.zeros(type, 1, height, width, BgrImage.CHANNELS);
    }

    /**
     * Writes pixels of a BGR row into a network input.
     *
     * @param from index of the first pixel's first byte in {@code row}
     * @param at index of the first value in {@code tensor}
     */
    void map(byte[] row, int from, int pixels, Tensor tensor, int at) {
        int blue = from + source[0];
        int green = from + source[1];
        int red = from + source[2];
        int end = at + pixels * BgrImage.CHANNELS;
        if (type == TensorType.INT8) {
            byte[] values = tensor.bytes();
            byte[] first = bytes[0];
            byte[] second = bytes[1];
            byte[] third = bytes[2];
            for (int i = at; i < end; i += BgrImage.CHANNELS) {
                values[i] = first[row[blue] & 255];
                values[i + 1] = second[row[green] & 255];
                values[i + 2] = third[row[red] & 255];
                blue += BgrImage.CHANNELS;
                green += BgrImage.CHANNELS;
                red += BgrImage.CHANNELS;
            }
            return;
        }
        float[] values = tensor.floats();
        for (int i = at; i < end; i += BgrImage.CHANNELS) {
            values[i] = floats[0][row[blue] & 255];
            values[i + 1] = floats[1][row[green] & 255];
            values[i + 2] = floats[2][row[red] & 255];
            blue += BgrImage.CHANNELS;
            green += BgrImage.CHANNELS;
            red += BgrImage.CHANNELS;
        }
    }

    /**
     * Writes padding into a network input.
     *
     * @param from index of the first value in {@code tensor}
     * @param to one past the last
     * @param pad what the padding looks like
     */
    void fill(Tensor tensor, int from, int to, Padding pad) {
        for (int i = from; i < to; i++) {
            int channel = (i - from) % BgrImage.CHANNELS;
            if (type == TensorType.INT8) {
                tensor.bytes()[i] = pad == Padding.BLACK ? bytes[channel][0] : (byte) zeroPoint;
            } else {
                tensor.floats()[i] = pad == Padding.BLACK ? floats[channel][0] : 0;
            }
        }
    }

    /** What stands beside an image that does not fill its network's input. */
    enum Padding {
        /** Black pixels, as detectors of PP-OCR are trained with. */
        BLACK,
        /** The network's own zero, as recognisers of PP-OCR are. */
        ZERO
    }
}
