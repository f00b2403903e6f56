"""A small network with everything that the detectors' tails have, from ONNX to integers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from edgeocr_conversion.delegation import delegation_report
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import (
    Model,
    constant_value,
    operator_name,
    read_model,
    serialise_model,
    type_name,
    write_model,
)
from edgeocr_conversion.float_tflite import convert_to_float
from edgeocr_conversion.interpreter import plain_interpreter
from edgeocr_conversion.observation import Observation, observe
from edgeocr_conversion.onnx_graph import Graph
from edgeocr_conversion.quantization import quantize
from edgeocr_conversion.rewrites import rewrite_for_xnnpack
from edgeocr_conversion.scheme import QuantizationScheme

MakeGraph = Callable[..., Graph]
Image = NDArray[np.float32]

SIDE = 16
node = helper.make_node


def _images(count: int, seed: int = 0) -> list[Image]:
    """Smooth, so that the inputs of a kernel are correlated, as in pictures."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(0, 3, SIDE)
    images = []
    for _ in range(count):
        phase, slope = rng.uniform(0, 6, 3), rng.uniform(-2, 2, (2, 3))
        angle = phase + grid[:, None, None] * slope[0] + grid[None, :, None] * slope[1]
        noise = 0.05 * rng.normal(size=(SIDE, SIDE, 3))
        images.append((np.sin(angle) + noise)[None].astype(np.float32))
    return images


