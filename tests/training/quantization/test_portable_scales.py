"""Property: scales with which no processor's way of rounding matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeocr_training.compression.quantization.affine import UP_TO_6, AffineQuantization
from edgeocr_training.compression.quantization.device_graph import (
    Concatenation,
    Convolution,
    Image,
    Mean,
    Multiply,
    Operation,
    Repeat,
)
from edgeocr_training.compression.quantization.portable_graph import with_portable_scales
from edgeocr_training.compression.quantization.portable_scales import (
    portable_mean,
    portable_product,
)

from .xnnpack import Term, run_operator

EXAMPLES = settings(max_examples=25)
NEVER_FAR = 1e-4
"""Of a scale, relatively: a thousand units in the last place."""

zero_points_st = st.integers(-128, 127)


def quantization_st(low: float, high: float) -> st.SearchStrategy[AffineQuantization]:
    return st.builds(
        lambda scale, zero_point: AffineQuantization(
            scale=float(np.float32(scale)), zero_point=zero_point
        ),
        st.floats(low, high),
        zero_points_st,
    )


def tied(
    first: AffineQuantization, second: AffineQuantization, result: AffineQuantization
) -> list[float]:
    """What lies half-way between two integers of the result, for float32."""
    every = np.arange(-128, 128)
    products = np.unique(np.outer(every - first.zero_point, every - second.zero_point))
    ratio = np.float32(first.scale) * np.float32(second.scale) / np.float32(result.scale)
    steps = products.astype(np.float32) * ratio
    inside = (steps > -128 - result.zero_point) & (steps < 127 - result.zero_point)
    return [float(step) for step in steps[inside] if step - np.floor(step) == 0.5]


@EXAMPLES
@given(quantization_st(0.01, 0.1), quantization_st(0.01, 0.1), quantization_st(0.05, 0.2))
def test_no_product_lies_half_way(
    first: AffineQuantization, second: AffineQuantization, result: AffineQuantization
) -> None:
    chosen = portable_product(first, second, result)
    assert result.scale <= chosen.scale <= result.scale * (1 + NEVER_FAR)
    assert float(np.float32(chosen.scale)) == chosen.scale
    assert chosen.zero_point == result.zero_point
    odd = [step for step in tied(first, second, chosen) if np.floor(step) % 2 == 0]
    # A half above an odd integer is rounded up by both: to the even one, and up.
    assert odd == []
    assert portable_product(first, second, chosen) == chosen


def test_a_product_that_lies_half_way_is_moved() -> None:
    """Of scales that are powers of two, where half of all products are ties."""
    half = AffineQuantization(scale=0.5, zero_point=0)
    assert tied(half, half, half)
    chosen = portable_product(half, half, half)
    assert half.scale < chosen.scale < half.scale * (1 + 1e-5)
    assert tied(half, half, chosen) == []


@pytest.mark.parametrize("count", [(2, 96), (12, 96), (6, 40)])
@EXAMPLES
@given(
    quantization_st(0.01, 0.1),
    zero_points_st,
    st.floats(2, 8),
)
def test_every_mean_is_rounded_as_it_would_be_exactly_or_alike(
    count: tuple[int, int], source: AffineQuantization, zero_point: int, ratio: float
) -> None:
    """XNNPACK's means of every sum that there is, with the two roundings that x86-64 has, are
    those with the one that Arm has: a fused multiplication and addition, here in doubles.
    """
    pixels = count[0] * count[1]
    result = AffineQuantization(
        scale=float(np.float32(source.scale / ratio)), zero_point=zero_point
    )
    chosen = portable_mean(pixels, source, result)
    assert result.scale <= chosen.scale <= result.scale * (1 + NEVER_FAR)
    sums = np.arange(-128 * pixels, 127 * pixels + 1)
    least, more = np.divmod(sums, pixels)
    maps = (least + (np.arange(pixels)[:, None] < more)).astype(np.int8)
    actual = run_operator(
        "MEAN",
        [
            Term(values=maps.reshape(1, *count, -1), quantization=source),
            Term(values=np.array([1, 2], np.int32), constant=True),
        ],
        (1, 1, 1, len(sums)),
        chosen,
        schema.ReducerOptionsT(keepDims=True),
    )
    scale = np.float32(np.float32(source.scale) / np.float32(chosen.scale))
    scale = np.float32(scale * (np.float32(1) / np.float32(pixels)))
    offset = np.float32(zero_point - pixels * source.zero_point * np.float64(scale))
    fused = (sums * np.float64(scale) + offset).astype(np.float32)
    np.testing.assert_array_equal(actual.reshape(-1), np.clip(np.rint(fused), -128, 127))


def test_means_of_large_maps_keep_their_scale() -> None:
    source, result = (AffineQuantization(scale=s, zero_point=0) for s in (0.125, 0.03125))
    assert portable_mean(10_000, source, result) == result


def graph() -> tuple[Operation, ...]:
    """An image times a gate of itself, its mean; and the product joined with what it was."""
    half = AffineQuantization(scale=0.5, zero_point=0)
    layer = Convolution(
        name="half",
        sources=("x",),
        quantization=half,
        weights_OIHW=np.ones((2, 3, 3, 3), np.float32),
        bias_O=np.zeros(2, np.float32),
        weight_scales_O=np.ones(2, np.float32),
        stride=(2, 2),
        padding=(1, 1),
        depthwise=False,
        relu=False,
    )
    return (
        Image(name="x", sources=(), quantization=half),
        layer,
        Multiply(name="square", sources=("half", "half"), quantization=half),
        Repeat(name="large", sources=("square",), quantization=half, factor=2),
        Mean(name="mean", sources=("large",), quantization=half),
    )


def test_a_graph_s_products_move_and_what_is_moved_goes_with_them() -> None:
    before = {o.name: o for o in graph()}
    after = {o.name: o for o in with_portable_scales(graph(), (6, 8))}
    assert list(after) == list(before)
    assert after["x"].quantization == before["x"].quantization
    assert after["half"].quantization == before["half"].quantization
    square = after["square"].quantization
    half = before["half"].quantization
    assert square == portable_product(half, half, half)
    assert square != before["square"].quantization
    assert after["large"].quantization == square
    # Of 3x4 pixels, twice as many each way: 48 to a mean.
    assert after["mean"].quantization == portable_mean(48, square, before["mean"].quantization)
    unknown = {o.name: o for o in with_portable_scales(graph(), None)}
    assert unknown["mean"].quantization == before["mean"].quantization
    assert unknown["square"].quantization == square


def test_what_is_joined_keeps_the_scale_that_its_parts_share() -> None:
    parts = graph()
    joined = Concatenation(
        name="joined", sources=("large", "large"), quantization=parts[0].quantization
    )
    after = with_portable_scales((*parts, joined), (6, 8))
    assert {o.name: o.quantization for o in after}["square"] == parts[0].quantization
    assert after[-1].quantization == parts[0].quantization


def test_the_gate_of_a_hard_swish_can_always_be_spared() -> None:
    """Every zero point that x may have, with the scale that ``relu6(x + 3)`` has."""
    for zero_point in range(-128, 128):
        x = AffineQuantization(scale=float(np.float32(0.05)), zero_point=zero_point)
        result = replace(x, scale=float(np.float32(x.scale * 6)))
        chosen = portable_product(x, UP_TO_6, result)
        assert [s for s in tied(x, UP_TO_6, chosen) if np.floor(s) % 2 == 0] == []
