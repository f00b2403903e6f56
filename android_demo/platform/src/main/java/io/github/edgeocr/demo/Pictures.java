package io.github.edgeocr.demo;

import android.content.ContentResolver;
import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.Matrix;
import android.media.ExifInterface;
import android.media.Image;
import android.net.Uri;
import io.github.edgeocr.BgrImage;
import io.github.edgeocr.ImageException;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;

/** Pictures of Android as the pixels that the pipeline takes. */
public final class Pictures {
    /** Of what another app shares, in pixels: 64 MB as a bitmap. */
    public static final int LONGEST_SIDE = 4096;

    private Pictures() {}

    /**
     * Pixels of a bitmap.
     *
     * @throws ImageException it is null, recycled or empty
     */
    public static BgrImage pixels(Bitmap bitmap) {
        if (bitmap == null) {
            throw new ImageException("there is no picture, or the system can't decode it");
        }
        if (bitmap.isRecycled()) {
            throw new ImageException("the picture was recycled before it was read");
        }
        int width = bitmap.getWidth();
        int height = bitmap.getHeight();
        int[] argb = new int[width * height];
        bitmap.getPixels(argb, 0, width, 0, 0, width, height);
        return BgrImage.fromArgb(argb, width, height);
    }

    /** A bitmap of pixels, to be shown. */
    public static Bitmap bitmap(BgrImage image) {
        byte[] bgr = image.pixels();
        int[] argb = new int[image.width() * image.height()];
        for (int i = 0; i < argb.length; i++) {
            argb[i] =
                    0xff000000
                            | (bgr[3 * i + 2] & 0xff) << 16
                            | (bgr[3 * i + 1] & 0xff) << 8
                            | bgr[3 * i] & 0xff;
        }
        return Bitmap.createBitmap(
                argb, image.width(), image.height(), Bitmap.Config.ARGB_8888);
    }

    /**
     * Pixels of a camera's frame, turned upright.
     *
     * @param frame YUV_420_888; it may be closed afterwards
     * @param degreesClockwise by which it has to be turned: 0, 90, 180 or 270
     */
    public static BgrImage pixels(Image frame, int degreesClockwise) {
        Image.Plane[] planes = frame.getPlanes();
        return BgrImage.fromYuv420(
                        bytes(planes[0]),
                        planes[0].getRowStride(),
                        bytes(planes[1]),
                        bytes(planes[2]),
                        planes[1].getRowStride(),
                        planes[1].getPixelStride(),
                        frame.getWidth(),
                        frame.getHeight())
                .rotated(degreesClockwise);
    }

    private static byte[] bytes(Image.Plane plane) {
        ByteBuffer buffer = plane.getBuffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    /**
     * A picture file, upright after its EXIF orientation.
     *
     * @param longestSide in pixels; a larger picture is halved until it is not
     * @throws ImageException it is none that Android decodes
     */
    public static Bitmap decode(File file, int longestSide) throws IOException {
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inJustDecodeBounds = true;
        BitmapFactory.decodeFile(file.getPath(), options);
        int side = Math.max(options.outWidth, options.outHeight);
        options.inJustDecodeBounds = false;
        options.inSampleSize = 1;
        while (side / options.inSampleSize > longestSide) {
            options.inSampleSize *= 2;
        }
        Bitmap bitmap = BitmapFactory.decodeFile(file.getPath(), options);
        if (bitmap == null) {
            throw new ImageException("the picture is of no kind that Android decodes");
        }
        Matrix upright = upright(new ExifInterface(file.getPath()));
        if (upright.isIdentity()) {
            return bitmap;
        }
        return Bitmap.createBitmap(
                bitmap, 0, 0, bitmap.getWidth(), bitmap.getHeight(), upright, false);
    }

    /** What another app shares, halved to {@link #LONGEST_SIDE}. */
    public static Bitmap decode(Context context, Uri uri) throws IOException {
        File copy = File.createTempFile("picture", null, context.getCacheDir());
        try {
            ContentResolver resolver = context.getContentResolver();
            try (InputStream stream = resolver.openInputStream(uri);
                    FileOutputStream out = new FileOutputStream(copy)) {
                if (stream == null) {
                    throw new IOException("the other app gives nothing");
                }
                byte[] piece = new byte[65536];
                for (int read = stream.read(piece); read >= 0; read = stream.read(piece)) {
                    out.write(piece, 0, read);
                }
            }
            return decode(copy, LONGEST_SIDE);
        } catch (SecurityException error) {
            throw new IOException("the other app does not allow it", error);
        } finally {
            copy.delete();
        }
    }

    private static Matrix upright(ExifInterface exif) {
        Matrix matrix = new Matrix();
        switch (exif.getAttributeInt(ExifInterface.TAG_ORIENTATION, 1)) {
            case ExifInterface.ORIENTATION_FLIP_HORIZONTAL:
                matrix.setScale(-1, 1);
                break;
            case ExifInterface.ORIENTATION_ROTATE_180:
                matrix.setRotate(180);
                break;
            case ExifInterface.ORIENTATION_FLIP_VERTICAL:
                matrix.setScale(1, -1);
                break;
            case ExifInterface.ORIENTATION_TRANSPOSE:
                matrix.setRotate(90);
                matrix.postScale(-1, 1);
                break;
            case ExifInterface.ORIENTATION_ROTATE_90:
                matrix.setRotate(90);
                break;
            case ExifInterface.ORIENTATION_TRANSVERSE:
                matrix.setRotate(270);
                matrix.postScale(-1, 1);
                break;
            case ExifInterface.ORIENTATION_ROTATE_270:
                matrix.setRotate(270);
                break;
            default:
                break;
        }
        return matrix;
    }
}
