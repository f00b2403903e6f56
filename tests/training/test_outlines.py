from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from edgeocr.geometry import transform_points
from edgeocr_training.data.outlines import Outlines

polygons_st = st.lists(
    st.integers(3, 6).flatmap(
        lambda corners: st_numpy.arrays(
            np.float32, (corners, 2), elements=st.floats(-1000, 1000, width=32)
        )
    ),
    max_size=5,
)


@given(polygons_st)
def test_polygons_come_back_and_know_their_extent(polygons: list[NDArray[np.float32]]) -> None:
    outlines = Outlines.of(polygons, [False] * len(polygons))
    assert len(outlines) == len(polygons)
    for polygon, again, low, high in zip(
        polygons, outlines.polygons, outlines.lows_N2, outlines.highs_N2, strict=True
    ):
        np.testing.assert_array_equal(again, polygon)
        np.testing.assert_array_equal(low, polygon.min(axis=0))
        np.testing.assert_array_equal(high, polygon.max(axis=0))


@given(polygons_st, polygons_st, st.randoms(use_true_random=False))
def test_joining_choosing_and_moving_keep_polygons_apart(
    first: list[NDArray[np.float32]], second: list[NDArray[np.float32]], random: Random
) -> None:
    polygons = first + second
    ignored = [random.random() < 0.5 for _ in polygons]
    joined = Outlines.of(first, ignored[: len(first)]) + Outlines.of(second, ignored[len(first) :])
    shift = np.array([[2.0, 0, 5], [0, 2, -7], [0, 0, 1]])
    kept = joined.where(~joined.ignored_N).transformed(shift)
    expected = [polygon for polygon, out in zip(polygons, ignored, strict=True) if not out]
    assert kept.ignored_N.tolist() == [False] * len(expected)
    for polygon, moved in zip(expected, kept.polygons, strict=True):
        np.testing.assert_array_equal(moved, transform_points(polygon, shift))
