from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr_conversion.flatbuffer import Model
from edgeocr_conversion.ranges import Range
from edgeocr_conversion.weight_rounding import gptq, round_weights

MakeTflite = Callable[..., Model]
Matrix = NDArray[np.float64]

SEEDS = st.integers(0, 1000)


def _weights(seed: int, outputs: int, inputs: int) -> Matrix:
    return np.random.default_rng(seed).normal(size=(outputs, inputs))


def _scales(weights: Matrix) -> NDArray[np.float32]:
    return np.asarray(np.abs(weights).max(axis=1) / 127, np.float32)


def _inputs(seed: int, count: int, inputs: int) -> Matrix:
    """Correlated, as activations are: a few causes, many effects."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(count, max(1, inputs // 3)))
    noise = 0.05 * rng.normal(size=(count, inputs))
    return np.asarray(causes @ rng.normal(size=(causes.shape[1], inputs)) + noise)


def _nearest(weights: Matrix, scales: NDArray[np.float32]) -> Matrix:
    return np.clip(np.round(weights / scales[:, None].astype(np.float64)), -127, 127)


@given(SEEDS, st.integers(1, 6), st.integers(1, 20), st.floats(0, 0.1))
def test_integers_stay_in_range(seed: int, outputs: int, inputs: int, noise: float) -> None:
    weights = _weights(seed, outputs, inputs)
    rows = _inputs(seed, 50, inputs)
    steps = gptq(weights, _scales(weights), rows.T @ rows / len(rows), noise)
    assert steps.dtype == np.int8
    assert steps.shape == weights.shape
    assert steps.min() >= -127


@given(SEEDS, st.integers(1, 6), st.integers(1, 20), st.floats(0, 0.1))
def test_white_inputs_are_rounded_to_the_nearest_step(
    seed: int, outputs: int, inputs: int, noise: float
) -> None:
    weights = _weights(seed, outputs, inputs)
    scales = _scales(weights)
    steps = gptq(weights, scales, np.eye(inputs), noise)
    np.testing.assert_array_equal(steps, _nearest(weights, scales))
    assert (np.abs(weights - steps * scales[:, None]) <= scales[:, None] / 2 * (1 + 1e-5)).all()


@given(SEEDS, st.integers(1, 6), st.integers(4, 20))
def test_outputs_on_the_calibration_data_err_less_than_with_nearest_steps(
    seed: int, outputs: int, inputs: int
) -> None:
    """The greedy order may lose by a hair where there is little to win, and wins by much else."""
    weights = _weights(seed, outputs, inputs)
    scales = _scales(weights)
    rows = _inputs(seed, 200, inputs)
    steps = gptq(weights, scales, rows.T @ rows / len(rows), 0.0)
    errors = [
        float((((weights - integers * scales[:, None]) @ rows.T) ** 2).mean())
        for integers in (steps.astype(np.float64), _nearest(weights, scales))
    ]
    assert errors[0] <= errors[1]


def test_a_dead_input_does_no_harm() -> None:
    weights = _weights(0, 3, 4)
    steps = gptq(weights, _scales(weights), np.zeros((4, 4)), 0.0)
    np.testing.assert_array_equal(steps, _nearest(weights, _scales(weights)))


# Whole models --------------------------------------------------------------------------------

SHAPE = (1, 4, 4, 6)


def _layers(make_tflite: MakeTflite, kind: str, weights: dict[str, NDArray[np.float32]]) -> Model:
    """Layers of one kind that all read "x", by their weights' names."""
    options = {
        "CONV_2D": schema.Conv2DOptionsT(strideH=1, strideW=1),
        "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT(strideH=1, strideW=1),
        "FULLY_CONNECTED": schema.FullyConnectedOptionsT(),
    }[kind]
    outputs = ["y", *(f"y{i}" for i in range(1, len(weights)))]
    tensors = {"x": SHAPE, **weights, **dict.fromkeys(outputs, (1,))}
    return make_tflite(
        tensors,
        [(kind, ["x", name, ""], out, options) for name, out in zip(weights, outputs, strict=True)],
    )


def _covariance(taps: int) -> Matrix:
    rows = _inputs(3, 100, taps)
    return np.asarray(rows.T @ rows / len(rows))


