"""Adds constants to feature maps without rounding the map again.

PP-OCRv4 has a learnt shift behind every activation. Where a padded convolution follows, it can't
become part of that one's bias: padding is zero after the shift, not before. In INT8 such an
addition rounds twice, its input and its output, for a result that knows no more than its input.
With one step for both, and a constant in whole steps, integers are added and nothing is lost but
what a channel's constant lacks to a whole number of steps. That is the same everywhere on the map,
and the bias of the layer behind takes it back (:mod:`.bias_correction`).

Step D1 for the input and D2 for the output leave an error of (D1^2 + D2^2) / 12; the coarser of
the two for both never leaves more than that.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from edgeocr_conversion.flatbuffer import Model, constant_value, operator_name, type_name
from edgeocr_conversion.ranges import Range

_LEVELS: Final = 255
_GREATEST: Final = 127
"""Steps that an INT8 constant may have."""


def share_steps(model: Model, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Widens ranges so that input and output of such additions have the same step.

    Args:
        model: float.
        ranges: of its activations, by tensor name.

    Returns:
        All of ``ranges``.
    """
    shared = dict(ranges)
    subgraph = model.subgraphs[0]
    for operator, constant in _additions(model):
        source, target = (
            subgraph.tensors[index].name.decode()
            for index in (_other(operator, constant), operator.outputs[0])
        )
        value = constant_value(model, subgraph.tensors[constant])
        if source not in shared or target not in shared or value is None:
            continue
        widths = [shared[name].high - shared[name].low for name in (source, target)]
        step = max(widths) / _LEVELS
        if np.abs(value).max() > _GREATEST * step:
            continue
        for name in (source, target):
            # Zero falls on a whole step, so that the quantizer moves nothing.
            below = np.round(-shared[name].low / step)
            shared[name] = Range(low=float(-below * step), high=float((_LEVELS - below) * step))
    return shared


def round_constants(quantized: Model, model: Model) -> None:
    """Gives constants the step of the map that they are added to, where it shares the output's.

    Args:
        quantized: INT8 form of ``model``; changed in place.
        model: float.
    """
    subgraph = quantized.subgraphs[0]
    values = {
        tensor.name.decode(): constant_value(model, tensor) for tensor in model.subgraphs[0].tensors
    }
    for operator, index in _additions(quantized):
        constant = subgraph.tensors[index]
        source = subgraph.tensors[_other(operator, index)]
        target = subgraph.tensors[operator.outputs[0]]
        value = values.get(constant.name.decode())
        if value is None or {type_name(t) for t in (constant, source, target)} != {"INT8"}:
            continue
        step = float(source.quantization.scale[0])
        same = np.isclose(step, float(target.quantization.scale[0]), rtol=1e-5, atol=0)
        if not same or np.abs(value).max() > _GREATEST * step:
            continue
        own = copy.deepcopy(constant)  # others may add the same constant to another map
        own.quantization.scale = np.array([step], np.float32)
        own.quantization.zeroPoint = np.array([0], np.int64)
        buffer = copy.copy(quantized.buffers[constant.buffer])
        buffer.data = np.round(value / step).astype(np.int8).reshape(-1).view(np.uint8)
        own.buffer = len(quantized.buffers)
        quantized.buffers.append(buffer)
        operator.inputs = operator.inputs.copy()
        operator.inputs[list(operator.inputs).index(index)] = len(subgraph.tensors)
        subgraph.tensors.append(own)


def _additions(model: Model) -> Iterator[tuple[Any, int]]:
    """Additions of a constant without a function behind, with the index of the constant."""
    subgraph = model.subgraphs[0]
    for operator in subgraph.operators:
        if operator_name(model, operator) != "ADD":
            continue
        if operator.builtinOptions.fusedActivationFunction != 0:
            continue
        constants = [
            int(index)
            for index in operator.inputs
            if constant_value(model, subgraph.tensors[index]) is not None
        ]
        if len(constants) == 1:
            yield operator, constants[0]


def _other(operator: Any, constant: int) -> int:
    return next(int(index) for index in operator.inputs if int(index) != constant)
