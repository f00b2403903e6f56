"""Runs single int8 operators on the real runtime, to compare the integer reference with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeocr_training.compression.quantization.affine import AffineQuantization


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Term:
    """An input of an operator, channels last."""

    values: NDArray[Any]
    quantization: AffineQuantization | None = None
    scales: NDArray[np.float32] | None = None
    """Of weights and biases, one for each output; then it is a constant."""
    axis: int = 0
    """Of the outputs."""
    constant: bool = False


def run_operator(
    kind: str,
    terms: Sequence[Term],
    shape: tuple[int, ...],
    result: AffineQuantization,
    options: Any = None,
) -> NDArray[np.int8]:
    """The result of one operator on XNNPACK, channels last.

    Args:
        kind: as the schema names it.
        terms: inputs.
        shape: of the result.
        result: its scale and zero point.
        options: of the schema's object API.
    """
    buffers, tensors = [schema.BufferT()], []
    given = []
    for number, term in enumerate(terms):
        constant = term.constant or term.scales is not None
        if constant:
            data = np.frombuffer(np.ascontiguousarray(term.values).tobytes(), np.uint8)
            buffers.append(schema.BufferT(data=data))
        else:
            given.append(number)
        tensors.append(
            _tensor(
                term.values.shape,
                _TYPES[term.values.dtype.type],
                len(buffers) - 1 if constant else 0,
                _quantization(term),
            )
        )
    tensors.append(
        _tensor(
            shape,
            schema.TensorType.INT8,
            0,
            _quantization(Term(values=np.zeros(0, np.int8), quantization=result)),
        )
    )
    code = getattr(schema.BuiltinOperator, kind)
    operator = schema.OperatorT(
        opcodeIndex=0,
        inputs=np.arange(len(terms), dtype=np.int32),
        outputs=np.array([len(terms)], np.int32),
    )
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(
            schema.BuiltinOptions, type(options).__name__.removesuffix("T")
        )
    model = schema.ModelT(
        version=3,
        operatorCodes=[
            schema.OperatorCodeT(
                builtinCode=code,
                deprecatedBuiltinCode=min(code, 127),
                version=_VERSIONS.get(kind, 2),
            )
        ],
        buffers=buffers,
        subgraphs=[
            schema.SubGraphT(
                name=b"main",
                tensors=tensors,
                inputs=np.array(given, np.int32),
                outputs=np.array([len(terms)], np.int32),
                operators=[operator],
            )
        ],
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = Interpreter(model_content=bytes(builder.Output()), num_threads=1)
    interpreter.allocate_tensors()
    kinds = [entry["op_name"] for entry in interpreter._get_ops_details()]
    assert "DELEGATE" in kinds, f"XNNPACK leaves {kind}"
    for number, entry in zip(given, interpreter.get_input_details(), strict=True):
        interpreter.set_tensor(entry["index"], terms[number].values)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


_TYPES = {
    np.int8: schema.TensorType.INT8,
    np.int32: schema.TensorType.INT32,
}
_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 5}


def _tensor(shape: tuple[int, ...], kind: int, buffer: int, quantization: Any) -> Any:
    return schema.TensorT(
        name=b"t",
        type=kind,
        shape=np.array(shape, np.int32),
        buffer=buffer,
        quantization=quantization,
    )


def _quantization(term: Term) -> Any:
    if term.scales is not None:
        return schema.QuantizationParametersT(
            scale=term.scales,
            zeroPoint=np.zeros(len(term.scales), np.int64),
            quantizedDimension=term.axis,
        )
    if term.quantization is None:
        return None
    return schema.QuantizationParametersT(
        scale=np.array([term.quantization.scale], np.float32),
        zeroPoint=np.array([term.quantization.zero_point], np.int64),
    )
