package io.github.edgeocr.demo

import android.app.Application

/** Runs models with LiteRT's Interpreter, from Google's Maven. */
class DemoApplication : Application(), RuntimeProvider {
    override fun runtimeSource(): OcrController.RuntimeSource =
        OcrController.RuntimeSource { InterpreterRunner.Factory() }

    override fun runtimeVersion(): String = BuildConfig.LITERT_VERSION
}
