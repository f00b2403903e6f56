"""The same integers on every processor, for networks that were not trained for integers.

Where a product or a mean lies half-way between two integers, XNNPACK rounds it otherwise on Arm
than on x86-64. Training chooses scales for which nothing does
(:mod:`edgeocr_training.compression.quantization.portable_scales`); those that the quantizer chose
are raised here, by some millionths at most.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from edgeocr_conversion.flatbuffer import (
    Model,
    constant_value,
    operator_name,
    tensor_shape,
    type_name,
)
from edgeocr_training.compression.quantization.affine import AffineQuantization
from edgeocr_training.compression.quantization.portable_scales import (
    portable_mean,
    portable_product,
)

_ANY_SCALE: Final = frozenset(
    {
        "ADD",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "DEQUANTIZE",
        "FULLY_CONNECTED",
        "HARD_SWISH",
        "LOGISTIC",
        "MEAN",
        "MUL",
        "QUANTIZE",
        "SUB",
        "TRANSPOSE_CONV",
    }
)
"""Operators whose result has a scale of its own. A layer's bias keeps the scale that it has:
what it is off by now is less than a float32 tells of most."""
_MOVES: Final = frozenset(
    {"DEPTH_TO_SPACE", "MAX_POOL_2D", "PAD", "RESHAPE", "SQUEEZE", "TRANSPOSE"}
)
"""Operators whose result has the scale of the one tensor that they read."""


def round_alike(quantized: Model) -> None:
    """Raises scales of products and means, in place.

    Left as they are: results that are joined with others, because these share one scale; results
    of the whole graph; and means of maps that are too large to spare every sum.
    """
    for subgraph in quantized.subgraphs:
        for operator in subgraph.operators:
            kind = operator_name(quantized, operator)
            result = int(operator.outputs[0])
            if kind not in ("MUL", "MEAN") or type_name(subgraph.tensors[result]) != "INT8":
                continue
            sharing = _sharing(quantized, subgraph, result)
            if sharing is None:
                continue
            before = _quantization(subgraph.tensors[result])
            sources = [subgraph.tensors[index] for index in operator.inputs]
            after = before
            if kind == "MUL":
                first, second = map(_quantization, sources)
                after = portable_product(first, second, before)
            elif _over_maps(quantized, sources[1]):
                _, rows, columns, _ = tensor_shape(sources[0])
                after = portable_mean(rows * columns, _quantization(sources[0]), before)
            for index in sharing:
                subgraph.tensors[index].quantization.scale = np.array([after.scale], np.float32)


def _over_maps(model: Model, axes: Any) -> bool:
    """Whether a mean is over rows and columns."""
    value = constant_value(model, axes)
    return value is not None and sorted(value.reshape(-1).tolist()) == [1, 2]


def _sharing(model: Model, subgraph: Any, tensor: int) -> list[int] | None:
    """The tensor and all that it is only moved to, which have its scale; None where something
    else has it, too.
    """
    found, waiting = [], [tensor]
    outputs = {int(index) for index in subgraph.outputs}
    while waiting:
        index = waiting.pop()
        if index in outputs:
            return None
        found.append(index)
        for reader in subgraph.operators:
            if index not in reader.inputs:
                continue
            kind = operator_name(model, reader)
            if kind in _MOVES:
                waiting.extend(int(output) for output in reader.outputs)
            elif kind not in _ANY_SCALE:
                return None
    return found


def _quantization(tensor: Any) -> AffineQuantization:
    return AffineQuantization(
        scale=float(tensor.quantization.scale[0]), zero_point=int(tensor.quantization.zeroPoint[0])
    )
