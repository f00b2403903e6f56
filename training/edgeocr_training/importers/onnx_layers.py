"""The layers with weights of an ONNX graph, in the order in which it computes them.

Exporters write a layer in many ways: weights as initializers or as Constant nodes, a bias in
the convolution or added after it through a Reshape, batch normalisation as a node or folded
into the weights. Here each layer is one record.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgeocr_training.errors import CheckpointError

_CONVOLUTIONS: Final = ("Conv", "ConvTranspose")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxNorm:
    """scale (x - mean) / sqrt(variance + epsilon) + shift, each of shape (C,) float32."""

    scale: NDArray[np.float32]
    shift: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    epsilon: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxLayer:
    """A convolution, its bias and the batch normalisation after it."""

    name: str
    """Of the weights in the file."""
    kind: Literal["Conv", "ConvTranspose"]
    weight: NDArray[np.float32]
    """(out, in / groups, kh, kw); of a ConvTranspose (in, out, kh, kw)."""
    bias: NDArray[np.float32] | None
    """(out,)."""
    norm: OnnxNorm | None


def read_layers(path: Path) -> tuple[OnnxLayer, ...]:
    """Every convolution of an ONNX file.

    Raises:
        CheckpointError: the file is missing, is no ONNX model, or has weights that are computed.
    """
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # protobuf's errors share no base class but this
        raise CheckpointError(f"{path} is not an ONNX model that can be read: {error}") from error
    constants: dict[str, NDArray[Any]] = {
        item.name: numpy_helper.to_array(item) for item in graph.initializer
    }
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type in ("Reshape", "Identity") and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]  # of a bias the size is enough
        for name in node.input:
            readers[name].append(node)

    def constant(name: str) -> NDArray[np.float32]:
        if name not in constants:
            raise CheckpointError(f"{path}: the weights {name!r} are no constants")
        return np.array(constants[name], np.float32)

    def sole_reader(name: str, op_type: str) -> onnx.NodeProto | None:
        nodes = readers[name]
        return nodes[0] if len(nodes) == 1 and nodes[0].op_type == op_type else None

    layers = []
    for node in graph.node:
        if node.op_type not in _CONVOLUTIONS:
            continue
        weight = constant(node.input[1])
        channels = weight.shape[0] if node.op_type == "Conv" else weight.shape[1]
        bias = constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        output = node.output[0]
        added = sole_reader(output, "Add")
        if bias is None and added is not None:
            other = added.input[1] if added.input[0] == output else added.input[0]
            if other in constants and constants[other].size == channels:
                bias, output = constant(other).reshape(-1), added.output[0]
        normalised = sole_reader(output, "BatchNormalization")
        norm = None
        if normalised is not None:
            scale, shift, mean, variance = map(constant, normalised.input[1:5])
            epsilon = next((a.f for a in normalised.attribute if a.name == "epsilon"), 1e-5)
            norm = OnnxNorm(scale=scale, shift=shift, mean=mean, variance=variance, epsilon=epsilon)
        layers.append(
            OnnxLayer(name=node.input[1], kind=node.op_type, weight=weight, bias=bias, norm=norm)
        )
    return tuple(layers)
