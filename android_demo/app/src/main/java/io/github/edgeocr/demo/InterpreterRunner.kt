package io.github.edgeocr.demo

import io.github.edgeocr.BundleException
import io.github.edgeocr.ModelFile
import io.github.edgeocr.RuntimeUnavailableException
import io.github.edgeocr.Tensor
import io.github.edgeocr.TensorPort
import io.github.edgeocr.TensorRunner
import io.github.edgeocr.TensorType
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Interpreter

/**
 * Runs a model on the processor with LiteRT's Interpreter; XNNPACK is on by default.
 *
 * The Interpreter and not CompiledModel, because only it tells scale and zero point of inputs and
 * outputs. Not for two threads at a time.
 */
class InterpreterRunner private constructor(
    private val file: String,
    private val open: () -> Interpreter,
) : TensorRunner {
    private var interpreter = open()
    private var hasRun = false

    /** Opens models for `Ocr.open`. */
    class Factory : TensorRunner.Factory {
        override fun open(model: ModelFile, content: ByteArray, threads: Int): TensorRunner {
            val modelContent = direct(content)
            val options = Interpreter.Options().apply { setNumThreads(threads) }
            return refusing(model.file) {
                InterpreterRunner(model.file) { Interpreter(modelContent, options) }
            }
        }
    }

    override fun input(signature: String): TensorPort =
        port(interpreter.getInputTensorFromSignature(inputName(signature), signature))

    override fun output(signature: String): TensorPort =
        port(interpreter.getOutputTensorFromSignature(outputName(signature), signature))

    override fun run(signature: String, input: Tensor): Tensor = refusing(file) {
        if (hasRun) forget()
        hasRun = true
        val inputName = inputName(signature)
        val outputName = outputName(signature)
        val shape = input.shape()
        if (!inputShape(inputName, signature).contentEquals(shape)) {
            resize(signature, inputName, shape)
        }
        val isInt8 = input.type() == TensorType.INT8
        val given = if (isInt8) direct(input.bytes()) else direct(input.floats())
        val made = interpreter.getOutputTensorFromSignature(outputName, signature)
        val values = ByteBuffer.allocateDirect(made.numBytes()).order(ByteOrder.nativeOrder())
        interpreter.runSignature(mapOf(inputName to given), mapOf(outputName to values), signature)
        values.rewind()
        if (made.dataType() == DataType.INT8) {
            Tensor.int8(ByteArray(made.numElements()).also(values::get), *made.shape())
        } else {
            val floats = FloatArray(made.numElements()).also(values.asFloatBuffer()::get)
            Tensor.float32(floats, *made.shape())
        }
    }

    override fun close() = interpreter.close()

    /**
     * TFLite's LSTM keeps its state from run to run: a line would begin where the last ended.
     * Variables of a signature that was never run can't be reset; a new interpreter has none.
     */
    private fun forget() = try {
        interpreter.resetVariableTensors()
    } catch (error: IllegalStateException) {
        reopen()
    } catch (error: IllegalArgumentException) {
        reopen()
    }

    private fun reopen() {
        interpreter.close()
        interpreter = open()
    }

    /** The Interpreter resizes its first graph, which is that of a model with one signature. */
    private fun resize(signature: String, inputName: String, shape: IntArray) {
        if (interpreter.signatureKeys.size != 1) {
            throw RuntimeUnavailableException(
                "$file: LiteRT's Interpreter resizes models with one signature, this has several",
            )
        }
        interpreter.resizeInput(0, shape)
        interpreter.allocateTensors()
        if (!inputShape(inputName, signature).contentEquals(shape)) {
            throw RuntimeUnavailableException("$file: LiteRT did not resize $inputName")
        }
    }

    private fun inputShape(inputName: String, signature: String): IntArray =
        interpreter.getInputTensorFromSignature(inputName, signature).shape()

    private fun inputName(signature: String): String =
        only("input", signature) { interpreter.getSignatureInputs(signature) }

    private fun outputName(signature: String): String =
        only("output", signature) { interpreter.getSignatureOutputs(signature) }

    private fun only(kind: String, signature: String, names: () -> Array<String>): String {
        if (signature !in interpreter.signatureKeys) {
            val known = interpreter.signatureKeys.joinToString()
            throw BundleException("$file has no signature $signature; it has: $known")
        }
        return names().singleOrNull()
            ?: throw BundleException("$file: signature $signature must have one $kind")
    }

    private fun port(tensor: org.tensorflow.lite.Tensor): TensorPort {
        val type = when (tensor.dataType()) {
            DataType.INT8 -> TensorType.INT8
            DataType.FLOAT32 -> TensorType.FLOAT32
            else -> throw BundleException(
                "$file: ${tensor.name()} is ${tensor.dataType()}, it must be int8 or float32",
            )
        }
        val quantized = tensor.quantizationParams()
        return TensorPort(tensor.name(), type, tensor.shape(), quantized.scale, quantized.zeroPoint)
    }

    private companion object {
        fun direct(values: ByteArray): ByteBuffer =
            ByteBuffer.allocateDirect(values.size).order(ByteOrder.nativeOrder()).apply {
                put(values)
                rewind()
            }

        fun direct(values: FloatArray): ByteBuffer =
            ByteBuffer.allocateDirect(4 * values.size).order(ByteOrder.nativeOrder()).apply {
                asFloatBuffer().put(values)
            }

        /** LiteRT's own exceptions, and a missing library, as the pipeline knows them. */
        inline fun <T> refusing(file: String, run: () -> T): T = try {
            run()
        } catch (error: IllegalArgumentException) {
            throw RuntimeUnavailableException("$file: LiteRT refuses: ${error.message}")
        } catch (error: IllegalStateException) {
            throw RuntimeUnavailableException("$file: LiteRT can't run: ${error.message}")
        } catch (error: UnsatisfiedLinkError) {
            throw RuntimeUnavailableException("$file: LiteRT does not load: ${error.message}")
        }
    }
}
