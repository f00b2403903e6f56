from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr_training.data.crop import Crop, random_crop

WIDTH, HEIGHT = 300, 200

boxes_st = st.lists(
    st.tuples(st.floats(-20, 290), st.floats(-20, 190), st.floats(0.5, 80), st.floats(0.5, 60)).map(
        lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
    ),
    max_size=8,
).map(lambda boxes: np.array(boxes, dtype=np.float32).reshape(-1, 4))


def crop_of(
    boxes: NDArray[np.float32],
    seed: int,
    *,
    tries: int = 50,
    ratio: float = 0.1,
    fill: bool = False,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Crop:
    return random_crop(
        boxes[:, :2],
        boxes[:, 2:],
        *size,
        np.random.default_rng(seed),
        tries=tries,
        min_side_ratio=ratio,
        fill_square=fill,
    )


@given(boxes_st, st.integers(0, 1000), st.booleans())
def test_a_crop_cuts_no_text_and_shows_some(
    boxes: NDArray[np.float32], seed: int, fill: bool
) -> None:
    crop = crop_of(boxes, seed, fill=fill)
    assert crop.x >= 0
    assert crop.y >= 0
    assert crop.x + crop.width <= WIDTH
    assert crop.y + crop.height <= HEIGHT
    assert crop.width >= 0.1 * WIDTH
    assert crop.height >= 0.1 * HEIGHT
    shown = 0
    for left, top, right, bottom in boxes.tolist():
        # What the page itself cuts off is no concern of the crop.
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, WIDTH), min(bottom, HEIGHT)
        apart = (
            right <= crop.x
            or left >= crop.x + crop.width
            or bottom <= crop.y
            or top >= crop.y + crop.height
        )
        within = (
            left >= crop.x
            and right <= crop.x + crop.width
            and top >= crop.y
            and bottom <= crop.y + crop.height
        )
        assert apart or within
        shown += within
    on_page = (boxes[:, :2] < (WIDTH, HEIGHT)) & (boxes[:, 2:] > 0)
    assert shown or not on_page.all(axis=1).any()


@given(boxes_st, st.integers(0, 1000))
def test_filling_only_adds(boxes: NDArray[np.float32], seed: int) -> None:
    """The same crop is drawn first. Its longer side stays: the sample's scale is decided by it."""
    plain, filled = crop_of(boxes, seed), crop_of(boxes, seed, fill=True)
    assert filled.x <= plain.x
    assert filled.y <= plain.y
    assert filled.x + filled.width >= plain.x + plain.width
    assert filled.y + filled.height >= plain.y + plain.height
    whole = (plain.width, plain.height) == (WIDTH, HEIGHT)
    assert whole or max(filled.width, filled.height) == max(plain.width, plain.height)


def test_filling_makes_squares_of_an_empty_page() -> None:
    """As far as its height goes."""
    empty = np.empty((0, 4), dtype=np.float32)
    for seed in range(50):
        crop = crop_of(empty, seed, fill=True)
        assert min(crop.width, crop.height) == min(max(crop.width, crop.height), HEIGHT)


def test_crops_differ() -> None:
    boxes = np.array([[140, 90, 160, 110]], dtype=np.float32)
    crops = {crop_of(boxes, seed) for seed in range(100)}
    assert len(crops) > 90
    assert min(crop.width for crop in crops) < 0.3 * WIDTH
    assert max(crop.width for crop in crops) > 0.8 * WIDTH


def test_a_page_that_text_covers_is_shown_whole() -> None:
    boxes = np.array([[-5, -5, 305, 205]], dtype=np.float32)
    assert crop_of(boxes, 0) == Crop(x=0, y=0, width=WIDTH, height=HEIGHT)


def test_text_that_touches_the_edges_can_be_cropped() -> None:
    """A cut at the edge of the page crosses nothing."""
    boxes = np.array([[0, 0, 50, 20]], dtype=np.float32)
    crops = [crop_of(boxes, seed) for seed in range(50)]
    assert any(crop.width < WIDTH and crop.height < HEIGHT for crop in crops)


def test_few_tries_may_end_with_the_whole_page() -> None:
    boxes = np.array([[0, 0, 10, 10]], dtype=np.float32)
    crops = [crop_of(boxes, seed, tries=1) for seed in range(50)]
    assert Crop(x=0, y=0, width=WIDTH, height=HEIGHT) in crops


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3, 2)])
def test_tiny_pages(size: tuple[int, int]) -> None:
    empty = np.empty((0, 4), dtype=np.float32)
    for seed in range(20):
        crop = crop_of(empty, seed, size=size, ratio=0, fill=True)
        assert 1 <= crop.width <= size[0]
        assert 1 <= crop.height <= size[1]
