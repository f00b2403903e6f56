"""Moving least squares send points where they are sent, and nothing moves that is not moved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr_training.data.tia import (
    distorted,
    moving_least_squares,
    source_map,
    stretched,
    tia_augmented,
    tilted,
)

Augment = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]

sizes_st = st.tuples(st.integers(1, 70), st.integers(1, 300))
seeds_st = st.integers(0, 2**32)


def frame(height: int, width: int) -> NDArray[np.float64]:
    """Corners and the middles of the long sides."""
    x, y = [0, width / 2, width], [0, height]
    return np.array([(a, b) for b in y for a in x], dtype=np.float64)


@given(sizes_st)
def test_without_displacement_every_pixel_stays(size: tuple[int, int]) -> None:
    height, width = size
    points_N2 = frame(height, width)
    x_HW, y_HW = source_map(height, width, points_N2, points_N2)
    # Coordinates are float32: 2^-24 of 300 pixels, and the rounding of the sums before.
    np.testing.assert_allclose(x_HW, np.tile(np.arange(width), (height, 1)), atol=1e-4)
    np.testing.assert_allclose(y_HW, np.tile(np.arange(height)[:, None], (1, width)), atol=1e-4)


@given(sizes_st, seeds_st)
def test_each_point_goes_exactly_where_it_is_sent(size: tuple[int, int], seed: int) -> None:
    from_N2 = frame(*size)
    to_N2 = from_N2 + np.random.default_rng(seed).uniform(-20, 20, from_N2.shape)
    sent_N2 = moving_least_squares(from_N2, from_N2, to_N2)
    # The weight of a place on a point is bounded; see the function.
    np.testing.assert_allclose(sent_N2, to_N2, atol=1e-5)


@given(
    seeds_st,
    st.floats(0.3, 3),
    st.floats(-np.pi, np.pi),
    st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
)
def test_a_similarity_of_the_points_is_one_of_the_whole_image(
    seed: int, scale: float, angle: float, offset: tuple[float, float]
) -> None:
    """Between the nodes of the grid as well: the map is the similarity at every pixel."""
    height, width = 33, 150
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn_22 = np.array([[cos, -sin], [sin, cos]])
    target_N2 = frame(height, width)
    source_N2 = target_N2 @ turn_22.T + offset
    x_HW, y_HW = source_map(height, width, source_N2, target_N2)
    y, x = np.random.default_rng(seed).integers((height, width))
    expected = turn_22 @ (x + 0.5, y + 0.5) + offset - 0.5
    # float32 of coordinates below 1,000.
    np.testing.assert_allclose((x_HW[y, x], y_HW[y, x]), expected, atol=1e-3)


@given(sizes_st, seeds_st)
@settings(max_examples=25)
def test_lines_keep_size_type_and_range_of_colours(size: tuple[int, int], seed: int) -> None:
    """Bilinear with repeated borders invents no colour, whatever the size."""
    rng = np.random.default_rng(seed)
    line = rng.integers(60, 190, (*size, 3)).astype(np.uint8)
    before = line.copy()
    for augment in (distorted, stretched, tilted, tia_augmented):
        augmented = augment(line, rng)
        assert augmented.shape == line.shape
        assert augmented.dtype == np.uint8
        assert line.min() <= augmented.min()
        assert augmented.max() <= line.max()
    np.testing.assert_array_equal(line, before)


def test_stretching_moves_columns_alone() -> None:
    """Rows of one colour stay as they are, and columns don't."""
    rows = np.repeat(np.arange(40, dtype=np.uint8)[:, None, None], 200, axis=1).repeat(3, axis=2)
    rng = np.random.default_rng(3)
    moved = stretched(rows, rng).astype(int) - rows
    # Similarities turn a little between points that move by different amounts; the rows are
    # one grey level each, so this is in pixels.
    assert np.abs(moved[[0, -1]]).max() <= 2
    columns = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 40, axis=0).repeat(3, axis=2)
    stretch = stretched(columns, rng)
    assert np.abs(stretch.astype(int) - columns).max() > 5
    # The ends stay: between the corners the edge of the image turns by less than a pixel.
    assert np.abs(stretch[:, [0, -1]].astype(int) - columns[:, [0, -1]]).max() <= 1


def test_tilting_moves_rows_into_the_line() -> None:
    """What lay at the top left is found up to half of the height below, and the rest repeats it."""
    line = np.repeat(np.arange(64, dtype=np.uint8)[:, None, None], 30, axis=1).repeat(3, axis=2)
    seen = set()
    for seed in range(20):
        column = tilted(line, np.random.default_rng(seed))[:, 0, 0].astype(int)
        top = int((column == 0).sum())
        assert 1 <= top <= 33
        assert np.all(np.diff(column) >= 0)
        seen.add(top)
    assert len(seen) > 8


@pytest.mark.parametrize("augment", [distorted, stretched])
@pytest.mark.parametrize("width", [60, 200, 1000])
def test_lines_are_not_folded_over(augment: Augment, width: int) -> None:
    """Rows stay in order, and so do columns, but for one in fifty pixels of strong bends."""
    height = 32
    rows = np.repeat(np.arange(height, dtype=np.uint8)[:, None, None], width, axis=1)
    columns = np.repeat((np.arange(width) * 255 // width).astype(np.uint8)[None], height, axis=0)
    folded = []
    for seed in range(30):
        down = augment(rows.repeat(3, axis=2), np.random.default_rng(seed))[..., 0].astype(int)
        right = augment(columns[..., None].repeat(3, axis=2), np.random.default_rng(seed))[
            ..., 0
        ].astype(int)
        folded.append(max((np.diff(down, axis=0) < 0).mean(), (np.diff(right, axis=1) < 0).mean()))
    assert max(folded) < 0.02


@pytest.mark.parametrize("augment", [distorted, stretched, tilted, tia_augmented])
def test_the_generator_decides_alone(augment: Augment) -> None:
    line = np.random.default_rng(0).integers(0, 256, (40, 160, 3)).astype(np.uint8)
    first, again, other = (augment(line, np.random.default_rng(seed)) for seed in (1, 1, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