LAYERS = {
    "CONV_2D": (5, 1, 1, 6),
    "DEPTHWISE_CONV_2D": (1, 2, 2, 6),
    "FULLY_CONNECTED": (5, 6),
}


def _covariances(kind: str, channels: int = 6) -> Matrix:
    if kind == "DEPTHWISE_CONV_2D":
        return np.stack([_covariance(4) * (c + 1) for c in range(channels)])
    return _covariance(6)


@pytest.mark.parametrize("kind", LAYERS)
def test_every_output_channel_has_its_scale(make_tflite: MakeTflite, kind: str) -> None:
    weights = np.random.default_rng(0).normal(size=LAYERS[kind]).astype(np.float32)
    model = _layers(make_tflite, kind, {"w": weights})
    rounded = round_weights(model, {"w": _covariances(kind)}, {"x": Range(low=-1.0, high=1.0)})["w"]
    assert rounded.values.shape == weights.shape
    channels_last = kind == "DEPTHWISE_CONV_2D"
    assert rounded.scales.shape == (weights.shape[-1 if channels_last else 0],)
    scales = (
        rounded.scales if channels_last else rounded.scales.reshape(-1, *[1] * (weights.ndim - 1))
    )
    # Corrections of earlier errors move a weight by some steps at most.
    assert (np.abs(weights - rounded.values * scales) < 6 * scales).all()


def test_a_depthwise_multiplier_shares_the_covariance_of_its_input(
    make_tflite: MakeTflite,
) -> None:
    """Outputs 2c and 2c + 1 read input c: equal weights there mean equal integers."""
    single = np.random.default_rng(0).normal(size=(1, 2, 2, 3)).astype(np.float32)
    covariances = _covariances("DEPTHWISE_CONV_2D", 3)
    kind = "DEPTHWISE_CONV_2D"
    once = round_weights(_layers(make_tflite, kind, {"w": single}), {"w": covariances}, {})["w"]
    doubled = np.repeat(single, 2, axis=3)
    twice = round_weights(_layers(make_tflite, kind, {"w": doubled}), {"w": covariances}, {})["w"]
    np.testing.assert_array_equal(twice.values, np.repeat(once.values, 2, axis=3))


@pytest.mark.parametrize("kind", LAYERS)
def test_twins_share_their_integers(make_tflite: MakeTflite, kind: str) -> None:
    """As a split gate leaves them: the same rows, each with a factor of its own."""
    weights = np.random.default_rng(0).normal(size=LAYERS[kind]).astype(np.float32)
    outputs = weights.shape[3 if kind == "DEPTHWISE_CONV_2D" else 0]
    factors = np.linspace(0.1, 3, outputs, dtype=np.float32)
    if kind != "DEPTHWISE_CONV_2D":
        factors = factors.reshape(-1, *[1] * (weights.ndim - 1))
    other = np.random.default_rng(1).normal(size=LAYERS[kind]).astype(np.float32)
    model = _layers(make_tflite, kind, {"w": weights, "scaled": weights * factors, "other": other})
    covariance = _covariances(kind)
    rounded = round_weights(model, dict.fromkeys(("w", "scaled", "other"), covariance), {})
    np.testing.assert_array_equal(rounded["w"].values, rounded["scaled"].values)
    np.testing.assert_allclose(
        rounded["scaled"].scales, rounded["w"].scales * factors.reshape(-1), rtol=1e-5
    )
    assert not np.array_equal(rounded["w"].values, rounded["other"].values)


def test_single_filters_that_differ_by_input_are_no_twins(make_tflite: MakeTflite) -> None:
    """(1, 1, 1, C) is one filter over C inputs here, and not C depthwise filters."""
    one = np.linspace(1, 2, 6, dtype=np.float32).reshape(1, 1, 1, 6)
    model = _layers(make_tflite, "CONV_2D", {"w": one, "other": one[..., ::-1].copy()})
    rounded = round_weights(model, dict.fromkeys(("w", "other"), np.eye(6)), {})
    np.testing.assert_array_equal(
        rounded["other"].values.reshape(-1), rounded["w"].values.reshape(-1)[::-1]
    )


def test_layers_without_a_covariance_are_left_out(make_tflite: MakeTflite) -> None:
    weights = np.ones(LAYERS["CONV_2D"], np.float32)
    assert round_weights(_layers(make_tflite, "CONV_2D", {"w": weights}), {}, {}) == {}
