"""What is observed is what NumPy computes from the same samples."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeocr_conversion.flatbuffer import Model, write_model
from edgeocr_conversion.observation import Observation, observe

MakeTflite = Callable[..., Model]
Padding = schema.Padding

HEIGHT, WIDTH, CHANNELS = 7, 9, 3
TOLERANCE = 1e-5
"""Products of float32, summed in float64 after each portion."""


def _samples(count: int = 3, height: int = HEIGHT, width: int = WIDTH) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(4)
    shape = (1, height, width, CHANNELS)
    return [rng.normal(size=shape).astype(np.float32) for _ in range(count)]


def _weights(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def _observed(model: Model, folder: Path, samples: list[NDArray[np.float32]]) -> Observation:
    path = folder / "model.tflite"
    write_model(model, path)
    return observe(path, samples)


def _patches(
    image_HWC: NDArray[np.float32], kernel: tuple[int, int], stride: tuple[int, int], *, same: bool
) -> NDArray[np.float32]:
    """(n, height, width, channels): every input of a layer, by the definition of its padding."""
    starts = []
    padded = image_HWC
    for axis, (size, taps, step) in enumerate(
        zip(image_HWC.shape[:2], kernel, stride, strict=True)
    ):
        count = -(-size // step) if same else (size - taps) // step + 1
        missing = max((count - 1) * step + taps - size, 0) if same else 0
        borders = [(0, 0)] * 3
        borders[axis] = (missing // 2, missing - missing // 2)
        padded = np.pad(padded, borders)
        starts.append([i * step for i in range(count)])
    return np.stack(
        [padded[row : row + kernel[0], left : left + kernel[1]] for row, left in product(*starts)]
    )


@pytest.mark.parametrize("same", [True, False], ids=["same", "valid"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (2, 1)])
def test_covariance_of_a_convolution(
    make_tflite: MakeTflite, tmp_path: Path, same: bool, stride: tuple[int, int]
) -> None:
    kernel = (3, 2)
    options = schema.Conv2DOptionsT(
        padding=Padding.SAME if same else Padding.VALID, strideH=stride[0], strideW=stride[1]
    )
    samples = _samples()
    patches = np.concatenate([_patches(s[0], kernel, stride, same=same) for s in samples])
    outputs = (len(patches) // len(samples), 4)  # the runtime finds height and width itself
    model = make_tflite(
        {
            "x": (1, HEIGHT, WIDTH, CHANNELS),
            "w": _weights(4, *kernel, CHANNELS),
            "b": np.zeros(4, np.float32),
            "y": (1, 1, *outputs),
        },
        [("CONV_2D", ["x", "w", "b"], "y", options)],
    )
    rows = patches.reshape(len(patches), -1).astype(np.float64)
    np.testing.assert_allclose(
        _observed(model, tmp_path, samples).covariances["w"],
        rows.T @ rows / len(rows),
        atol=TOLERANCE,
    )


@pytest.mark.parametrize("multiplier", [1, 2])
def test_covariances_of_a_depthwise_convolution(
    make_tflite: MakeTflite, tmp_path: Path, multiplier: int
) -> None:
    outputs = CHANNELS * multiplier
    options = schema.DepthwiseConv2DOptionsT(
        padding=Padding.SAME, strideH=2, strideW=2, depthMultiplier=multiplier
    )
    model = make_tflite(
        {
            "x": (1, HEIGHT, WIDTH, CHANNELS),
            "w": _weights(1, 3, 3, outputs),
            "b": np.zeros(outputs, np.float32),
            "y": (1, 4, 5, outputs),
        },
        [("DEPTHWISE_CONV_2D", ["x", "w", "b"], "y", options)],
    )
    samples = _samples()
    patches = np.concatenate([_patches(s[0], (3, 3), (2, 2), same=True) for s in samples])
    covariances = _observed(model, tmp_path, samples).covariances["w"]
    assert covariances.shape == (CHANNELS, 9, 9)
    for channel, covariance in enumerate(covariances):
        rows = patches[..., channel].reshape(len(patches), 9).astype(np.float64)
        np.testing.assert_allclose(covariance, rows.T @ rows / len(rows), atol=TOLERANCE)


def test_covariance_of_a_matrix_product(make_tflite: MakeTflite, tmp_path: Path) -> None:
    model = make_tflite(
        {"x": (1, HEIGHT, WIDTH, CHANNELS), "w": _weights(5, CHANNELS), "y": (HEIGHT * WIDTH, 5)},
        [("FULLY_CONNECTED", ["x", "w", ""], "y", schema.FullyConnectedOptionsT())],
    )
    samples = _samples()
    rows = np.concatenate(samples).reshape(-1, CHANNELS).astype(np.float64)
    np.testing.assert_allclose(
        _observed(model, tmp_path, samples).covariances["w"],
        rows.T @ rows / len(rows),
        atol=TOLERANCE,
    )


def test_a_large_map_is_sampled(make_tflite: MakeTflite, tmp_path: Path) -> None:
    """500 places of each sample stand for all of them."""
    model = make_tflite(
        {
            "x": (1, 40, 50, CHANNELS),
            "w": _weights(2, 1, 1, CHANNELS),
            "b": np.zeros(2, np.float32),
            "y": (1, 40, 50, 2),
        },
        [("CONV_2D", ["x", "w", "b"], "y", schema.Conv2DOptionsT(strideH=1, strideW=1))],
    )
    covariance = _observed(model, tmp_path, _samples(8, 40, 50)).covariances["w"]
    # White noise: the identity, up to 3 standard deviations of 4,000 squares.
    np.testing.assert_allclose(covariance, np.eye(CHANNELS), atol=3 * np.sqrt(2 / 4000))


@pytest.mark.parametrize(
    ("weights", "options"),
    [
        (_weights(6, 1, 1, 2), {}),
        (_weights(6, 1, 1, 4), {"dilationHFactor": 2, "dilationWFactor": 2}),
        (_weights(1, 33, 33, 4), {}),
    ],
    ids=["grouped", "dilated", "huge"],
)
def test_layers_left_to_plain_rounding_have_no_covariance(
    make_tflite: MakeTflite, tmp_path: Path, weights: NDArray[np.float32], options: dict[str, Any]
) -> None:
    kind = schema.Conv2DOptionsT(padding=Padding.SAME, strideH=1, strideW=1, **options)
    model = make_tflite(
        {
            "x": (1, 5, 5, 4),
            "w": weights,
            "b": np.zeros(len(weights), np.float32),
            "y": (1, 5, 5, len(weights)),
        },
        [("CONV_2D", ["x", "w", "b"], "y", kind)],
    )
    image = np.ones((1, 5, 5, 4), np.float32)
    observation = _observed(model, tmp_path, [image])
    assert observation.covariances == {}
    assert set(observation.histograms) == {"x", "y"}


def test_histograms_count_every_activation_of_every_size(
    make_tflite: MakeTflite, tmp_path: Path
) -> None:
    model = make_tflite(
        {"x": (1, 4, 4, CHANNELS), "two": np.array([2], np.float32), "y": (1, 4, 4, CHANNELS)},
        [("MUL", ["x", "two"], "y", schema.MulOptionsT())],
    )
    samples = [*_samples(2, 4, 4), *_samples(1, 6, 5)]
    histograms = _observed(model, tmp_path, samples).histograms
    assert set(histograms) == {"x", "y"}
    everything = np.concatenate([sample.reshape(-1) for sample in samples])
    for name, factor in (("x", 1), ("y", 2)):
        values, counts = histograms[name].values()
        assert counts.sum() == len(everything)
        expected = np.sort((everything * factor).astype(np.float16).astype(np.float64))
        np.testing.assert_array_equal(np.repeat(values, counts.astype(int)), expected)
