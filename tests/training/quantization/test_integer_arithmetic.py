"""Parity: the integer reference against XNNPACK itself, operator by operator, to the bit.

No tolerance anywhere. Both sides get the same random integers, scales and zero points.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr_training.compression.quantization import integer_arithmetic as integers
from edgeocr_training.compression.quantization.affine import (
    CONSTANT_3,
    UNIT,
    UP_TO_6,
    AffineQuantization,
)
from edgeocr_training.compression.quantization.device_graph import Convolution

from .xnnpack import Term, run_operator

EXAMPLES = settings(max_examples=15)
RELU = 1
RELU6 = 3
VALID = 1

seeds_st = st.integers(0, 2**32 - 1)


def quantization_st(low: float = 0.002, high: float = 0.2) -> st.SearchStrategy[AffineQuantization]:
    return st.builds(
        lambda scale, zero_point: AffineQuantization(
            scale=float(np.float32(scale)), zero_point=zero_point
        ),
        st.floats(low, high),
        st.integers(-128, 127),
    )


def int8(rng: np.random.Generator, *shape: int) -> NDArray[np.int8]:
    return rng.integers(-128, 128, shape).astype(np.int8)


def last(x_BCHW: NDArray[Any]) -> NDArray[Any]:
    """Channels last, as TFLite keeps maps."""
    return np.ascontiguousarray(x_BCHW.transpose(0, 2, 3, 1))


def convolution(
    rng: np.random.Generator,
    result: AffineQuantization,
    *,
    outputs: int,
    inputs: int,
    kernel: int,
    stride: int = 1,
    depthwise: bool = False,
    relu: bool = False,
) -> Convolution:
    weights = rng.normal(size=(outputs, inputs, kernel, kernel)).astype(np.float32)
    scales = np.abs(weights).reshape(outputs, -1).max(axis=1) / 127
    return Convolution(
        name="y",
        sources=("x",),
        quantization=result,
        weights_OIHW=weights,
        bias_O=rng.normal(size=outputs).astype(np.float32),
        weight_scales_O=scales.astype(np.float32),
        stride=(stride, stride),
        padding=(0, 0),
        depthwise=depthwise,
        relu=relu,
    )


def layer_terms(
    x: NDArray[np.int8], source: AffineQuantization, operation: Convolution
) -> list[Term]:
    weights = last(operation.integer_weights_OIHW)  # (O, H, W, I)
    if operation.depthwise:
        weights = np.ascontiguousarray(weights.transpose(3, 1, 2, 0))
    return [
        Term(values=last(x), quantization=source),
        Term(
            values=weights,
            scales=operation.weight_scales_O,
            axis=3 if operation.depthwise else 0,
        ),
        Term(values=operation.integer_bias_O(source), scales=operation.bias_scales_O(source)),
    ]


@EXAMPLES
@given(
    seeds_st, quantization_st(), quantization_st(0.05, 3), st.sampled_from([1, 2]), st.booleans()
)
def test_convolution(
    seed: int, source: AffineQuantization, result: AffineQuantization, stride: int, relu: bool
) -> None:
    rng = np.random.default_rng(seed)
    x = int8(rng, 1, 8, 9, 11)
    operation = convolution(rng, result, outputs=10, inputs=8, kernel=3, stride=stride, relu=relu)
    expected = integers.convolve(x, source, operation)
    options = schema.Conv2DOptionsT(
        padding=VALID, strideW=stride, strideH=stride, fusedActivationFunction=RELU * relu
    )
    actual = run_operator(
        "CONV_2D", layer_terms(x, source, operation), last(expected).shape, result, options
    )
    np.testing.assert_array_equal(actual, last(expected))


@EXAMPLES
@given(
    seeds_st, quantization_st(), quantization_st(0.02, 1), st.sampled_from([3, 5]), st.booleans()
)
def test_depthwise_convolution(
    seed: int, source: AffineQuantization, result: AffineQuantization, kernel: int, relu: bool
) -> None:
    rng = np.random.default_rng(seed)
    x = int8(rng, 1, 12, 9, 9)
    operation = convolution(
        rng, result, outputs=12, inputs=1, kernel=kernel, depthwise=True, relu=relu
    )
    expected = integers.convolve(x, source, operation)
    options = schema.DepthwiseConv2DOptionsT(
        padding=VALID,
        strideW=1,
        strideH=1,
        depthMultiplier=1,
        fusedActivationFunction=RELU * relu,
    )
    actual = run_operator(
        "DEPTHWISE_CONV_2D",
        layer_terms(x, source, operation),
        last(expected).shape,
        result,
        options,
    )
    np.testing.assert_array_equal(actual, last(expected))


@EXAMPLES
@given(seeds_st, quantization_st(), quantization_st(0.05, 3))
def test_fully_connected(seed: int, source: AffineQuantization, result: AffineQuantization) -> None:
    rng = np.random.default_rng(seed)
    x = int8(rng, 1, 40, 1, 1)
    operation = convolution(rng, result, outputs=7, inputs=40, kernel=1)
    expected = integers.convolve(x, source, operation).reshape(1, 7)
    terms = layer_terms(x, source, operation)
    terms = [
        Term(values=x.reshape(1, 40), quantization=source),
        Term(values=terms[1].values.reshape(7, 40), scales=operation.weight_scales_O),
        terms[2],
    ]
    actual = run_operator("FULLY_CONNECTED", terms, (1, 7), result, schema.FullyConnectedOptionsT())
    np.testing.assert_array_equal(actual, expected)


@EXAMPLES
@given(seeds_st, quantization_st(), quantization_st(), quantization_st(0.01, 0.4), st.booleans())
def test_addition(
    seed: int,
    first: AffineQuantization,
    second: AffineQuantization,
    result: AffineQuantization,
    relu: bool,
) -> None:
    rng = np.random.default_rng(seed)
    x, y = int8(rng, 1, 5, 7, 9), int8(rng, 1, 5, 7, 9)
    low = result.zero_point if relu else -128
    expected = integers.add(x, first, y, second, result, low=low)
    actual = run_operator(
        "ADD",
        [Term(values=last(x), quantization=first), Term(values=last(y), quantization=second)],
        last(expected).shape,
        result,
        schema.AddOptionsT(fusedActivationFunction=RELU * relu),
    )
    np.testing.assert_array_equal(actual, last(expected))


@EXAMPLES
@given(quantization_st(0.005, 0.1))
def test_opening_of_a_gate(source: AffineQuantization) -> None:
    """relu6(x + 3), of every integer that there is."""
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 4, 8, 8)
    expected = integers.open_gate(x, source, UP_TO_6)
    three = np.full((1, 1, 1, 1), 127, np.int8)
    actual = run_operator(
        "ADD",
        [
            Term(values=last(x), quantization=source),
            Term(values=three, quantization=CONSTANT_3, constant=True),
        ],
        last(expected).shape,
        UP_TO_6,
        schema.AddOptionsT(fusedActivationFunction=RELU6),
    )
    np.testing.assert_array_equal(actual, last(expected))


@EXAMPLES
@given(seeds_st, quantization_st(), quantization_st(), quantization_st(0.01, 0.4), st.booleans())
def test_multiplication(
    seed: int,
    first: AffineQuantization,
    second: AffineQuantization,
    result: AffineQuantization,
    gate: bool,
) -> None:
    rng = np.random.default_rng(seed)
    x = int8(rng, 1, 5, 7, 9)
    y = int8(rng, 1, 5, 1, 1) if gate else int8(rng, 1, 5, 7, 9)
    expected = integers.multiply(x, first, y, second, result)
    actual = run_operator(
        "MUL",
        [Term(values=last(x), quantization=first), Term(values=last(y), quantization=second)],
        last(expected).shape,
        result,
        schema.MulOptionsT(),
    )
    np.testing.assert_array_equal(actual, last(expected))


@EXAMPLES
@given(
    seeds_st,
    quantization_st(),
    quantization_st(0.002, 0.1),
    st.sampled_from([(1, 80), (6, 96), (3, 7), (20, 20)]),
)
def test_mean(
    seed: int, source: AffineQuantization, result: AffineQuantization, size: tuple[int, int]
) -> None:
    x = int8(np.random.default_rng(seed), 1, 6, *size)
    expected = integers.mean(x, source, result)
    actual = run_operator(
        "MEAN",
        [
            Term(values=last(x), quantization=source),
            Term(values=np.array([1, 2], np.int32), constant=True),
        ],
        (1, 1, 1, 6),
        result,
        schema.ReducerOptionsT(keepDims=True),
    )
    np.testing.assert_array_equal(actual, last(expected))


@pytest.mark.parametrize("size", [(4, 48), (12, 96), (3, 7)])
def test_a_mean_between_two_integers(size: tuple[int, int]) -> None:
    """There the order of the roundings decides: one mean in a thousand, so they are made here."""
    rng = np.random.default_rng(7)
    count = size[0] * size[1]
    for _ in range(60):
        total, half = int(rng.integers(500, 4000)), rng.integers(5, 100) + 0.5
        scale = np.float32(rng.uniform(0.005, 0.3))
        source = AffineQuantization(scale=float(scale), zero_point=0)
        step = np.float32(float(scale) * total / count / half)
        result = AffineQuantization(scale=float(step), zero_point=0)
        least, more = divmod(total, count)
        if least >= 127:
            continue
        x = np.full((1, 1, *size), least, np.int8)
        x.reshape(-1)[:more] += 1
        actual = run_operator(
            "MEAN",
            [
                Term(values=last(x), quantization=source),
                Term(values=np.array([1, 2], np.int32), constant=True),
            ],
            (1, 1, 1, 1),
            result,
            schema.ReducerOptionsT(keepDims=True),
        )
        np.testing.assert_array_equal(actual, last(integers.mean(x, source, result)))


@EXAMPLES
@given(quantization_st(0.005, 1))
def test_sigmoid(source: AffineQuantization) -> None:
    """Of every integer that there is."""
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 4, 8, 8)
    expected = integers.sigmoid(x, source, UNIT)
    actual = run_operator(
        "LOGISTIC", [Term(values=last(x), quantization=source)], last(expected).shape, UNIT
    )
    np.testing.assert_array_equal(actual, last(expected))


def test_depth_to_space_and_maximum() -> None:
    """What moves values has the order of TFLite's."""
    same = AffineQuantization(scale=0.1, zero_point=3)
    x = int8(np.random.default_rng(0), 1, 8, 4, 6)
    shuffled = run_operator(
        "DEPTH_TO_SPACE",
        [Term(values=last(x), quantization=same)],
        (1, 8, 12, 2),
        same,
        schema.DepthToSpaceOptionsT(blockSize=2),
    )
    np.testing.assert_array_equal(shuffled, last(integers.depth_to_space(x)))
    pooled = run_operator(
        "MAX_POOL_2D",
        [Term(values=last(x), quantization=same)],
        (1, 2, 3, 8),
        same,
        schema.Pool2DOptionsT(padding=VALID, strideW=2, strideH=2, filterWidth=2, filterHeight=2),
    )
    np.testing.assert_array_equal(pooled, last(integers.maximum(x, (2, 2))))


def test_sums_beyond_float32_are_rounded_as_the_device_does() -> None:
    """2^24 + 1 has no float32; the kernel takes its neighbour."""
    sums = np.array([2**24 + 1, -(2**24) - 3], np.int32)
    scaled = integers.requantize(sums, np.float32(2.0**-19), 0, relu=False)
    assert scaled.tolist() == [32, -32]


@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_quantizing_and_back_is_within_half_a_step(zero_point: int) -> None:
    quantization = AffineQuantization(scale=0.25, zero_point=zero_point)
    values = np.linspace(quantization.low, quantization.high, 999)
    back = integers.dequantize(integers.quantize(values, quantization), quantization)
    assert np.abs(back - values).max() <= 0.125 + 1e-12
