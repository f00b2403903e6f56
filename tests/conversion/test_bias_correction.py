"""What quantization, or anybody, adds to the mean of a layer is taken back."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from edgeocr_conversion.bias_correction import bias_shifts, shift_biases
from edgeocr_conversion.flatbuffer import (
    Model,
    constant_value,
    operator_name,
    parse_model,
    read_model,
    serialise_model,
)
from edgeocr_conversion.float_tflite import convert_to_float
from edgeocr_conversion.interpreter import as_input, plain_interpreter
from edgeocr_conversion.observation import observe
from edgeocr_conversion.onnx_graph import Graph
from edgeocr_conversion.quantization import quantize
from edgeocr_conversion.rewrites import rewrite_for_xnnpack
from edgeocr_conversion.scheme import QuantizationScheme
from edgeocr_conversion.weight_rounding import LAYERS

MakeGraph = Callable[..., Graph]
Image = NDArray[np.float32]

SIDE = 16
node = helper.make_node


def _images(count: int, seed: int = 0) -> list[Image]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(1, SIDE, SIDE, 3)).astype(np.float32) for _ in range(count)]


@pytest.fixture(scope="module")
def float_model(make_graph: MakeGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convolution, hard-swish, and two convolutions in a row that have equal biases."""
    rng = np.random.default_rng(3)

    def weights(*shape: int) -> NDArray[np.float32]:
        return np.asarray(rng.normal(size=shape) * 2 / np.sqrt(np.prod(shape[1:])), np.float32)

    constants = {
        "w1": weights(8, 3, 3, 3),
        "b1": weights(8),
        "three": np.array([3], np.float32),
        "zero": np.array([0], np.float32),
        "six": np.array([6], np.float32),
        "w2": weights(8, 8, 1, 1),
        "w3": weights(8, 8, 1, 1),
        "b2": weights(8),
    }
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], pads=[1, 1, 1, 1]),
        node("Add", ["a", "three"], ["c"]),
        node("Clip", ["c", "zero", "six"], ["d"]),
        node("Mul", ["a", "d"], ["e"]),
        node("Conv", ["e", "w2", "b2"], ["f"]),
        node("Conv", ["f", "w3", "b2"], ["y"]),
    ]
    graph = make_graph(nodes, constants, height=SIDE, width=SIDE)
    rewrite_for_xnnpack(graph)
    return convert_to_float(graph, tmp_path_factory.mktemp("float") / "model.tflite")


@pytest.fixture(scope="module")
def quantized(float_model: Path) -> Model:
    return quantize(float_model, observe(float_model, _images(8)), QuantizationScheme())


def _layers(model: Model) -> list[int]:
    return [
        index
        for index, operator in enumerate(model.subgraphs[0].operators)
        if operator_name(model, operator) in LAYERS
    ]


def _disturbed(quantized: Model, layer: int, steps: NDArray[np.int64]) -> Model:
    """A copy with something added to the integer bias of one layer."""
    model = parse_model(serialise_model(quantized))
    operator = model.subgraphs[0].operators[_layers(model)[layer]]
    bias = model.subgraphs[0].tensors[operator.inputs[2]]
    value = constant_value(model, bias)
    assert value is not None
    alone = copy.copy(model.buffers[bias.buffer])
    alone.data = np.frombuffer((value + steps).astype(np.int32).tobytes(), np.uint8)
    bias.buffer = len(model.buffers)
    model.buffers.append(alone)
    return model


def _output_means(model: Path | Model, images: list[Image]) -> NDArray[np.float64]:
    """(channels,) in real values."""
    content = model if isinstance(model, Path) else serialise_model(model)
    interpreter = plain_interpreter(content, threads=1)
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for image in images:
        interpreter.set_tensor(entry["index"], as_input(image, entry))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result["index"]).reshape(-1, 8).astype(np.float64))
    means: NDArray[np.float64] = np.concatenate(outputs).mean(axis=0)
    if result["dtype"] == np.int8:
        scale, zero_point = result["quantization"]
        means = (means - zero_point) * scale
    return means


def _output_step(model: Model) -> float:
    subgraph = model.subgraphs[0]
    return float(subgraph.tensors[subgraph.outputs[0]].quantization.scale[0])


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_disturbed_layer_is_put_right(float_model: Path, quantized: Model, layer: int) -> None:
    images = _images(8)
    steps = np.random.default_rng(layer).integers(-3000, 3000, size=8)
    model = _disturbed(quantized, layer, steps)
    wanted = _output_means(float_model, images)
    step = _output_step(model)
    assert np.abs(_output_means(model, images) - wanted).max() > step
    shift_biases(model, bias_shifts(float_model, model, images))
    # Means of 2,048 values with rounding noise of a third of a step, and biases whose own steps
    # are much finer.
    assert np.abs(_output_means(model, images) - wanted).max() < 0.05 * step


def test_means_are_right_on_other_images_too(float_model: Path, quantized: Model) -> None:
    corrected = copy.deepcopy(quantized)
    shift_biases(corrected, bias_shifts(float_model, quantized, _images(8)))
    others = _images(16, seed=9)
    wanted = _output_means(float_model, others)
    before = np.abs(_output_means(quantized, others) - wanted).mean()
    assert np.abs(_output_means(corrected, others) - wanted).mean() < before


def test_the_measured_model_does_not_change(float_model: Path, quantized: Model) -> None:
    before = serialise_model(quantized)
    bias_shifts(float_model, quantized, _images(2))
    assert serialise_model(quantized) == before


def test_what_a_range_cuts_off_is_no_error(float_model: Path, quantized: Model) -> None:
    """The first layer feeds a hard-swish alone, so its range ends near -3."""
    operator = quantized.subgraphs[0].operators[_layers(quantized)[0]]
    tensor = quantized.subgraphs[0].tensors[operator.outputs[0]]
    scale, zero_point = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    lowest = (-128 - zero_point) * scale
    interpreter = plain_interpreter(float_model, threads=1)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], _images(1)[0])
    interpreter.invoke()
    floats = read_model(float_model).subgraphs[0].tensors
    index = next(i for i, other in enumerate(floats) if other.name == tensor.name)
    output = interpreter.get_tensor(index)
    cut_off = (np.maximum(output, lowest) - output).mean(axis=(0, 1, 2)).max()
    assert cut_off > scale
    shifts = bias_shifts(float_model, quantized, _images(1))
    assert np.abs(shifts[tensor.name.decode()]).max() < 0.25 * scale


def test_layers_with_one_bias_get_their_own(float_model: Path, quantized: Model) -> None:
    model = parse_model(serialise_model(quantized))
    subgraph = model.subgraphs[0]
    _, second, third = (subgraph.operators[index] for index in _layers(model))
    third.inputs = np.array([*third.inputs[:2], second.inputs[2]], np.int32)
    names = [subgraph.tensors[operator.outputs[0]].name.decode() for operator in (second, third)]
    scales = np.asarray(subgraph.tensors[second.inputs[2]].quantization.scale)
    before = constant_value(model, subgraph.tensors[second.inputs[2]])
    assert before is not None
    shift_biases(
        model,
        {
            **dict.fromkeys(bias_shifts(float_model, quantized, _images(1)), np.zeros(8)),
            names[0]: 5 * scales,
            names[1]: -7 * scales,
        },
    )
    found = [
        constant_value(model, subgraph.tensors[operator.inputs[2]]) for operator in (second, third)
    ]
    np.testing.assert_array_equal(found, [before + 5, before - 7])
