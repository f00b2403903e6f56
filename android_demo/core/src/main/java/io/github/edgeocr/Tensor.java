package io.github.edgeocr;

import java.util.Arrays;

/** Dense values in row-major order. The arrays are the tensor's own storage, not copies. */
public final class Tensor {
    private final int[] shape;
    private final byte[] bytes;
    private final float[] floats;

    private Tensor(int[] shape, byte[] bytes, float[] floats) {
        long size = 1;
        for (int side : shape) {
            size *= side;
        }
        int length = bytes != null ? bytes.length : floats.length;
        if (size != length) {
            throw new IllegalArgumentException(
                    length + " values cannot have the shape " + Arrays.toString(shape));
        }
        this.shape = shape;
        this.bytes = bytes;
        this.floats = floats;
    }

    public static Tensor int8(byte[] values, int... shape) {
        return new Tensor(shape.clone(), values, null);
    }

    public static Tensor float32(float[] values, int... shape) {
        return new Tensor(shape.clone(), null, values);
    }

    /** All zeros. */
    static Tensor zeros(TensorType type, int... shape) {
        int size = 1;
        for (int side : shape) {
            size *= side;
        }
        return type == TensorType.INT8
                ? int8(new byte[size], shape)
                : float32(new float[size], shape);
    }

    public TensorType type() {
        return bytes != null ? TensorType.INT8 : TensorType.FLOAT32;
    }

    public int[] shape() {
        return shape.clone();
    }

    int side(int axis) {
        return shape[axis];
    }

    /** The values of an {@link TensorType#INT8} tensor; null for one of another type. */
    public byte[] bytes() {
        return bytes;
    }

    /** The values of a {@link TensorType#FLOAT32} tensor; null for one of another type. */
    public float[] floats() {
        return floats;
    }
}
