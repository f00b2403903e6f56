"""Gives the channels of a feature map equal ranges before they share one INT8 scale.

An activation tensor has a single scale. Where one channel reaches 88 and another 2, the small
one is left with 6 of 255 steps. Channels can be scaled for nothing where linear layers follow
each other (Nagel et al. 2019, 1906.04721, section 4.1): y = W2 (W1 x) = (W2 R)(R^-1 W1 x).

Hard-swish and swish stand in the way, since they don't scale. But they are a product of the
argument and of a gate, f(x) = x g(x), and only the gate needs the true argument:

    f(x)_c = r_c * (x_c / r_c) * g(x_c).

So the convolution is done twice, once scaled for the product, once as it was for the gate,
whose own range is [0, 6] or (0, 1) whatever the channel. The factor r_c goes into the layers
that read the product. The second convolution takes the place of an addition and is small in
the first, widest maps, where the imbalance is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edgeocr_conversion.onnx_graph import Array, Graph, attribute

_PERCENTILE: Final = 99.99
_LIMIT: Final = 32.0
"""Largest factor between a channel's range and the median's."""
_GATE_SPAN: Final = 3.0
"""A gate moves within +-3: a channel that stays inside needs no finer scale than that."""


def channel_ranges(
    graph: Graph, samples: Iterable[NDArray[np.float32]]
) -> dict[str, NDArray[np.float64]]:
    """What each channel of each convolution's output reaches on calibration data.

    Args:
        graph: rewritten, float.
        samples: (1, height, width, 3) as the network takes them, of any size: what goes
            beyond that of the graph is cut off.

    Returns:
        (2, channels) by tensor name: the 99.99th percentiles of the negative and of the
        positive side, as absolute values.
    """
    import onnxruntime  # type: ignore[import-untyped]

    names = [node.output[0] for node in graph.of_type("Conv")]
    session = onnxruntime.InferenceSession(
        graph.to_model(extra_outputs=names).SerializeToString(),
        providers=["CPUExecutionProvider"],
    )
    ranges: dict[str, NDArray[np.float64]] = {}
    for sample in samples:
        image_BCHW = np.zeros(graph.input_shape, dtype=np.float32)
        rows = min(sample.shape[1], image_BCHW.shape[2])
        columns = min(sample.shape[2], image_BCHW.shape[3])
        image_BCHW[:, :, :rows, :columns] = sample[:, :rows, :columns].transpose(0, 3, 1, 2)
        outputs = session.run(names, {graph.input_name: image_BCHW})
        for name, output in zip(names, outputs, strict=True):
            flat = output.reshape(output.shape[1], -1)
            low, high = np.percentile(flat, [100 - _PERCENTILE, _PERCENTILE], axis=1)
            seen = np.stack([np.maximum(-low, 0), np.maximum(high, 0)])
            ranges[name] = np.maximum(ranges[name], seen) if name in ranges else seen
    return ranges


def equalise_channels(
    graph: Graph, ranges: Mapping[str, NDArray[np.float64]], *, split_gates: frozenset[str]
) -> None:
    """Scales channels wherever it is free, and across the gates that are named.

    Args:
        graph: rewritten, float; changed in place without changing its function.
        ranges: from :func:`channel_ranges`.
        split_gates: convolutions, by output tensor, whose hard-swish or swish is split.
    """
    for node in graph.of_type("Conv"):
        name = node.output[0]
        if name not in ranges or name == graph.output_name:
            continue
        readers = graph.consumers(name)
        if readers and all(_reads_linearly(graph, reader, name) for reader in readers):
            factors = _factors(ranges[name].max(axis=0))
            _scale_outputs(graph, node, 1 / factors)
            for reader in readers:
                _scale_inputs(graph, reader, factors)
        elif name in split_gates:
            _split_gate(graph, node, ranges[name])


def imbalanced_gates(
    graph: Graph, ranges: Mapping[str, NDArray[np.float64]], *, ratio: float, skip: int = 0
) -> frozenset[str]:
    """Convolutions before a gate whose widest channel is ``ratio`` times the median one.

    The first ``skip`` convolutions are left out: they stay float.
    """
    chosen = set()
    for node in list(graph.of_type("Conv"))[skip:]:
        name = node.output[0]
        if name in ranges and _gated_product(graph, name) is not None:
            reach = np.maximum(ranges[name][1], _GATE_SPAN)
            if reach.max() >= ratio * np.median(reach):
                chosen.add(name)
    return frozenset(chosen)


def _factors(reach: NDArray[np.float64]) -> NDArray[np.float64]:
    typical = float(np.median(reach)) or 1.0
    return np.clip(reach / typical, 1 / _LIMIT, _LIMIT)


def _reads_linearly(graph: Graph, node: onnx.NodeProto, name: str) -> bool:
    """Whether a node is a convolution of the tensor, dense or with a filter per channel."""
    if node.op_type != "Conv" or node.input[0] != name or node.input[1] not in graph.constants:
        return False
    return attribute(node, "group", 1) in (1, graph.constants[node.input[1]].shape[0])


def _scale_outputs(graph: Graph, node: onnx.NodeProto, factors: NDArray[np.float64]) -> None:
    weights = graph.constants[node.input[1]]
    node.input[1] = graph.constant(_float(weights * factors.reshape(-1, 1, 1, 1)), "weights")
    if len(node.input) > 2:
        node.input[2] = graph.constant(_float(graph.constants[node.input[2]] * factors), "bias")


def _scale_inputs(graph: Graph, node: onnx.NodeProto, factors: NDArray[np.float64]) -> None:
    weights = graph.constants[node.input[1]]
    depthwise = attribute(node, "group", 1) > 1
    shape = (-1, 1, 1, 1) if depthwise else (1, -1, 1, 1)
    node.input[1] = graph.constant(_float(weights * factors.reshape(shape)), "weights")


def _gated_product(graph: Graph, name: str) -> tuple[onnx.NodeProto, list[onnx.NodeProto]] | None:
    """The product x * g(x) behind a convolution, and the nodes of g, if nothing else reads x."""
    readers = graph.consumers(name)
    product = next((node for node in readers if node.op_type == "Mul"), None)
    first = next((node for node in readers if node is not product), None)
    if len(readers) != 2 or product is None or first is None:
        return None
    gate = [first]
    while gate[-1].output[0] not in product.input:
        following = graph.sole_consumer(gate[-1].output[0])
        if following is None or len(gate) > 2:
            return None
        gate.append(following)
    kinds = tuple(node.op_type for node in gate)
    return (product, gate) if kinds in (("Add", "Clip"), ("Sigmoid",)) else None


def _split_gate(graph: Graph, node: onnx.NodeProto, reach: NDArray[np.float64]) -> None:
    found = _gated_product(graph, node.output[0])
    if found is None:
        return
    product, _ = found
    # What reads the product must take the factor: convolutions, behind an addition at most.
    last = product.output[0]
    shift = graph.sole_consumer(last)
    split = graph.split_constant(shift) if shift is not None and shift.op_type == "Add" else None
    if split is not None and shift is not None:
        last = shift.output[0]
    readers = graph.consumers(last)
    if not readers or last == graph.output_name:
        return
    if not all(_reads_linearly(graph, reader, last) for reader in readers):
        return
    factors = _factors(np.maximum(reach[1], _GATE_SPAN))
    scaled = onnx.NodeProto()
    scaled.CopyFrom(node)
    scaled.name = ""
    scaled.output[0] = graph.name(f"{node.output[0]}_scaled")
    _scale_outputs(graph, scaled, 1 / factors)
    graph.replace(node, node, scaled)
    operands = [scaled.output[0] if name == node.output[0] else name for name in product.input]
    graph.replace(product, helper.make_node("Mul", operands, list(product.output)))
    if split is not None and shift is not None:
        value = graph.constants[split[1]].reshape(-1)
        constant = graph.constant(_float((value / factors).reshape(1, -1, 1, 1)), "shift")
        graph.replace(shift, helper.make_node("Add", [split[0], constant], list(shift.output)))
    for reader in readers:
        _scale_inputs(graph, reader, factors)


def _float(array: Array) -> NDArray[np.float32]:
    return np.asarray(array, dtype=np.float32)
