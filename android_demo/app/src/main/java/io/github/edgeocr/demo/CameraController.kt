package io.github.edgeocr.demo

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Matrix
import android.util.Size
import androidx.annotation.OptIn
import androidx.camera.core.CameraInfoUnavailableException
import androidx.camera.core.CameraSelector
import androidx.camera.core.ExperimentalGetImage
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageCapture
import androidx.camera.core.ImageCaptureException
import androidx.camera.core.ImageProxy
import androidx.camera.core.Preview
import androidx.camera.core.UseCaseGroup
import androidx.camera.core.resolutionselector.AspectRatioStrategy
import androidx.camera.core.resolutionselector.ResolutionSelector
import androidx.camera.core.resolutionselector.ResolutionStrategy
import androidx.camera.lifecycle.ProcessCameraProvider
import androidx.camera.view.PreviewView
import androidx.lifecycle.LifecycleOwner
import io.github.edgeocr.BgrImage
import io.github.edgeocr.EdgeOcrException
import java.util.concurrent.ExecutionException
import java.util.concurrent.Executor
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors

/**
 * CameraX: a preview, the newest frame for reading, and still pictures, all of one field of view.
 *
 * Frames are converted on a thread of their own and closed on every path; KEEP_ONLY_LATEST drops
 * those that come while one is converted, and [wantsFrame] those that come while one is read.
 */
class CameraController(
    private val context: Context,
    private val mainThread: Executor,
    private val wantsFrame: () -> Boolean,
    private val onFrame: (BgrImage) -> Unit,
    private val onFailed: (String) -> Unit,
) : AutoCloseable {
    private val analysisThread: ExecutorService = Executors.newSingleThreadExecutor()
    private var capture: ImageCapture? = null

    /** Binds the camera to a lifecycle, which starts and stops it. */
    fun start(owner: LifecycleOwner, view: PreviewView) {
        val future = ProcessCameraProvider.getInstance(context)
        future.addListener(
            {
                try {
                    bind(future.get(), owner, view)
                } catch (error: ExecutionException) {
                    fail(error)
                } catch (error: CameraInfoUnavailableException) {
                    fail(error)
                } catch (error: IllegalArgumentException) {
                    fail(error)
                }
            },
            mainThread,
        )
    }

    /** Takes a still picture, upright; [onTaken] is called on the main thread. */
    fun takePicture(onTaken: (Bitmap) -> Unit) {
        val camera = capture ?: return onFailed(context.getString(R.string.no_camera))
        camera.takePicture(
            mainThread,
            object : ImageCapture.OnImageCapturedCallback() {
                override fun onCaptureSuccess(image: ImageProxy) {
                    val picture = image.use { upright(it.toBitmap(), it.imageInfo.rotationDegrees) }
                    onTaken(picture)
                }

                override fun onError(exception: ImageCaptureException) = fail(exception)
            },
        )
    }

    override fun close() {
        analysisThread.shutdown()
    }

    private fun bind(provider: ProcessCameraProvider, owner: LifecycleOwner, view: PreviewView) {
        val selector = CAMERAS.firstOrNull(provider::hasCamera)
            ?: return onFailed(context.getString(R.string.no_camera))
        val fourToThree = ResolutionSelector.Builder()
            .setAspectRatioStrategy(AspectRatioStrategy.RATIO_4_3_FALLBACK_AUTO_STRATEGY)
            .build()
        val preview = Preview.Builder()
            .setResolutionSelector(fourToThree)
            .build()
            .apply { setSurfaceProvider(view.surfaceProvider) }
        val analysis = ImageAnalysis.Builder()
            .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
            .setResolutionSelector(
                ResolutionSelector.Builder()
                    .setAspectRatioStrategy(AspectRatioStrategy.RATIO_4_3_FALLBACK_AUTO_STRATEGY)
                    .setResolutionStrategy(
                        ResolutionStrategy(
                            ANALYSIS_SIZE,
                            ResolutionStrategy.FALLBACK_RULE_CLOSEST_LOWER_THEN_HIGHER,
                        ),
                    )
                    .build(),
            )
            .build()
            .apply { setAnalyzer(analysisThread, ::analyse) }
        val still = ImageCapture.Builder()
            .setResolutionSelector(fourToThree)
            .build()
        val group = UseCaseGroup.Builder()
            .addUseCase(preview)
            .addUseCase(analysis)
            .addUseCase(still)
            .build()
        provider.unbindAll()
        provider.bindToLifecycle(owner, selector, group)
        capture = still
    }

    @OptIn(ExperimentalGetImage::class)
    private fun analyse(proxy: ImageProxy) {
        val frame = try {
            if (!wantsFrame()) return
            Pictures.pixels(proxy.image ?: return, proxy.imageInfo.rotationDegrees)
        } catch (error: EdgeOcrException) {
            return mainThread.execute { fail(error) }
        } finally {
            proxy.close()
        }
        onFrame(frame)
    }

    private fun fail(error: Exception) =
        onFailed(context.getString(R.string.camera_failed, error.message))

    private companion object {
        val CAMERAS = listOf(
            CameraSelector.DEFAULT_BACK_CAMERA,
            CameraSelector.DEFAULT_FRONT_CAMERA,
        )

        /** Large enough for a page of text, small enough for several frames a second. */
        val ANALYSIS_SIZE = Size(1280, 960)

        fun upright(bitmap: Bitmap, degrees: Int): Bitmap {
            if (degrees == 0) return bitmap
            val turn = Matrix().apply { setRotate(degrees.toFloat()) }
            return Bitmap.createBitmap(bitmap, 0, 0, bitmap.width, bitmap.height, turn, false)
        }
    }
}
