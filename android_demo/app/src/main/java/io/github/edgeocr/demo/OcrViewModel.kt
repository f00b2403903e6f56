package io.github.edgeocr.demo

import android.graphics.Bitmap
import androidx.lifecycle.ViewModel
import io.github.edgeocr.BgrImage
import io.github.edgeocr.BundleFiles
import io.github.edgeocr.OcrResult
import io.github.edgeocr.demo.OcrUiState.Reading
import io.github.edgeocr.demo.OcrUiState.Source
import java.util.concurrent.Executor
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update

/**
 * Turns what the user and the camera do into the state of the screen, and outlives a turned one.
 * Knows no Context.
 */
class OcrViewModel(
    bundle: BundleFiles,
    runtime: OcrController.RuntimeSource,
    mainThread: Executor,
    @Volatile private var settings: DemoSettings,
) : ViewModel() {
    private val mutableState = MutableStateFlow(OcrUiState())
    val state: StateFlow<OcrUiState> = mutableState.asStateFlow()

    /** Set by the controller's thread when a picture is loaded, shown with what was read on it. */
    @Volatile
    private var loaded: Bitmap? = null

    @Volatile
    private var live = true

    private val controller = OcrController(
        bundle,
        runtime,
        mainThread,
        object : OcrController.Listener {
            override fun onRead(result: OcrResult) = change(Reading.Done(result))

            override fun onFailed(message: String) = change(Reading.Failed(message))
        },
    )

    /** Shows the camera and reads its frames. */
    fun startLive() {
        loaded = null
        live = true
        mutableState.value = OcrUiState()
    }

    /** Whether a frame of the camera would be read now; others need not be converted. */
    fun wantsFrame(): Boolean = live && !controller.isBusy

    /** Reads a frame of the camera, upright; called on the camera's thread. */
    fun onFrame(frame: BgrImage) {
        if (live) {
            controller.offer({ frame }, settings)
        }
    }

    /** Shows a picture and reads it; it is loaded on the controller's thread. */
    fun read(picture: () -> Bitmap) {
        live = false
        mutableState.update { it.copy(reading = Reading.Waiting) }
        controller.read(
            {
                loaded = null
                val bitmap = picture()
                Pictures.pixels(bitmap).also { loaded = bitmap }
            },
            settings,
        )
    }

    fun fail(message: String) = change(Reading.Failed(message))

    /** Reads with other settings from now on, and the picture that is shown once more. */
    fun choose(chosen: DemoSettings) {
        settings = chosen
        (state.value.source as? Source.Picture)?.let { shown -> read { shown.bitmap } }
    }

    override fun onCleared() = controller.close()

    private fun change(reading: Reading) {
        val source = loaded?.let { Source.Picture(it) } ?: Source.Camera
        mutableState.value = OcrUiState(source, reading)
    }
}
