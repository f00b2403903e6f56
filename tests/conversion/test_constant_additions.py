"""Adding a constant to a map adds its integers, no more."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

from edgeocr_conversion.constant_additions import share_steps
from edgeocr_conversion.flatbuffer import Model, operator_name, read_model, serialise_model
from edgeocr_conversion.float_tflite import convert_to_float
from edgeocr_conversion.interpreter import as_input, plain_interpreter
from edgeocr_conversion.observation import Observation, observe
from edgeocr_conversion.onnx_graph import Graph
from edgeocr_conversion.quantization import activation_ranges, quantize
from edgeocr_conversion.ranges import Range
from edgeocr_conversion.rewrites import rewrite_for_xnnpack
from edgeocr_conversion.scheme import QuantizationScheme

MakeGraph = Callable[..., Graph]

SIDE = 16
SHARED = QuantizationScheme(shared_steps=True)
node = helper.make_node


def _images(count: int) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(1, SIDE, SIDE, 3)).astype(np.float32) for _ in range(count)]


@pytest.fixture(scope="module")
def float_model(make_graph: MakeGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convolution, hard-swish, a shift per channel, and a padded depthwise convolution."""
    rng = np.random.default_rng(5)
    constants = {
        "w1": (rng.normal(size=(8, 3, 3, 3)) / 3).astype(np.float32),
        "b1": rng.normal(size=8).astype(np.float32),
        "three": np.array([3], np.float32),
        "zero": np.array([0], np.float32),
        "six": np.array([6], np.float32),
        "shift": rng.normal(size=(1, 8, 1, 1)).astype(np.float32),
        "w2": (rng.normal(size=(8, 1, 3, 3)) / 3).astype(np.float32),
        "b2": rng.normal(size=8).astype(np.float32),
    }
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], pads=[1, 1, 1, 1]),
        node("Add", ["a", "three"], ["c"]),
        node("Clip", ["c", "zero", "six"], ["d"]),
        node("Mul", ["a", "d"], ["e"]),
        node("Add", ["e", "shift"], ["f"]),
        node("Conv", ["f", "w2", "b2"], ["y"], group=8, pads=[1, 1, 1, 1]),
    ]
    graph = make_graph(nodes, constants, height=SIDE, width=SIDE)
    rewrite_for_xnnpack(graph)
    return convert_to_float(graph, tmp_path_factory.mktemp("float") / "model.tflite")


@pytest.fixture(scope="module")
def observation(float_model: Path) -> Observation:
    return observe(float_model, _images(6))


def _shift(model: Model) -> tuple[int, int, int]:
    """Indices of the addition's input, constant and output."""
    subgraph = model.subgraphs[0]
    (operator,) = [
        operator
        for operator in subgraph.operators
        if operator_name(model, operator) == "ADD"
        and operator.builtinOptions.fusedActivationFunction == 0
    ]
    produced = {int(other.outputs[0]) for other in subgraph.operators}
    first, second = (int(index) for index in operator.inputs)
    source, constant = (first, second) if first in produced else (second, first)
    return source, constant, int(operator.outputs[0])


def test_the_addition_is_exact_in_integers(float_model: Path, observation: Observation) -> None:
    quantized = quantize(float_model, observation, SHARED)
    source, constant, target = _shift(quantized)
    interpreter = plain_interpreter(serialise_model(quantized), threads=1)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], as_input(_images(1)[0], entry))
    interpreter.invoke()
    steps = {index: interpreter.get_tensor(index).astype(int) for index in (source, target)}
    zeros = {
        index: int(quantized.subgraphs[0].tensors[index].quantization.zeroPoint[0])
        for index in (source, target)
    }
    moved = (
        steps[source]
        - zeros[source]
        + interpreter.get_tensor(constant).astype(int).reshape(-1)
        + zeros[target]
    )
    np.testing.assert_array_equal(steps[target], np.clip(moved, -128, 127))


def test_the_constant_lacks_at_most_half_a_step(
    float_model: Path, observation: Observation
) -> None:
    quantized, tree = quantize(float_model, observation, SHARED), read_model(float_model)
    _, constant, target = _shift(quantized)
    scale = float(quantized.subgraphs[0].tensors[target].quantization.scale[0])
    interpreters = [
        plain_interpreter(float_model, threads=1),
        plain_interpreter(serialise_model(quantized), threads=1),
    ]
    for interpreter in interpreters:
        interpreter.allocate_tensors()
    wanted = interpreters[0].get_tensor(_shift(tree)[1]).reshape(-1)
    found = interpreters[1].get_tensor(constant).reshape(-1).astype(np.float64) * scale
    assert np.abs(found - wanted).max() <= 0.5001 * scale  # half a step, in float32


def test_without_it_nothing_is_shared(float_model: Path, observation: Observation) -> None:
    tree = read_model(float_model)
    source, _, target = (tree.subgraphs[0].tensors[i].name.decode() for i in _shift(tree))
    apart = activation_ranges(tree, observation, QuantizationScheme())
    together = activation_ranges(tree, observation, SHARED)
    widths = [ranges[source].high - ranges[source].low for ranges in (apart, together)]
    others = [ranges[target].high - ranges[target].low for ranges in (apart, together)]
    assert widths[0] != pytest.approx(others[0], rel=1e-3)
    assert widths[1] == pytest.approx(others[1], rel=1e-9)
    assert {name for name in apart if apart[name] != together[name]} <= {source, target}


@given(
    low=st.floats(-50, 0),
    high=st.floats(6, 50),  # wide enough for the constant
    below=st.floats(-50, 0),
    above=st.floats(6, 50),
)
def test_shared_ranges_keep_the_wider_step_and_hold_zero(
    float_model: Path, low: float, high: float, below: float, above: float
) -> None:
    tree = read_model(float_model)
    source, _, target = (tree.subgraphs[0].tensors[i].name.decode() for i in _shift(tree))
    given_ranges = {source: Range(low=low, high=high), target: Range(low=below, high=above)}
    shared = share_steps(tree, given_ranges)
    step = max(high - low, above - below) / 255
    for name in (source, target):
        chosen = shared[name]
        assert chosen.high - chosen.low == pytest.approx(255 * step, rel=1e-9)
        assert chosen.low <= 0 <= chosen.high
        steps = chosen.low / step
        assert steps == pytest.approx(round(steps), abs=1e-6)
        # Half a step at either end is what moving zero to a whole one may cost.
        assert chosen.low <= given_ranges[name].low + 0.51 * step
        assert chosen.high >= given_ranges[name].high - 0.51 * step
