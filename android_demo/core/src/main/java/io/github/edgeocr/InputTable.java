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
     * Writes a BGR row into a network input.
     *
     * @param row values of 0 to 255
     * @param at index of the first value in {@code tensor}
     */
    void map(int[] row, int pixels, Tensor tensor, int at) {
        int blue = source[0];
        int green = source[1];
        int red = source[2];
        int length = pixels * BgrImage.CHANNELS;
        if (type == TensorType.INT8) {
            byte[] values = tensor.bytes();
            byte[] first = bytes[0];
            byte[] second = bytes[1];
            byte[] third = bytes[2];
            for (int i = 0; i < length; i += BgrImage.CHANNELS) {
                values[at + i] = first[row[i + blue]];
                values[at + i + 1] = second[row[i + green]];
                values[at + i + 2] = third[row[i + red]];
            }
            return;
        }
        float[] values = tensor.floats();
        float[] first = floats[0];
        float[] second = floats[1];
        float[] third = floats[2];
        for (int i = 0; i < length; i += BgrImage.CHANNELS) {
            values[at + i] = first[row[i + blue]];
            values[at + i + 1] = second[row[i + green]];
            values[at + i + 2] = third[row[i + red]];
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
