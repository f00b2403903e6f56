package io.github.edgeocr;

/** Input or output of one signature. */
public final class TensorPort {
    public final String name;
    public final TensorType type;
    /** Real value = (integer - zeroPoint) * scale; 1 for float32. */
    public final float scale;
    /** 0 for float32. */
    public final int zeroPoint;

    private final int[] shape;

    public TensorPort(String name, TensorType type, int[] shape, float scale, int zeroPoint) {
        this.name = name;
        this.type = type;
        this.shape = shape.clone();
        this.scale = type == TensorType.INT8 ? scale : 1;
        this.zeroPoint = type == TensorType.INT8 ? zeroPoint : 0;
    }

    /** As the model states it, before anything is resized. */
    public int[] shape() {
        return shape.clone();
    }
}