@pytest.fixture(scope="module")
def float_model(make_graph: MakeGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convolution, hard-swish, depthwise, upsampling, transposed convolution, sigmoid."""
    rng = np.random.default_rng(7)

    def weights(*shape: int) -> NDArray[np.float32]:
        return np.asarray(rng.normal(size=shape) * 1.5 / np.sqrt(np.prod(shape[1:])), np.float32)

    constants: dict[str, NDArray[Any]] = {
        "w1": weights(8, 3, 3, 3),
        "b1": weights(8),
        "three": np.array([3], np.float32),
        "zero": np.array([0], np.float32),
        "six": np.array([6], np.float32),
        "w2": weights(8, 1, 3, 3),
        "b2": weights(8),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "w3": weights(4, 8, 1, 1),
        "w4": weights(4, 1, 2, 2),
        "b4": weights(1),
    }
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Add", ["a", "three"], ["c"]),
        node("Clip", ["c", "zero", "six"], ["d"]),
        node("Mul", ["a", "d"], ["e"]),
        node("Div", ["e", "six"], ["f"]),
        node("Conv", ["f", "w2", "b2"], ["g"], group=8, pads=[1, 1, 1, 1], strides=[2, 2]),
        node(
            "Resize",
            ["g", "", "scales"],
            ["h"],
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        ),
        node("Conv", ["h", "w3"], ["i"]),
        node("ConvTranspose", ["i", "w4", "b4"], ["j"], strides=[2, 2]),
        node("Sigmoid", ["j"], ["y"]),
    ]
    graph = make_graph(nodes, constants, height=SIDE, width=SIDE)
    rewrite_for_xnnpack(graph)
    return convert_to_float(graph, tmp_path_factory.mktemp("float") / "model.tflite")


@pytest.fixture(scope="module")
def observation(float_model: Path) -> Observation:
    return observe(float_model, _images(12))


def _run(model: Path | Model, image: Image) -> NDArray[np.float32]:
    """The output in real values."""
    source = model if isinstance(model, Path) else serialise_model(model)
    interpreter = plain_interpreter(source, threads=1)
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    if entry["dtype"] == np.int8:
        scale, zero_point = entry["quantization"]
        image = np.clip(np.round(image / scale) + zero_point, -128, 127).astype(np.int8)
    interpreter.set_tensor(entry["index"], image)
    interpreter.invoke()
    output = interpreter.get_tensor(result["index"])
    if result["dtype"] == np.int8:
        scale, zero_point = result["quantization"]
        return np.asarray((output.astype(np.float32) - zero_point) * scale, np.float32)
    return np.asarray(output, np.float32)


def _error(model: Model, float_model: Path) -> float:
    """Root mean square over images that were not observed."""
    squares = [(_run(model, i) - _run(float_model, i)) ** 2 for i in _images(8, seed=1)]
    return float(np.sqrt(np.mean(squares)))


def _operators(model: Model) -> list[tuple[str, str, str]]:
    """(kind, name of the output tensor, type of the output)."""
    (subgraph,) = model.subgraphs
    return [
        (
            operator_name(model, operator),
            subgraph.tensors[operator.outputs[0]].name.decode(),
            type_name(subgraph.tensors[operator.outputs[0]]),
        )
        for operator in subgraph.operators
    ]


def test_every_operator_computes_in_integers(
    float_model: Path, observation: Observation, tmp_path: Path
) -> None:
    quantized = quantize(float_model, observation, QuantizationScheme())
    operators = _operators(quantized)
    assert {kind for *_, kind in operators} == {"INT8"}
    (subgraph,) = quantized.subgraphs
    assert type_name(subgraph.tensors[subgraph.inputs[0]]) == "INT8"
    assert quantized.signatureDefs[0].outputs[0].tensorIndex == subgraph.outputs[0]
    kinds = [kind for kind, *_ in operators]
    assert kinds == [kind for kind, *_ in _operators(read_model(float_model))]
    assert kinds.count("DEPTH_TO_SPACE") == 2
    write_model(quantized, tmp_path / "int8.tflite")
    (report,) = delegation_report(tmp_path / "int8.tflite").signatures
    assert report.partitions == 1
    assert report.outside == ()


@pytest.mark.parametrize("ranges", ["minmax", "mse"])
@pytest.mark.parametrize("rounding", [True, False])
def test_integers_stay_close_to_float(
    float_model: Path, observation: Observation, ranges: Any, rounding: bool
) -> None:
    scheme = QuantizationScheme(ranges=ranges, optimal_rounding=rounding)
    # Probabilities; the output's own steps are 1/256, and four layers stand before it.
    assert _error(quantize(float_model, observation, scheme), float_model) < 2.5 / 256


def test_the_file_that_is_quantized_does_not_change(
    float_model: Path, observation: Observation
) -> None:
    before = float_model.read_bytes()
    first = quantize(float_model, observation, QuantizationScheme())
    assert float_model.read_bytes() == before
    again = quantize(float_model, observation, QuantizationScheme())
    assert serialise_model(again) == serialise_model(first), "equal inputs, equal integers"


def test_biases_follow_from_the_scales_of_input_and_weights(
    float_model: Path, observation: Observation
) -> None:
    quantized = quantize(float_model, observation, QuantizationScheme())
    floats = {
        tensor.name: constant_value(read_model(float_model), tensor)
        for tensor in read_model(float_model).subgraphs[0].tensors
    }
    (subgraph,) = quantized.subgraphs
    checked = 0
    for operator in subgraph.operators:
        if operator_name(quantized, operator) not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            continue
        source, weights, bias = (subgraph.tensors[index] for index in operator.inputs)
        scales = weights.quantization.scale * source.quantization.scale[0]
        np.testing.assert_allclose(bias.quantization.scale, scales, rtol=1e-6)
        value = constant_value(quantized, bias)
        assert value is not None
        assert value.dtype == np.int32
        assert (np.abs(value * scales - floats[bias.name]) <= scales * 0.51).all()
        checked += 1
    assert checked == 4


def test_operators_that_are_named_stay_float(float_model: Path, observation: Observation) -> None:
    names = [name for kind, name, _ in _operators(read_model(float_model)) if kind == "CONV_2D"]
    scheme = QuantizationScheme(float_operators=frozenset(names[:1]))
    quantized = quantize(float_model, observation, scheme)
    types = {name: kind for kind_, name, kind in _operators(quantized) if kind_ == "CONV_2D"}
    assert types[names[0]] == "FLOAT32"
    assert {kind for name, kind in types.items() if name != names[0]} == {"INT8"}


def test_the_first_layers_can_stay_float(float_model: Path, observation: Observation) -> None:
    quantized = quantize(float_model, observation, QuantizationScheme(float_layers=1))
    types = {kind: output for kind, _, output in reversed(_operators(quantized))}
    assert types["CONV_2D"] == "FLOAT32"  # the first of them: the walk ends with it
    assert types["DEPTHWISE_CONV_2D"] == "INT8"


def test_the_input_can_stay_float_too(float_model: Path, observation: Observation) -> None:
    pixels = quantize(float_model, observation, QuantizationScheme())
    floats = quantize(
        float_model, observation, QuantizationScheme(float_operators=frozenset({"x"}))
    )
    types = [
        type_name(model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]])
        for model in (pixels, floats)
    ]
    assert types == ["INT8", "FLOAT32"]


def test_a_model_without_observations_is_refused(float_model: Path) -> None:
    nothing = Observation(histograms={}, covariances={})
    with pytest.raises(ConversionError, match=r"model\.tflite can't be quantized"):
        quantize(float_model, nothing, QuantizationScheme())
