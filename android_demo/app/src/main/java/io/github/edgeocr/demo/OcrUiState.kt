package io.github.edgeocr.demo

import android.graphics.Bitmap
import io.github.edgeocr.OcrResult

/** All that the screen shows. */
data class OcrUiState(
    val source: Source = Source.Camera,
    val reading: Reading = Reading.Waiting,
) {
    /** What lies below the boxes. */
    sealed interface Source {
        /** The camera's preview, whose frames are read one after the other. */
        data object Camera : Source

        /** A picture, taken or chosen. */
        data class Picture(val bitmap: Bitmap) : Source
    }

    /** How far reading has come. */
    sealed interface Reading {
        data object Waiting : Reading

        /** Corner points are in pixels of an image of the result's own width and height. */
        data class Done(val result: OcrResult) : Reading

        data class Failed(val message: String) : Reading
    }

    val text: String
        get() = (reading as? Reading.Done)?.result?.text.orEmpty()
}
