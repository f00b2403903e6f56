package io.github.edgeocr.demo

import android.Manifest
import android.content.ClipData
import android.content.ClipboardManager
import android.content.Intent
import android.content.pm.PackageManager
import android.os.Bundle
import android.view.View
import android.widget.TextView
import android.widget.Toast
import androidx.activity.ComponentActivity
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts.PickVisualMedia
import androidx.activity.result.contract.ActivityResultContracts.RequestPermission
import androidx.activity.viewModels
import androidx.camera.view.PreviewView
import androidx.core.content.ContextCompat
import androidx.lifecycle.Lifecycle
import androidx.lifecycle.lifecycleScope
import androidx.lifecycle.repeatOnLifecycle
import androidx.lifecycle.viewmodel.initializer
import androidx.lifecycle.viewmodel.viewModelFactory
import io.github.edgeocr.demo.OcrUiState.Reading
import io.github.edgeocr.demo.OcrUiState.Source
import kotlin.math.roundToInt
import kotlinx.coroutines.launch

/** The one screen: the camera or a picture with boxes and texts over it, and the text below. */
class MainActivity : ComponentActivity() {
    private val model: OcrViewModel by viewModels {
        // What outlives this activity must not hold it.
        val app = application
        val settings = SettingsDialog.load(this)
        viewModelFactory {
            initializer {
                OcrViewModel(
                    AssetBundleFiles(app.assets, AssetBundleFiles.FOLDER),
                    (app as RuntimeProvider).runtimeSource(),
                    ContextCompat.getMainExecutor(app),
                    settings,
                )
            }
        }
    }
    private lateinit var camera: CameraController

    private val askForCamera = registerForActivityResult(RequestPermission()) { granted ->
        if (granted) startCamera() else model.fail(getString(R.string.camera_refused))
    }

    private val pickPicture = registerForActivityResult(PickVisualMedia()) { uri ->
        if (uri != null) {
            val app = applicationContext
            model.read { Pictures.decode(app, uri) }
        }
    }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        val preview = findViewById<PreviewView>(R.id.preview)
        // Boxes lie where their text is only while the whole frame is shown.
        preview.scaleType = PreviewView.ScaleType.FIT_CENTER
        camera = CameraController(
            applicationContext,
            ContextCompat.getMainExecutor(this),
            wantsFrame = model::wantsFrame,
            onFrame = model::onFrame,
            onFailed = model::fail,
        )
        connectButtons()
        lifecycleScope.launch {
            repeatOnLifecycle(Lifecycle.State.STARTED) { model.state.collect(::show) }
        }
        if (mayUseCamera()) startCamera() else askForCamera.launch(Manifest.permission.CAMERA)
    }

    override fun onDestroy() {
        camera.close()
        super.onDestroy()
    }

    private fun connectButtons() {
        onClick(R.id.live) {
            model.startLive()
            if (!mayUseCamera()) askForCamera.launch(Manifest.permission.CAMERA)
        }
        onClick(R.id.photo) { camera.takePicture { picture -> model.read { picture } } }
        onClick(R.id.gallery) {
            pickPicture.launch(PickVisualMediaRequest(PickVisualMedia.ImageOnly))
        }
        onClick(R.id.copy) { copyText() }
        onClick(R.id.settings) { SettingsDialog.show(this, model::choose) }
        onClick(R.id.benchmark) { startActivity(Intent(this, BenchmarkActivity::class.java)) }
    }

    private fun onClick(id: Int, action: () -> Unit) =
        findViewById<View>(id).setOnClickListener { action() }

    private fun startCamera() = camera.start(this, findViewById(R.id.preview))

    private fun mayUseCamera(): Boolean =
        ContextCompat.checkSelfPermission(this, Manifest.permission.CAMERA) ==
            PackageManager.PERMISSION_GRANTED

    private fun copyText() {
        val clip = ClipData.newPlainText(getString(R.string.app_name), model.state.value.text)
        getSystemService(ClipboardManager::class.java).setPrimaryClip(clip)
        Toast.makeText(this, R.string.copied, Toast.LENGTH_SHORT).show()
    }

    private fun show(state: OcrUiState) {
        val picture = (state.source as? Source.Picture)?.bitmap
        val result = (state.reading as? Reading.Done)?.result
        findViewById<ResultView>(R.id.result).show(picture, result)
        findViewById<TextView>(R.id.text).text = state.text
        findViewById<TextView>(R.id.message).text = when (val reading = state.reading) {
            is Reading.Waiting -> getString(R.string.reading)
            is Reading.Failed -> reading.message
            is Reading.Done -> message(reading)
        }
    }

    private fun message(reading: Reading.Done): String {
        val lines = reading.result.lines.size
        if (lines == 0) return getString(R.string.no_text)
        val millis = reading.result.timingsMillis.getValue("total").roundToInt()
        return getString(R.string.read, lines, millis)
    }
}
