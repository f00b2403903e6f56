"""RecAug and RecConAug do what their sheet says and nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr_training.data.rec_augmentation import (
    cropped,
    jittered,
    noisy,
    rec_augmented,
    recoloured,
)
from edgeocr_training.data.rec_con_aug import joined

sizes_st = st.tuples(st.integers(1, 70), st.integers(1, 120))
seeds_st = st.integers(0, 2**32)


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@given(sizes_st, seeds_st)
@settings(max_examples=60)
def test_width_stays_and_few_rows_go(size: tuple[int, int], seed: int) -> None:
    line = picture(*size)
    before = line.copy()
    augmented = rec_augmented(line, np.random.default_rng(seed))
    assert augmented.dtype == np.uint8
    assert augmented.shape[1:] == line.shape[1:]
    assert 0 <= size[0] - augmented.shape[0] <= (8 if min(size) >= 20 else 0)
    assert np.array_equal(rec_augmented(line, np.random.default_rng(seed)), augmented)
    np.testing.assert_array_equal(line, before)


def test_crops_are_of_top_or_bottom_and_spare_the_letters() -> None:
    rng = np.random.default_rng(0)
    for height, most in ((70, 8), (20, 2)):
        line = picture(height, 50)
        rows = set()
        for _ in range(200):
            part = cropped(line, rng)
            gone = height - len(part)
            top = np.array_equal(part, line[gone:])
            assert top or np.array_equal(part, line[:-gone])
            rows.add((top, gone))
        assert rows == {(top, gone) for top in (True, False) for gone in range(1, most + 1)}


@given(seeds_st)
@settings(max_examples=30)
def test_colour_and_noise_change_grey_levels_by_one_or_so(seed: int) -> None:
    line = picture(30, 40)
    rng = np.random.default_rng(seed)
    coloured = recoloured(line, rng).astype(int) - line
    assert set(np.unique(coloured)) <= {-1, 0}
    # Half of a deviation of 0.32: five deviations are below one level.
    assert np.abs(noisy(line, rng).astype(int) - line).max() <= 2


def test_jitter_moves_to_the_lower_right() -> None:
    line = picture(250, 300)
    shifts = set()
    for seed in range(30):
        moved = jittered(line, np.random.default_rng(seed))
        shift = next(
            s for s in range(3) if np.array_equal(moved[s:, s:], line[: 250 - s, : 300 - s])
        )
        assert np.array_equal(moved[:shift], line[:shift])
        shifts.add(shift)
    assert shifts == {0, 1, 2}


def test_operations_come_with_their_probability() -> None:
    """Inversion alone turns a black line white: in 0.4 of 2,000, give or take 4 deviations."""
    black = np.zeros((8, 8, 3), dtype=np.uint8)
    rng = np.random.default_rng(0)
    inverted = sum(rec_augmented(black, rng).min() == 255 for _ in range(2000))
    assert abs(inverted - 800) < 4 * np.sqrt(2000 * 0.4 * 0.6)


def test_words_are_joined_with_a_space_and_its_room() -> None:
    left, right = picture(40, 100), np.full((20, 30, 3), 200, dtype=np.uint8)
    both = joined(left, "two", right, "words", max_length=25, max_aspect=10)
    assert both is not None
    image, text = both
    assert text == "two words"
    assert image.shape == (40, 100 + 12 + 60, 3)
    assert np.array_equal(image[:, :100], left)
    assert (image[:, 112:] == 200).all()
    gap = image[:, 100:112]
    assert (gap == gap[:1]).all(), "nothing is written in the gap"
    assert np.abs(gap[0, -1].astype(int) - 200).max() <= 20


def test_characters_of_full_width_are_joined_without_a_space() -> None:
    left, right = picture(40, 100), picture(40, 50, seed=1)
    for texts in (("今", "天"), ("今", "a"), ("a", "，")):
        both = joined(left, texts[0], right, texts[1], max_length=2, max_aspect=10)
        assert both is not None
        assert both[1] == "".join(texts)
        assert np.array_equal(both[0], np.hstack([left, right]))


def test_what_would_be_too_long_is_not_joined() -> None:
    left, right = picture(40, 100), picture(40, 88, seed=1)
    # 3 + 1 + 5 characters; (100 + 12 + 88) / 40 = 5
    assert joined(left, "two", right, "words", max_length=9, max_aspect=5) is not None
    assert joined(left, "two", right, "words", max_length=8, max_aspect=5) is None
    assert joined(left, "two", right, "words", max_length=9, max_aspect=4.99) is None
