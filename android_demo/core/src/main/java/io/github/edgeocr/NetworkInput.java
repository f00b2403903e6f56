package io.github.edgeocr;

/** An image in the size and the values that a network takes. */
final class NetworkInput {
    /** (1, height, width, 3). */
    final Tensor tensor;
    /** Network pixels per image pixel along x. */
    final double scaleX;
    /** Network pixels per image pixel along y: sides are whole pixels, so the two differ a little. */
    final double scaleY;

    private NetworkInput(Tensor tensor, double scaleX, double scaleY) {
        this.tensor = tensor;
        this.scaleX = scaleX;
        this.scaleY = scaleY;
    }

    /**
     * Resizes an image into the top-left of a network input, keeps its aspect, fills the rest.
     *
     * @param wantedScale network pixels per image pixel; one larger than the largest at which the
     *     image fits is reduced to that
     */
    static NetworkInput fit(
            BgrImage image,
            int height,
            int width,
            InputTable table,
            InputTable.Padding padding,
            double wantedScale) {
        double largest =
                Math.min((double) height / image.height(), (double) width / image.width());
        double scale = Math.min(wantedScale, largest);
        // Up to the next whole pixel as in PP-OCR; the hair stands for the division's rounding.
        int shownHeight = shown(image.height(), scale, height);
        int shownWidth = shown(image.width(), scale, width);
        Tensor tensor =
                placed(image, shownHeight, shownWidth, height, width, table, padding);
        return new NetworkInput(
                tensor,
                (double) shownWidth / image.width(),
                (double) shownHeight / image.height());
    }

    /** Resizes an image to exactly the size of a network input. */
    static NetworkInput stretch(BgrImage image, int height, int width, InputTable table) {
        Tensor tensor =
                placed(image, height, width, height, width, table, InputTable.Padding.ZERO);
        return new NetworkInput(
                tensor, (double) width / image.width(), (double) height / image.height());
    }

    private static int shown(int side, double scale, int room) {
        return Math.min(room, Math.max(1, (int) Math.ceil(side * scale - 1e-6)));
    }

    private static Tensor placed(
            BgrImage image,
            final int shownHeight,
            final int shownWidth,
            int height,
            int width,
            final InputTable table,
            InputTable.Padding padding) {
        final int rowLength = width * BgrImage.CHANNELS;
        final int shownLength = shownWidth * BgrImage.CHANNELS;
        final Tensor tensor = table.blank(height, width);
        if (shownHeight == image.height() && shownWidth == image.width()) {
            int[] row = new int[shownLength];
            for (int y = 0; y < shownHeight; y++) {
                for (int i = 0; i < shownLength; i++) {
                    row[i] = image.pixels()[y * shownLength + i] & 255;
                }
                table.map(row, shownWidth, tensor, y * rowLength);
            }
        } else {
            BilinearResize.resize(
                    image.pixels(), image.width(), image.height(), BgrImage.CHANNELS, shownWidth,
                    shownHeight,
                    new BilinearResize.RowSink() {
                        @Override
                        public void accept(int y, int[] row) {
                            table.map(row, shownWidth, tensor, y * rowLength);
                        }
                    });
        }
        for (int y = 0; y < shownHeight; y++) {
            table.fill(tensor, y * rowLength + shownLength, (y + 1) * rowLength, padding);
        }
        table.fill(tensor, shownHeight * rowLength, height * rowLength, padding);
        return tensor;
    }
}
