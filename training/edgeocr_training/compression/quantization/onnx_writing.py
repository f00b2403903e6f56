"""A device graph as float ONNX, for the converter and for every other engine.

Every operation's tensor has its own name, under which :class:`.RangeTable` has its scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgeocr_training.compression.quantization.device_graph import (
    Add,
    Concatenation,
    Convolution,
    DepthToSpace,
    DeviceGraph,
    Image,
    Maximum,
    Mean,
    Multiply,
    OpenGate,
    Operation,
    Recurrence,
    Repeat,
    Sigmoid,
)

OPSET: Final = 18


def onnx_model(graph: DeviceGraph) -> onnx.ModelProto:
    """A model from "x" (1, 3, H, W) to the graph's output, for images of any size that fits.

    Weights are those that were trained, not yet rounded.
    """
    constants: dict[str, NDArray[Any]] = {
        "three": np.array([3], np.float32),
        "zero": np.array(0, np.float32),
        "six": np.array(6, np.float32),
    }
    nodes: list[onnx.NodeProto] = []
    for operation in graph.operations:
        if not isinstance(operation, Image):
            nodes += _nodes(operation, constants)
    nodes += _layout(graph, constants)
    read = {name for node in nodes for name in node.input}
    value = helper.make_tensor_value_info
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "edgeocr",
            [value(graph.image.name, onnx.TensorProto.FLOAT, [1, 3, "height", "width"])],
            [value(graph.output_name, onnx.TensorProto.FLOAT, _output_shape(graph))],
            [numpy_helper.from_array(a, name) for name, a in constants.items() if name in read],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _output_shape(graph: DeviceGraph) -> list[int | str]:
    channels = graph.output.weights_OIHW.shape[0] if isinstance(graph.output, Convolution) else 1
    match graph.layout:
        case "map":
            return [1, 1, "map_height", "map_width"]
        case "sequence":
            return [1, "steps", channels]
        case "vector":
            return [1, channels]


def _layout(graph: DeviceGraph, constants: dict[str, NDArray[Any]]) -> Iterator[onnx.NodeProto]:
    last, output = graph.output.name, graph.output_name
    match graph.layout:
        case "map":
            yield helper.make_node("Identity", [last], [output])
        case "sequence":
            constants["rows"] = np.array([1], np.int64)
            # In this order the converter has nothing to transpose.
            yield helper.make_node("Transpose", [last], [f"{last}.last"], perm=[0, 2, 3, 1])
            yield helper.make_node("Squeeze", [f"{last}.last", "rows"], [output])
        case "vector":
            yield helper.make_node("Flatten", [last], [output])


def _nodes(operation: Operation, constants: dict[str, NDArray[Any]]) -> Iterator[onnx.NodeProto]:
    name, sources = operation.name, list(operation.sources)
    match operation:
        case Convolution():
            constants[f"{name}.weights"] = operation.weights_OIHW
            constants[f"{name}.bias"] = operation.bias_O
            rows, columns = operation.padding
            before = f"{name}.sum" if operation.relu else name
            yield helper.make_node(
                "Conv",
                [*sources, f"{name}.weights", f"{name}.bias"],
                [before],
                kernel_shape=operation.weights_OIHW.shape[2:],
                strides=operation.stride,
                pads=[rows, columns, rows, columns],
                group=len(operation.weights_OIHW) if operation.depthwise else 1,
            )
            if operation.relu:
                yield helper.make_node("Relu", [before], [name])
        case Add():
            before = f"{name}.sum" if operation.relu else name
            yield helper.make_node("Add", sources, [before])
            if operation.relu:
                yield helper.make_node("Relu", [before], [name])
        case OpenGate():
            yield helper.make_node("Add", [*sources, "three"], [f"{name}.shifted"])
            yield helper.make_node("Clip", [f"{name}.shifted", "zero", "six"], [name])
        case Multiply():
            yield helper.make_node("Mul", sources, [name])
        case Mean():
            yield helper.make_node("GlobalAveragePool", sources, [name])
        case Sigmoid():
            yield helper.make_node("Sigmoid", sources, [name])
        case Recurrence():
            yield from _lstm_nodes(operation, constants)
        case DepthToSpace():
            yield helper.make_node("DepthToSpace", sources, [name], blocksize=2, mode="DCR")
        case Repeat():
            factor = operation.factor
            constants[f"{name}.scales"] = np.array([1, 1, factor, factor], np.float32)
            yield helper.make_node(
                "Resize",
                [*sources, "", f"{name}.scales"],
                [name],
                mode="nearest",
                nearest_mode="floor",
                coordinate_transformation_mode="asymmetric",
            )
        case Maximum():
            yield helper.make_node(
                "MaxPool", sources, [name], kernel_shape=operation.kernel, strides=operation.kernel
            )
        case Concatenation():
            yield helper.make_node("Concat", sources, [name], axis=1)
        case _:
            raise AssertionError(f"no ONNX for {type(operation).__name__}")


def _lstm_nodes(
    operation: Recurrence, constants: dict[str, NDArray[Any]]
) -> Iterator[onnx.NodeProto]:
    name, lstm = operation.name, operation.lstm
    hidden, directions = lstm.hidden_size, 2 if lstm.bidirectional else 1
    # In this order the converter has nothing to transpose: a map's channels are last in TFLite.
    constants[f"{name}.as_steps"] = np.array([-1, 1, lstm.input_size], np.int64)
    constants[f"{name}.together"] = np.array([0, 0, directions * hidden], np.int64)
    constants[f"{name}.as_map"] = np.array([1, 1, -1, directions * hidden], np.int64)
    columns = f"{name}.columns"
    yield helper.make_node("Transpose", operation.sources, [columns], perm=[0, 2, 3, 1])
    yield helper.make_node("Reshape", [columns, f"{name}.as_steps"], [f"{name}.steps"])
    before = f"{name}.steps"
    for layer in range(lstm.num_layers):
        suffixes = [f"_l{layer}", f"_l{layer}_reverse"][:directions]
        here = f"{name}.{layer}"
        for key, kind in (("input", "weight_ih"), ("recurrent", "weight_hh")):
            constants[f"{here}.{key}"] = np.stack(
                [_by_gate(getattr(lstm, kind + suffix)) for suffix in suffixes]
            )
        constants[f"{here}.bias"] = np.stack(
            [
                np.concatenate([_by_gate(getattr(lstm, kind + suffix)) for kind in _BIASES])
                for suffix in suffixes
            ]
        )
        yield helper.make_node(
            "LSTM",
            [before, *(f"{here}.{key}" for key in ("input", "recurrent", "bias"))],
            [f"{here}.both"],
            hidden_size=hidden,
            direction="bidirectional" if directions == 2 else "forward",
        )
        # (T, directions, 1, H) to (T, 1, directions H).
        yield helper.make_node("Transpose", [f"{here}.both"], [f"{here}.side"], perm=[0, 2, 1, 3])
        yield helper.make_node("Reshape", [f"{here}.side", f"{name}.together"], [f"{here}.joined"])
        before = f"{here}.joined"
    yield helper.make_node("Reshape", [before, f"{name}.as_map"], [f"{name}.last"])
    yield helper.make_node("Transpose", [f"{name}.last"], [name], perm=[0, 3, 1, 2])


_BIASES: Final = ("bias_ih", "bias_hh")


def _by_gate(parameter: torch.Tensor) -> NDArray[np.float32]:
    """PyTorch has input, forget, cell and output gate, ONNX input, output, forget and cell."""
    gates: list[NDArray[np.float32]] = np.split(parameter.detach().numpy(), 4)
    return np.concatenate([gates[0], gates[3], gates[1], gates[2]])
