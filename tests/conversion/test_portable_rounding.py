"""Property: products and means that no processor rounds otherwise; parity on this one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr_conversion.flatbuffer import Model, operator_name, read_model, serialise_model
from edgeocr_conversion.interpreter import plain_interpreter
from edgeocr_conversion.portable_rounding import round_alike

EMBEDDED = Path(__file__).resolve().parents[2] / "sdk/edgeocr/bundles/ppocrv2-int8"


def network(stage: str) -> Model:
    return read_model(EMBEDDED / f"{stage}.tflite")


def results(model: Model, kind: str) -> Iterator[tuple[Any, Any]]:
    """Operators of a kind and the tensors that they make."""
    (subgraph,) = model.subgraphs
    for operator in subgraph.operators:
        if operator_name(model, operator) == kind:
            yield operator, subgraph.tensors[operator.outputs[0]]


def scales(model: Model) -> list[float]:
    """Of every tensor that has one."""
    return [
        float(tensor.quantization.scale[0])
        for tensor in model.subgraphs[0].tensors
        if tensor.quantization is not None and tensor.quantization.scale is not None
    ]


def put_scale(tensor: Any, scale: float) -> None:
    tensor.quantization.scale = np.array([scale], np.float32)


def moved(model: Model, tensor: int) -> list[Any]:
    """The tensor and what it is padded or pooled to."""
    (subgraph,) = model.subgraphs
    padded = [
        int(operator.outputs[0])
        for operator in subgraph.operators
        if operator_name(model, operator) in ("PAD", "MAX_POOL_2D") and tensor in operator.inputs
    ]
    return [subgraph.tensors[index] for index in (tensor, *padded)]


def ties(model: Model, operator: Any) -> int:
    """How many products lie half-way between an even integer and the next, for float32."""
    first, second, result = (
        model.subgraphs[0].tensors[index].quantization
        for index in (*operator.inputs, operator.outputs[0])
    )
    every = np.arange(-128, 128)
    products = np.unique(np.outer(every - first.zeroPoint[0], every - second.zeroPoint[0]))
    ratio = np.float32(first.scale[0]) * np.float32(second.scale[0]) / np.float32(result.scale[0])
    steps = products.astype(np.float32) * ratio
    below = np.floor(steps)
    inside = (below >= -128 - result.zeroPoint[0]) & (below < 127 - result.zeroPoint[0])
    return int(((steps - below == 0.5) & (below % 2 == 0) & inside).sum())


def run(model: Model, image: NDArray[np.int8]) -> NDArray[Any]:
    interpreter = plain_interpreter(serialise_model(model))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


@pytest.mark.parametrize(
    ("stage", "kinds"), [("det", ["MUL"]), ("cls", ["MUL", "MEAN"]), ("rec", ["MUL"])]
)
def test_what_was_trained_so_stays_as_it_is(stage: str, kinds: list[str]) -> None:
    """A recogniser's lines have many widths, so training chooses no scales of its means."""
    model = network(stage)
    tensors = [tensor for kind in kinds for _, tensor in results(model, kind)]
    before = [float(tensor.quantization.scale[0]) for tensor in tensors]
    round_alike(model)
    assert [float(tensor.quantization.scale[0]) for tensor in tensors] == before


def test_products_half_way_are_moved_with_all_that_they_are_moved_to() -> None:
    model = network("cls")
    (subgraph,) = model.subgraphs
    padded = 0
    for operator, _ in results(model, "MUL"):
        first, second = (subgraph.tensors[index].quantization for index in operator.inputs)
        tensors = moved(model, int(operator.outputs[0]))
        padded += len(tensors) - 1
        for tensor in tensors:
            put_scale(tensor, 64 * first.scale[0] * second.scale[0])
        assert ties(model, operator) > 0
    assert padded > 0
    before = scales(model)
    round_alike(model)
    for operator, _ in results(model, "MUL"):
        assert ties(model, operator) == 0
        assert len({float(t.quantization.scale[0]) for t in moved(model, operator.outputs[0])}) == 1
    after = scales(model)
    assert after != before
    np.testing.assert_allclose(after, before, rtol=1e-5)
    image = np.random.default_rng(0).integers(-128, 128, (1, 48, 192, 3)).astype(np.int8)
    assert run(model, image).shape == (1, 2)  # XNNPACK takes what has one scale, and no other


def test_means_are_chosen_for_the_size_of_their_maps() -> None:
    model = network("cls")
    (subgraph,) = model.subgraphs
    for _, tensor in results(model, "MEAN"):
        put_scale(tensor, float(tensor.quantization.scale[0]) * 0.999)
    before = [float(tensor.quantization.scale[0]) for _, tensor in results(model, "MEAN")]
    round_alike(model)
    for (operator, tensor), was in zip(results(model, "MEAN"), before, strict=True):
        source = subgraph.tensors[operator.inputs[0]]
        pixels = int(source.shape[1] * source.shape[2])
        assert was <= tensor.quantization.scale[0] <= was * (1 + 1e-4)
        two, one = both_roundings(pixels, source.quantization, tensor.quantization)
        np.testing.assert_array_equal(two, one)


def both_roundings(
    pixels: int, source: Any, result: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Means of every sum, by a multiplication and an addition, and by both in one."""
    sums = np.arange(-128 * pixels, 127 * pixels + 1)
    scale = source.scale[0] / result.scale[0] * (np.float32(1) / np.float32(pixels))
    offset = np.float32(result.zeroPoint[0]) - np.float32(pixels * source.zeroPoint[0]) * scale
    two = sums.astype(np.float32) * scale + offset
    fused = result.zeroPoint[0] - pixels * source.zeroPoint[0] * np.float64(scale)
    one = (sums * np.float64(scale) + np.float64(np.float32(fused))).astype(np.float32)
    return np.rint(np.clip(two, -128, 127)), np.rint(np.clip(one, -128, 127))


def test_what_is_joined_or_given_back_keeps_its_scale() -> None:
    model = network("cls")
    (subgraph,) = model.subgraphs
    operator, tensor = next(results(model, "MUL"))
    first, second = (subgraph.tensors[index].quantization for index in operator.inputs)
    put_scale(tensor, 64 * first.scale[0] * second.scale[0])
    assert ties(model, operator) > 0
    subgraph.outputs = [int(operator.outputs[0])]
    round_alike(model)
    assert ties(model, operator) > 0
