package io.github.edgeocr;

/** A projective map of the plane. */
final class Projection {
    private static final int UNKNOWNS = 8;

    /** 3 x 3 in row-major order; the last entry is 1. */
    final double[] matrix;

    private Projection(double[] matrix) {
        this.matrix = matrix;
    }

    /**
     * The map that sends four points to the corners of a quad.
     *
     * @param from x and y of four points in turn, no three of them on one line
     */
    static Projection between(double[] from, Quad to) {
        double[][] system = new double[UNKNOWNS][UNKNOWNS + 1];
        for (int i = 0; i < 4; i++) {
            double x = from[2 * i];
            double y = from[2 * i + 1];
            double u = to.x(i);
            double v = to.y(i);
            system[i] = new double[] {x, y, 1, 0, 0, 0, -x * u, -y * u, u};
            system[i + 4] = new double[] {0, 0, 0, x, y, 1, -x * v, -y * v, v};
        }
        double[] solved = solve(system);
        double[] matrix = new double[UNKNOWNS + 1];
        System.arraycopy(solved, 0, matrix, 0, UNKNOWNS);
        matrix[UNKNOWNS] = 1;
        return new Projection(matrix);
    }

    /** Gaussian elimination with partial pivoting; the last column is the right-hand side. */
    private static double[] solve(double[][] system) {
        int size = system.length;
        for (int column = 0; column < size; column++) {
            int pivot = column;
            for (int row = column + 1; row < size; row++) {
                if (Math.abs(system[row][column]) > Math.abs(system[pivot][column])) {
                    pivot = row;
                }
            }
            double[] swapped = system[column];
            system[column] = system[pivot];
            system[pivot] = swapped;
            double factor = -1 / system[column][column];
            for (int row = column + 1; row < size; row++) {
                double weight = system[row][column] * factor;
                for (int k = column + 1; k <= size; k++) {
                    system[row][k] += weight * system[column][k];
                }
            }
        }
        double[] solved = new double[size];
        for (int row = size - 1; row >= 0; row--) {
            double rest = system[row][size];
            for (int k = row + 1; k < size; k++) {
                rest -= system[row][k] * solved[k];
            }
            solved[row] = rest / system[row][row];
        }
        return solved;
    }

    /** Whether no point of a convex quad is sent to infinity, nor beyond. */
    boolean isFinite(double[] points) {
        for (int i = 0; i < points.length; i += 2) {
            if (!(matrix[6] * points[i] + matrix[7] * points[i + 1] + matrix[8] > 1e-6)) {
                return false;
            }
        }
        return true;
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
