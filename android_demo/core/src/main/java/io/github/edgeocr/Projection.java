package io.github.edgeocr;

/** A projective map of the plane. */
final class Projection {
    /** 3 x 3 in row-major order. */
    final double[] matrix;

    private Projection(double... matrix) {
        this.matrix = matrix;
    }

    /**
     * The map that sends the corners of a rectangle at (0, 0) to those of a quad.
     *
     * <p>Solved by hand after P. Heckbert, Fundamentals of Texture Mapping and Image Warping (1989),
     * section 2.2.3, step for step as the Python SDK does: what lies half-way between two places
     * then falls to the same side in both.
     *
     * @throws ImageException three of the quad's corners are on one line
     */
    static Projection toQuad(int width, int height, Quad quad) {
        double x0 = quad.x(0);
        double y0 = quad.y(0);
        double x1 = quad.x(1);
        double y1 = quad.y(1);
        double x3 = quad.x(3);
        double y3 = quad.y(3);
        double rightX = x1 - quad.x(2);
        double rightY = y1 - quad.y(2);
        double belowX = x3 - quad.x(2);
        double belowY = y3 - quad.y(2);
        double skewX = x0 - x1 + quad.x(2) - x3;
        double skewY = y0 - y1 + quad.y(2) - y3;
        double determinant = rightX * belowY - belowX * rightY;
        if (determinant == 0) {
            throw new ImageException(
                    "no line can be cut from the quad " + quad + ": three corners are on one line");
        }
        double g = (skewX * belowY - belowX * skewY) / determinant;
        double h = (rightX * skewY - skewX * rightY) / determinant;
        return new Projection(
                (x1 - x0 + g * x1) / width, (x3 - x0 + h * x3) / height, x0,
                (y1 - y0 + g * y1) / width, (y3 - y0 + h * y3) / height, y0,
                g / width, h / height, 1);
    }

    /**
     * The same map for a rectangle that is turned by 90 degrees counter-clockwise: its row 0 was
     * column {@code width - 1}.
     */
    Projection turned(int width) {
        double[] m = matrix;
        double last = width - 1;
        return new Projection(
                m[1], -m[0], m[0] * last + m[2],
                m[4], -m[3], m[3] * last + m[5],
                m[7], -m[6], m[6] * last + m[8]);
    }

    /** Where a quad whose corners are given as doubles lands. */
    Quad apply(double[] points) {
        float[] mapped = new float[points.length];
        for (int i = 0; i < points.length; i += 2) {
            double x = points[i];
            double y = points[i + 1];
            double w = matrix[6] * x + matrix[7] * y + matrix[8];
            mapped[i] = (float) ((matrix[0] * x + matrix[1] * y + matrix[2]) / w);
            mapped[i + 1] = (float) ((matrix[3] * x + matrix[4] * y + matrix[5]) / w);
        }
        return new Quad(mapped);
    }
}
