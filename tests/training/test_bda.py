"""BDA keeps lines where they are, more or less, and changes nothing else than it says."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeocr_training.data.bda import bda_augmented


@given(st.integers(1, 96), st.integers(1, 400), st.integers(0, 2**32))
@settings(max_examples=40)
def test_any_line_keeps_its_size(height: int, width: int, seed: int) -> None:
    line = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    before = line.copy()
    augmented = bda_augmented(line, np.random.default_rng(seed))
    assert (augmented.shape, augmented.dtype) == (line.shape, line.dtype)
    assert np.array_equal(augmented, bda_augmented(line, np.random.default_rng(seed)))
    assert np.array_equal(line, before)


def test_the_ends_of_long_lines_stay_in_sight() -> None:
    """Bars across the middle half of both ends of a line of 8:1 never vanish or change sides."""
    line = np.zeros((48, 384, 3), dtype=np.uint8)
    line[12:36, 4:20] = (255, 0, 0)
    line[12:36, -20:-4] = (0, 0, 255)
    heights = set()
    for seed in range(60):
        shown = bda_augmented(line, np.random.default_rng(seed)).astype(int)
        left, right = shown[:, :40], shown[:, -40:]
        assert left[..., 0].max() > 150
        assert right[..., 2].max() > 150
        heights.add(int(left[..., 0].sum(axis=1).argmax()))
    assert len(heights) > 5, "rotation and perspective move the ends"


def test_each_of_the_four_comes_by_itself() -> None:
    """In 0.6^4 = 0.13 of 500 nothing is done, give or take 4 deviations."""
    line = np.random.default_rng(0).integers(0, 256, (24, 60, 3)).astype(np.uint8)
    rng = np.random.default_rng(1)
    same = sum(np.array_equal(bda_augmented(line, rng), line) for _ in range(500))
    assert abs(same - 500 * 0.6**4) < 4 * np.sqrt(500 * 0.13 * 0.87)
