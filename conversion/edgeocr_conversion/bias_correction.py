"""Takes back what quantization adds to the mean of a layer's output.

Rounding errors of weights and of earlier layers don't average out: every output channel of a
layer ends up somewhat higher or lower than it was in float, and what reads it moves further. The
mean of that error over calibration data is subtracted from the bias, which costs the device
nothing (Nagel et al. 2019, 1906.04721, section 4.2, in the empirical form of its appendix D):

    b_c  <-  b_c - (E[q_c] - E[clip(y_c)])

q_c being channel c of the quantized layer's output, y_c of the float one's. Ranges are narrower
than tensors on purpose where a hard-swish or a sigmoid is all that reads them: what is cut off
there is no error, so the float output is cut to the same range.

Layers are corrected in the order in which they run. Each is measured behind all that were
corrected before it; measured together, the error of the first would be taken back in all.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeocr_conversion.flatbuffer import (
    Model,
    constant_value,
    operator_name,
    read_model,
    serialise_model,
    type_name,
)
from edgeocr_conversion.interpreter import as_input, plain_interpreter
from edgeocr_conversion.weight_rounding import LAYERS

Shifts = Mapping[str, NDArray[np.float64]]
"""(channels,) that are added to a layer's bias, in real values, by the name of its output."""


def bias_shifts(model: Path, quantized: Model, samples: Sequence[NDArray[np.float32]]) -> Shifts:
    """What the biases of a quantized model lack.

    Args:
        model: float, with one signature.
        quantized: its INT8 form; it is not changed.
        samples: inputs of the float model, (1, height, width, channels) each, of sizes that the
            model can be resized to.

    Returns:
        A shift for every layer with an integer bias.
    """
    corrected = copy.deepcopy(quantized)
    subgraph = corrected.subgraphs[0]
    layers = _integer_layers(corrected)
    wanted = _channel_means(
        read_model(model),
        model.read_bytes(),
        samples,
        {name: _limits(subgraph.tensors[operator.outputs[0]]) for name, operator in layers.items()},
    )
    shifts: dict[str, NDArray[np.float64]] = {}
    for name, operator in layers.items():
        found = _channel_means(
            corrected, serialise_model(_until(corrected, operator)), samples, {name: None}
        )
        shifts[name] = wanted[name] - found[name]
        _shift(corrected, operator, shifts[name])
    return shifts


def shift_biases(quantized: Model, shifts: Shifts) -> None:
    """Adds shifts to the biases of a quantized model, in place.

    The model may be another one than they were measured with: of the same layers, for inputs of
    another size.
    """
    for name, operator in _integer_layers(quantized).items():
        _shift(quantized, operator, shifts[name])


def _integer_layers(quantized: Model) -> dict[str, Any]:
    """Operators with an INT32 bias by the name of their output, in the order in which they run."""
    subgraph = quantized.subgraphs[0]
    return {
        subgraph.tensors[operator.outputs[0]].name.decode(): operator
        for operator in subgraph.operators
        if operator_name(quantized, operator) in LAYERS
        and len(operator.inputs) > 2
        and operator.inputs[2] >= 0
        and type_name(subgraph.tensors[operator.inputs[2]]) == "INT32"
    }


def _limits(tensor: Any) -> tuple[float, float]:
    """Smallest and greatest value of an INT8 tensor."""
    scale, zero_point = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    return (-128 - zero_point) * scale, (127 - zero_point) * scale


def _until(model: Model, last: Any) -> Model:
    """The model up to one of its operators, whose output it returns."""
    subgraph = copy.copy(model.subgraphs[0])
    position = next(i for i, operator in enumerate(subgraph.operators) if operator is last)
    subgraph.operators = subgraph.operators[: position + 1]
    subgraph.outputs = last.outputs
    beginning = copy.copy(model)
    beginning.subgraphs = [subgraph]
    beginning.signatureDefs = []
    return beginning


def _channel_means(
    model: Model,
    content: bytes,
    samples: Sequence[NDArray[np.float32]],
    limits: Mapping[str, tuple[float, float] | None],
) -> dict[str, NDArray[np.float64]]:
    """(channels,) means of tensors in real values, over all positions of all samples.

    Args:
        model: tree that says which tensors there are.
        content: file of the same model, or of its beginning.
        samples: inputs in real values.
        limits: tensors by name, with what their values are cut to.
    """
    tensors = {
        tensor.name.decode(): (index, tensor)
        for index, tensor in enumerate(model.subgraphs[0].tensors)
        if tensor.name.decode() in limits
    }
    interpreter = plain_interpreter(content)
    entry = interpreter.get_input_details()[0]
    sums = dict.fromkeys(limits, np.zeros(1))
    counts = dict.fromkeys(limits, 0)
    shape: tuple[int, ...] | None = None
    for sample in sorted(samples, key=lambda sample: sample.shape):
        if sample.shape != shape:
            shape = sample.shape
            interpreter.resize_tensor_input(entry["index"], shape)
            interpreter.allocate_tensors()
        interpreter.reset_all_variables()
        interpreter.set_tensor(entry["index"], as_input(sample, entry))
        interpreter.invoke()
        for name, (index, _) in tensors.items():
            output = interpreter.get_tensor(index)
            values = output.reshape(-1, output.shape[-1])
            cut = limits[name]
            if cut is not None:
                values = np.clip(values, *cut)
            sums[name] = sums[name] + values.sum(axis=0, dtype=np.float64)
            counts[name] += len(values)
    means = {name: sums[name] / counts[name] for name in limits}
    for name, (_, tensor) in tensors.items():
        if type_name(tensor) == "INT8":
            quantization = tensor.quantization
            means[name] = (means[name] - int(quantization.zeroPoint[0])) * float(
                quantization.scale[0]
            )
    return means


def _shift(model: Model, operator: Any, shift: NDArray[np.float64]) -> None:
    bias = _own_bias(model, operator)
    steps = constant_value(model, bias)
    assert steps is not None  # biases are constants
    scales = np.asarray(bias.quantization.scale, dtype=np.float64)
    moved = np.clip(steps + np.round(shift / scales), -(2**31), 2**31 - 1).astype(np.int32)
    model.buffers[bias.buffer].data = np.frombuffer(moved.tobytes(), np.uint8)


def _own_bias(model: Model, operator: Any) -> Any:
    """The bias tensor of a layer, after it was made one that no other layer has."""
    subgraph = model.subgraphs[0]
    index = int(operator.inputs[2])
    bias = subgraph.tensors[index]
    if sum(int((other.inputs == index).sum()) for other in subgraph.operators) > 1:
        bias = copy.copy(bias)
        operator.inputs = operator.inputs.copy()
        operator.inputs[2] = len(subgraph.tensors)
        subgraph.tensors.append(bias)
    if sum(tensor.buffer == bias.buffer for tensor in subgraph.tensors) > 1:
        buffer = copy.copy(model.buffers[bias.buffer])
        bias.buffer = len(model.buffers)
        model.buffers.append(buffer)
    return bias
