package io.github.edgeocr.demo;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Color;
import android.graphics.Paint;
import android.graphics.Path;
import android.graphics.RectF;
import android.util.AttributeSet;
import android.view.View;
import io.github.edgeocr.OcrResult;
import io.github.edgeocr.Quad;
import io.github.edgeocr.TextLine;

/**
 * Lays boxes and texts over a picture, or over the camera's preview that lies below this view and
 * shows the whole frame, centred.
 */
public final class ResultView extends View {
    private final Paint outline = new Paint(Paint.ANTI_ALIAS_FLAG);
    private final Paint background = new Paint();
    private final Paint text = new Paint(Paint.ANTI_ALIAS_FLAG);
    private final Paint smooth = new Paint(Paint.FILTER_BITMAP_FLAG);
    private final Path path = new Path();
    private final RectF area = new RectF();
    private Bitmap picture;
    private OcrResult result;

    public ResultView(Context context, AttributeSet attributes) {
        super(context, attributes);
        float density = getResources().getDisplayMetrics().density;
        outline.setStyle(Paint.Style.STROKE);
        outline.setStrokeWidth(2 * density);
        outline.setColor(Color.rgb(0, 200, 83));
        background.setColor(Color.argb(170, 0, 0, 0));
        text.setColor(Color.WHITE);
    }

    /**
     * @param picture drawn below the boxes; null where a preview lies below this view
     * @param result null for no boxes
     */
    public void show(Bitmap picture, OcrResult result) {
        this.picture = picture;
        this.result = result;
        invalidate();
    }

    @Override
    protected void onDraw(Canvas canvas) {
        if (picture != null) {
            canvas.drawColor(Color.BLACK);
            FittedImage fitted = fitted(picture.getWidth(), picture.getHeight());
            area.set(
                    fitted.left,
                    fitted.top,
                    fitted.x(picture.getWidth()),
                    fitted.y(picture.getHeight()));
            canvas.drawBitmap(picture, null, area, smooth);
        }
        if (result == null) {
            return;
        }
        FittedImage fitted = fitted(result.getWidth(), result.getHeight());
        for (TextLine line : result.getLines()) {
            Quad corners = line.getCornerPoints();
            path.rewind();
            path.moveTo(fitted.x(corners.x(0)), fitted.y(corners.y(0)));
            for (int corner = 1; corner < 4; corner++) {
                path.lineTo(fitted.x(corners.x(corner)), fitted.y(corners.y(corner)));
            }
            path.close();
            canvas.drawPath(path, outline);
        }
        for (TextLine line : result.getLines()) {
            drawText(canvas, line, fitted);
        }
    }

    /** Above the box, as wide as the box at most. */
    private void drawText(Canvas canvas, TextLine line, FittedImage fitted) {
        Quad corners = line.getCornerPoints();
        float left = fitted.x(corners.left());
        float room = Math.max(1, fitted.x(corners.right()) - left);
        float density = getResources().getDisplayMetrics().density;
        text.setTextSize(14 * density);
        float width = Math.max(1, text.measureText(line.getText()));
        text.setTextSize(14 * density * Math.min(1, room / width));
        float bottom = fitted.y(corners.top()) - density;
        float top = bottom + text.ascent();
        float right = left + Math.min(width, room);
        canvas.drawRect(left, top, right, bottom + text.descent(), background);
        canvas.drawText(line.getText(), left, bottom, text);
    }

    private FittedImage fitted(int width, int height) {
        return new FittedImage(width, height, getWidth(), getHeight());
    }
}
