"""Scaled channels compute what they did, in ONNX Runtime, with ranges nearer to each other."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from edgeocr_conversion.equalisation import channel_ranges, equalise_channels, imbalanced_gates
from edgeocr_conversion.onnx_graph import Graph

MakeGraph = Callable[..., Graph]
RunGraph = Callable[[Graph, NDArray[np.float32]], NDArray[np.float32]]

CHANNELS = 6
TOLERANCE = 1e-4
"""Of outputs around 10: factors of up to 32 are taken away and given back in float32."""

node = helper.make_node


def _images(count: int = 4) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(2)
    return [rng.normal(size=(1, 8, 8, 3)).astype(np.float32) for _ in range(count)]


def _weights(*shape: int, seed: int) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).normal(size=shape)
    return np.asarray(values / np.sqrt(np.prod(shape[1:])), np.float32)


def _uneven() -> NDArray[np.float32]:
    """A 1x1 convolution whose channels reach from a tenth to twenty times the usual."""
    spread = np.array([0.1, 0.5, 1, 1, 4, 20], np.float32)
    return _weights(CHANNELS, 3, 1, 1, seed=0) * spread.reshape(-1, 1, 1, 1)


def _behind(*readers: onnx.NodeProto, gate: str) -> list[onnx.NodeProto]:
    """An uneven convolution, a gate of the kind named, and the readers of its result "e"."""
    nodes = [node("Conv", ["x", "uneven", "bias"], ["a"])]
    if gate == "hard-swish":
        nodes += [
            node("Add", ["a", "three"], ["c"]),
            node("Clip", ["c", "zero", "six"], ["d"]),
            node("Mul", ["a", "d"], ["e"]),
        ]
    elif gate == "swish":
        nodes += [node("Sigmoid", ["a"], ["d"]), node("Mul", ["a", "d"], ["e"])]
    else:
        nodes += [node("Relu", ["a"], ["e"])]
    return [*nodes, *readers]


def _constants() -> dict[str, NDArray[Any]]:
    return {
        "uneven": _uneven(),
        "bias": np.linspace(-0.5, 0.5, CHANNELS, dtype=np.float32),
        "three": np.array([3], np.float32),
        "zero": np.array([0], np.float32),
        "six": np.array([6], np.float32),
        "shift": np.array([0.25], np.float32),
        "dense": _weights(4, CHANNELS, 3, 3, seed=1),
        "depthwise": _weights(CHANNELS, 1, 3, 3, seed=2),
        "grouped": _weights(CHANNELS, CHANNELS // 2, 1, 1, seed=3),
    }


DENSE = node("Conv", ["e", "dense"], ["y"], pads=[1, 1, 1, 1])
DEPTHWISE = node("Conv", ["e", "depthwise"], ["y"], group=CHANNELS, pads=[1, 1, 1, 1])
GROUPED = node("Conv", ["e", "grouped"], ["y"], group=2)


def _equalised(graph: Graph, run_graph: RunGraph, gates: frozenset[str] | None = None) -> Graph:
    """A copy with equal channels, held against the graph as it was."""
    ranges = channel_ranges(graph, _images())
    chosen = imbalanced_gates(graph, ranges, ratio=1.4) if gates is None else gates
    equal = copy.deepcopy(graph)
    equalise_channels(equal, ranges, split_gates=chosen)
    equal.sort()
    for image in _images():
        image_BCHW = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
        np.testing.assert_allclose(
            run_graph(equal, image_BCHW), run_graph(graph, image_BCHW), atol=TOLERANCE
        )
    return equal


def _imbalance(graph: Graph, name: str) -> float:
    """The widest channel over the median one."""
    reach = channel_ranges(graph, _images())[name].max(axis=0)
    return float(reach.max() / np.median(reach))


def test_ranges_are_those_of_single_channels(make_graph: MakeGraph) -> None:
    weights = np.zeros((2, 3, 1, 1), np.float32)
    weights[0, 0] = 1
    weights[1, 1] = -10
    graph = make_graph([node("Conv", ["x", "w"], ["y"])], {"w": weights})
    image = np.zeros((1, 8, 8, 3), np.float32)
    image[..., 0] = 2
    image[..., 1] = np.linspace(-1, 3, 8)
    small = np.full((1, 4, 20, 3), -5, np.float32)  # cut off to the right, filled up below
    ranges = channel_ranges(graph, [image, small])
    np.testing.assert_allclose(ranges["y"], [[5, 30], [2, 50]], rtol=1e-3)


@pytest.mark.parametrize("reader", [DENSE, DEPTHWISE], ids=["dense", "depthwise"])
def test_channels_between_convolutions_become_equal(
    make_graph: MakeGraph, run_graph: RunGraph, reader: onnx.NodeProto
) -> None:
    first = node("Conv", ["x", "uneven", "bias"], ["e"])
    graph = make_graph([first, reader], _constants())
    assert _imbalance(graph, "e") > 10
    assert _imbalance(_equalised(graph, run_graph), "e") == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("gate", ["hard-swish", "swish"])
@pytest.mark.parametrize("reader", [DENSE, DEPTHWISE], ids=["dense", "depthwise"])
@pytest.mark.parametrize("shifted", [False, True])
def test_gates_are_split_between_product_and_gate(
    make_graph: MakeGraph,
    run_graph: RunGraph,
    gate: str,
    reader: onnx.NodeProto,
    shifted: bool,
) -> None:
    nodes = _behind(reader, gate=gate)
    if shifted:
        nodes[-2].output[0] = "product"
        nodes.insert(-1, node("Add", ["product", "shift"], ["e"]))
    graph = make_graph(nodes, _constants())
    equal = _equalised(graph, run_graph)
    first, second = (each for each in equal.nodes if each.input[0] == "x")
    assert {first.output[0], second.output[0]} > {"a"}, "the gate keeps its argument"
    (scaled,) = {first.output[0], second.output[0]} - {"a"}
    assert _imbalance(graph, "a") > 5
    # A gate moves within 3, so that channels of 3 and less need no scale of their own.
    assert _imbalance(equal, scaled) < 2


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        (_behind(DENSE, gate="relu"), "a rectifier is no gate"),
        (_behind(GROUPED, gate="hard-swish"), "groups would need the factors sorted"),
        (
            _behind(node("GlobalMaxPool", ["e"], ["y"]), gate="hard-swish"),
            "what reads the product must take the factor",
        ),
        (_behind(node("Add", ["e", "a"], ["y"]), gate="swish"), "another reads the argument"),
    ],
    ids=["relu", "grouped", "pool", "skip"],
)
def test_other_channels_stay(
    make_graph: MakeGraph, run_graph: RunGraph, nodes: list[onnx.NodeProto], why: str
) -> None:
    graph = make_graph(nodes, _constants())
    equal = _equalised(graph, run_graph)
    assert len(equal.nodes) == len(graph.nodes), why
    assert set(equal.constants) == set(graph.constants), why


def test_gates_that_are_not_named_stay(make_graph: MakeGraph, run_graph: RunGraph) -> None:
    graph = make_graph(_behind(DENSE, gate="swish"), _constants())
    assert len(_equalised(graph, run_graph, frozenset()).nodes) == len(graph.nodes)


def test_gates_are_named_by_how_uneven_their_channels_are(make_graph: MakeGraph) -> None:
    graph = make_graph(_behind(DENSE, gate="hard-swish"), _constants())
    ranges = channel_ranges(graph, _images())
    assert imbalanced_gates(graph, ranges, ratio=1.4) == {"a"}
    assert imbalanced_gates(graph, ranges, ratio=1000) == frozenset()
    plain = make_graph(_behind(DENSE, gate="relu"), _constants())
    assert imbalanced_gates(plain, channel_ranges(plain, _images()), ratio=1.4) == frozenset()
