"""Weights as float16: half the size, and float32 while running.

A DEQUANTIZE in front of each weight restores it when the model is loaded; XNNPACK takes the
pair as a weight of its own.
"""

from __future__ import annotations

import copy
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from edgeocr_conversion.flatbuffer import Model, constant_value

_SMALLEST: Final = 64
"""Constants of fewer elements stay float32: a DEQUANTIZE costs more than they save."""


def to_half_precision(model: Model, *, exact_only: bool = False) -> Model:
    """A copy of a model whose float32 weights are stored as float16.

    Constants with a value beyond float16's range stay as they are; with ``exact_only`` all do
    that float16 would change.
    """
    half = copy.copy(model)
    half.buffers = list(model.buffers)
    half.operatorCodes = list(model.operatorCodes)
    code = schema.BuiltinOperator.DEQUANTIZE
    # Version 2 is the first that takes float16.
    half.operatorCodes.append(
        schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=2)
    )
    stored: dict[int, int | None] = {}
    half.subgraphs = [
        _halved(model, half, subgraph, stored, exact_only) for subgraph in model.subgraphs
    ]
    return half


def _halved(
    model: Model, half: Model, subgraph: Any, stored: dict[int, int | None], exact_only: bool
) -> Any:
    """A copy of a subgraph; ``stored`` maps float32 buffers to their float16 form."""
    result = copy.copy(subgraph)
    result.tensors = list(subgraph.tensors)
    restored = []
    for index, tensor in enumerate(subgraph.tensors):
        if tensor.type != schema.TensorType.FLOAT32:
            continue
        if tensor.buffer not in stored:
            stored[tensor.buffer] = _store(model, half, tensor, exact_only)
        buffer = stored[tensor.buffer]
        if buffer is None:
            continue
        weight = copy.copy(tensor)
        weight.type = schema.TensorType.FLOAT16
        weight.buffer = buffer
        weight.name = (tensor.name or b"") + b"_half"
        result.tensors.append(weight)
        activation = copy.copy(tensor)
        activation.buffer = 0
        result.tensors[index] = activation
        restored.append(
            schema.OperatorT(
                opcodeIndex=len(half.operatorCodes) - 1,
                inputs=np.array([len(result.tensors) - 1], np.int32),
                outputs=np.array([index], np.int32),
                builtinOptionsType=schema.BuiltinOptions.DequantizeOptions,
                builtinOptions=schema.DequantizeOptionsT(),
            )
        )
    result.operators = [*restored, *subgraph.operators]
    return result


def _store(model: Model, half: Model, tensor: Any, exact_only: bool) -> int | None:
    value = constant_value(model, tensor)
    if value is None or value.size < _SMALLEST:
        return None
    if np.abs(value).max() > np.finfo(np.float16).max:
        return None
    rounded = value.astype(np.float16)
    if exact_only and not np.array_equal(rounded, value):
        return None
    data = np.frombuffer(rounded.tobytes(), np.uint8)
    half.buffers.append(schema.BufferT(data=data))
    return len(half.buffers) - 1
