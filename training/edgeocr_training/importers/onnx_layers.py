"""The layers with weights of an ONNX graph, in the order in which it computes them.

Exporters write a layer in many ways: weights as initializers or as Constant nodes, a bias in
the convolution or added after it through a Reshape, batch normalisation as a node or folded
into the weights. Here each layer is one record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxLinear:
    """A product with a matrix, and the bias added to it."""

    name: str
    """Of the weights in the file."""
    weight: NDArray[np.float32]
    """(out, in)."""
    bias: NDArray[np.float32]
    """(out,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxLstm:
    """One layer of an LSTM, forward and backward; gates as PyTorch orders them: i, f, g, o."""

    name: str
    """Of the node in the file."""
    input_weight: NDArray[np.float32]
    """(2, 4 hidden, in)."""
    hidden_weight: NDArray[np.float32]
    """(2, 4 hidden, hidden)."""
    input_bias: NDArray[np.float32]
    """(2, 4 hidden)."""
    hidden_bias: NDArray[np.float32]
    """(2, 4 hidden)."""


def read_layers(path: Path) -> tuple[OnnxLayer, ...]:
    """Every convolution of an ONNX file.

    Raises:
        CheckpointError: the file is missing, is no ONNX model, or has weights that are computed.
    """
    graph = _load(path).graph
    constants = _constants(graph)
    readers = _readers(graph)

    def constant(name: str) -> NDArray[np.float32]:
        if name not in constants:
            raise CheckpointError(f"{path}: the weights {name!r} are no constants")
        return np.array(constants[name], np.float32)

    layers = []
    for node in graph.node:
        if node.op_type not in _CONVOLUTIONS:
            continue
        weight = constant(node.input[1])
        channels = weight.shape[0] if node.op_type == "Conv" else weight.shape[1]
        bias = constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        output = node.output[0]
        if bias is None:
            bias, output = _added(output, channels, constants, readers)
        normalised = _sole_reader(readers, output, "BatchNormalization")
        norm = None
        if normalised is not None:
            scale, shift, mean, variance = map(constant, normalised.input[1:5])
            epsilon = next((a.f for a in normalised.attribute if a.name == "epsilon"), 1e-5)
            norm = OnnxNorm(scale=scale, shift=shift, mean=mean, variance=variance, epsilon=epsilon)
        layers.append(
            OnnxLayer(name=node.input[1], kind=node.op_type, weight=weight, bias=bias, norm=norm)
        )
    return tuple(layers)


def read_linears(path: Path) -> tuple[OnnxLinear, ...]:
    """Every product with a constant matrix of an ONNX file.

    Raises:
        CheckpointError: the file is missing or is no ONNX model.
    """
    graph = _load(path).graph
    constants = _constants(graph)
    readers = _readers(graph)
    layers = []
    for node in graph.node:
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in constants:
            continue
        matrix = np.array(constants[node.input[1]], np.float32)
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        weight = matrix if transposed else np.ascontiguousarray(matrix.T)
        bias: NDArray[np.float32]
        if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2] in constants:
            bias = np.array(constants[node.input[2]], np.float32)
        else:
            added, _ = _added(node.output[0], len(weight), constants, readers)
            bias = np.zeros(len(weight), np.float32) if added is None else added
        layers.append(OnnxLinear(name=node.input[1], weight=weight, bias=bias))
    return tuple(layers)


def read_lstms(path: Path) -> tuple[OnnxLstm, ...]:
    """Every layer of LSTM of an ONNX file.

    Raises:
        CheckpointError: the file is missing, is no ONNX model, or has an LSTM that reads in one
            direction, or whose weights depend on the image.
    """
    model = _load(path)
    layers = []
    for node in model.graph.node:
        if node.op_type != "LSTM":
            continue
        direction = next((a.s for a in node.attribute if a.name == "direction"), b"forward")
        if direction != b"bidirectional":
            raise CheckpointError(f"{path}: the LSTM {node.name!r} reads {direction.decode()} only")
        input_weight, hidden_weight, biases = _computed(model, node.input[1:4], path)
        input_bias, hidden_bias = np.split(biases, 2, axis=1)
        layers.append(
            OnnxLstm(
                name=node.name or node.input[1],
                input_weight=_as_pytorch_orders(input_weight),
                hidden_weight=_as_pytorch_orders(hidden_weight),
                input_bias=_as_pytorch_orders(input_bias),
                hidden_bias=_as_pytorch_orders(hidden_bias),
            )
        )
    return tuple(layers)


def _as_pytorch_orders(gates: NDArray[np.float32]) -> NDArray[np.float32]:
    """ONNX has the gates of axis 1 in the order i, o, f, g."""
    i, o, f, g = np.split(gates, 4, axis=1)
    return np.concatenate((i, f, g, o), axis=1)


def _computed(
    model: onnx.ModelProto, names: Sequence[str], path: Path
) -> list[NDArray[np.float32]]:
    """Values that the graph makes of its constants alone, as exporters slice and join weights."""
    constants = _constants(model.graph)
    producers = {name: node for node in model.graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []

    def visit(name: str) -> None:
        if name in constants or not name:
            return
        if name not in producers:
            raise CheckpointError(f"{path}: the weights {name!r} are no constants")
        node = producers[name]
        if node not in nodes:
            for source in node.input:
                visit(source)
            nodes.append(node)

    for name in names:
        visit(name)
    used = {name for node in nodes for name in node.input} | set(names)
    graph = onnx.helper.make_graph(
        nodes,
        "weights",
        [],
        [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names],
        [numpy_helper.from_array(value, n) for n, value in constants.items() if n in used],
    )
    weights = onnx.helper.make_model(graph, opset_imports=model.opset_import)
    values = ReferenceEvaluator(weights).run(None, {})
    return [np.asarray(value, np.float32) for value in values]


def _load(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(str(path))
    except Exception as error:  # protobuf's errors share no base class but this
        raise CheckpointError(f"{path} is not an ONNX model that can be read: {error}") from error


def _constants(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    constants: dict[str, NDArray[Any]] = {
        item.name: numpy_helper.to_array(item) for item in graph.initializer
    }
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type in ("Reshape", "Identity") and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]  # of a bias the size is enough
    return constants


def _readers(graph: onnx.GraphProto) -> Mapping[str, Sequence[onnx.NodeProto]]:
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    return readers


def _sole_reader(
    readers: Mapping[str, Sequence[onnx.NodeProto]], name: str, op_type: str
) -> onnx.NodeProto | None:
    nodes = readers.get(name, ())
    return nodes[0] if len(nodes) == 1 and nodes[0].op_type == op_type else None


def _added(
    output: str,
    channels: int,
    constants: Mapping[str, NDArray[Any]],
    readers: Mapping[str, Sequence[onnx.NodeProto]],
) -> tuple[NDArray[np.float32] | None, str]:
    """The bias that a node adds to an output, if one does, and the name of the sum."""
    added = _sole_reader(readers, output, "Add")
    if added is not None:
        other = added.input[1] if added.input[0] == output else added.input[0]
        if other in constants and constants[other].size == channels:
            return np.array(constants[other], np.float32).reshape(-1), added.output[0]
    return None, output
