"""Masks hide as much as their parameters say, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeocr_training.data.erasing import (
    Mask,
    cut_out_mask,
    grid_mask,
    hidden,
    hide_and_seek_mask,
    rand_erasing_mask,
)

MakeMask = Callable[[np.random.Generator], Mask]
MASKS = [cut_out_mask, rand_erasing_mask, hide_and_seek_mask, grid_mask]


def sides(mask: Mask) -> tuple[Mask, Mask]:
    """Rows and columns with something hidden, (224,) each."""
    return np.asarray(mask.any(axis=1)), np.asarray(mask.any(axis=0))


def is_rectangle(mask: Mask) -> bool:
    rows, columns = sides(mask)
    return bool(np.array_equal(mask, rows[:, None] & columns)) and all(
        np.diff(np.flatnonzero(side)).max(initial=1) == 1 for side in (rows, columns)
    )


@pytest.mark.parametrize("make", MASKS)
@given(height=st.integers(1, 60), width=st.integers(1, 250), seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_the_rest_of_the_image_stays(make: MakeMask, height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(0).integers(128, 256, (height, width, 3)).astype(np.uint8)
    mask = make(np.random.default_rng(seed))
    assert mask.shape == (224, 224)
    assert np.array_equal(mask, make(np.random.default_rng(seed)))
    before = image.copy()
    shown = hidden(image, mask)
    gone = (shown == 127).all(axis=2)
    np.testing.assert_array_equal(shown[~gone], image[~gone])
    np.testing.assert_array_equal(image, before)
    assert not gone.any() or mask.any()
    assert gone.any() or not mask.all()


def test_masks_are_stretched_over_both_sides() -> None:
    mask = np.zeros((224, 224), dtype=np.bool_)
    mask[:112, 56:112] = True
    shown = hidden(np.zeros((48, 192, 3), dtype=np.uint8), mask)
    expected = np.zeros((48, 192, 3), dtype=np.uint8)
    expected[:24, 48:96] = 127
    np.testing.assert_array_equal(shown, expected)


def test_cut_out_hides_one_hole_of_half_of_each_side() -> None:
    masks = [cut_out_mask(np.random.default_rng(seed)) for seed in range(300)]
    assert all(is_rectangle(mask) for mask in masks)
    areas = [mask.sum() / 112**2 for mask in masks]
    assert max(areas) == 1
    # The middle is anywhere, so holes at edges are cut off to half, and at corners to a quarter.
    assert 0.25 <= min(areas) < 0.35


def test_random_erasing_hides_one_rectangle_in_half_of_the_images() -> None:
    masks = [rand_erasing_mask(np.random.default_rng(seed)) for seed in range(400)]
    erased = [mask for mask in masks if mask.any()]
    assert abs(len(erased) - 200) < 4 * np.sqrt(400 / 4)
    assert all(is_rectangle(mask) for mask in erased)
    areas = [mask.mean() for mask in erased]
    # Sides are rounded to whole pixels.
    assert 0.018 < min(areas) < 0.06
    assert 0.35 < max(areas) < 0.405
    aspects = [rows.sum() / columns.sum() for rows, columns in map(sides, erased)]
    assert 0.28 < min(aspects) < 0.5
    assert 2.5 < max(aspects) < 3.5


def test_hide_and_seek_hides_half_of_the_cells_of_a_grid() -> None:
    masks = [hide_and_seek_mask(np.random.default_rng(seed)) for seed in range(200)]
    # One of five grids is none.
    assert abs(sum(not mask.any() for mask in masks) - 40) < 4 * np.sqrt(200 * 0.2 * 0.8)
    assert abs(np.mean([mask.mean() for mask in masks if mask.any()]) - 0.5) < 0.03
    whole_cells = {16: 0, 32: 0, 44: 0, 56: 0}
    for mask in filter(np.any, masks):
        cells = [
            c
            for c in whole_cells
            if np.array_equal(mask, mask[::c, ::c].repeat(c, 0).repeat(c, 1)[:224, :224])
        ]
        assert cells
        whole_cells[max(cells)] += 1
    assert min(whole_cells.values()) > 10


def test_grid_mask_hides_squares_of_half_the_period() -> None:
    masks = [grid_mask(np.random.default_rng(seed)) for seed in range(300)]
    grids = [mask for mask in masks if mask.any()]
    # Some grids of long period have no square in the image.
    assert 110 < len(grids) < 190
    for mask in grids:
        rows, columns = sides(mask)
        np.testing.assert_array_equal(mask, rows[:, None] & columns)
        for side in (rows, columns):
            runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], side, [0]]))))[::2]
            assert runs.max() <= 112
    assert abs(np.mean([mask.mean() for mask in grids]) - 0.25) < 0.05
