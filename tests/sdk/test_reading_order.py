"""Pages are read as a person would, wherever they lie and however they were listed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr.reading_order import page_skew, reading_order

Quads = NDArray[np.float64]


def _box(x: float, y: float, width: float, height: float = 20) -> list[list[float]]:
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


def _turn(quads: Quads, degrees: float) -> Quads:
    """Around the origin, clockwise as seen on the screen."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turned: Quads = quads @ np.array([[cosine, sine], [-sine, cosine]])
    return turned


def _paragraph() -> Quads:
    widths = (500, 480, 505, 490, 130)
    return np.array([_box(50, 40 + 30 * i, width) for i, width in enumerate(widths)])


def _words() -> Quads:
    """Four rows of words whose boxes wobble by up to a fifth of their height."""
    random = np.random.default_rng(1)
    boxes = []
    for row in range(4):
        x = 40.0
        for _ in range(6):
            width = float(random.uniform(30, 120))
            boxes.append(_box(x, 50 + 32 * row + float(random.uniform(-4, 4)), width))
            x += width + 8
    return np.array(boxes)


def _two_columns() -> Quads:
    """A heading across, two columns whose lines do not align, a footer across."""
    heading = [_box(200, 10, 400, 40)]
    left = [_box(40, 80 + 28 * i, 330 - 23 * (i % 3)) for i in range(8)]
    right = [_box(420, 86 + 26 * i, 335 - 17 * (i % 4)) for i in range(9)]
    return np.array([*heading, *left, *right, _box(40, 360, 720)])


def _aligned_columns() -> Quads:
    """Both columns on the same lines, the last of them short."""
    left = [_box(40, 80 + 28 * i, width) for i, width in enumerate((330, 320, 328, 60))]
    right = [_box(420, 80 + 28 * i, width) for i, width in enumerate((330, 325, 310, 331))]
    return np.array([*left, *right])


def _three_columns() -> Quads:
    return np.array(
        [_box(40 + 290 * c, 80 + 28 * i, 250 - 9 * (i % 2)) for c in range(3) for i in range(6)]
    )


def _receipt() -> Quads:
    """A name across, then items on the left and prices at the right edge."""
    items = [(150, 60), (220, 55), (90, 60), (260, 70), (130, 55), (40, 75)]
    boxes = [_box(120, 10, 180, 30)]
    for i, (item, price) in enumerate(items):
        boxes += [_box(30, 60 + 30 * i, item), _box(420 - price, 61 + 30 * i, price)]
    return np.array(boxes)


def _table() -> Quads:
    return np.array(
        [_box(40 + 150 * c, 60 + 34 * r, 90 - 8 * c) for r in range(6) for c in range(4)]
    )


def _vertical() -> Quads:
    """Columns of vertical text: from the right to the left."""
    return np.array([_box(500 - 40 * i, 50, 24, 300 - 30 * (i % 3)) for i in range(6)])


def _heading_between_columns() -> Quads:
    """Two columns, a heading across, two columns: the upper part is read first."""
    upper = [_box(40 + 380 * c, 40 + 28 * i, 330) for c in range(2) for i in range(4)]
    lower = [_box(40 + 380 * c, 220 + 28 * i, 330) for c in range(2) for i in range(4)]
    return np.array([*upper, _box(150, 170, 500, 30), *lower])


PAGES = {
    "paragraph": _paragraph(),
    "words": _words(),
    "two columns": _two_columns(),
    "aligned columns": _aligned_columns(),
    "three columns": _three_columns(),
    "heading between columns": _heading_between_columns(),
    "receipt": _receipt(),
    "table": _table(),
    "vertical": _vertical(),
}
pages = st.sampled_from(sorted(PAGES))


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_read_in_the_order_in_which_they_are_written_above(name: str) -> None:
    assert reading_order(PAGES[name]) == list(range(len(PAGES[name])))


@given(pages, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(name: str, random: st.DrawFn) -> None:
    shuffled = list(range(len(PAGES[name])))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    order = reading_order(PAGES[name][shuffled])
    assert [shuffled[index] for index in order] == list(range(len(PAGES[name])))


@given(pages, st.floats(-5000, 5000), st.floats(-5000, 5000), st.floats(0.05, 20))
def test_place_and_size_do_not_matter(name: str, x: float, y: float, scale: float) -> None:
    moved = PAGES[name] * scale + np.array([x, y])
    assert reading_order(moved) == list(range(len(PAGES[name])))


@given(pages, st.floats(-10, 10))
def test_a_skewed_page_reads_like_a_straight_one(name: str, degrees: float) -> None:
    skewed = _turn(PAGES[name], degrees)
    assert reading_order(skewed) == list(range(len(PAGES[name])))


@given(st.floats(-40, 40))
def test_skew_is_that_of_the_long_boxes(degrees: float) -> None:
    noise = np.array([_box(600, 20 * i, 18, 18) for i in range(9)])  # says nothing
    quads = np.concatenate([_turn(_paragraph(), degrees), noise])
    assert np.rad2deg(page_skew(quads)) == pytest.approx(degrees, abs=1e-6)


def test_skew_without_long_boxes_is_none() -> None:
    assert page_skew(np.array([_box(0, 0, 20), _box(50, 7, 20)])) == 0.0


def test_perspective_does_not_tear_rows() -> None:
    """Rows that fan out by 3 degrees, in words: no angle fits them all."""
    rows = [
        _turn(_words()[6 * row : 6 * row + 6], degrees)
        for row, degrees in enumerate((-1.5, -0.5, 0.5, 1.5))
    ]
    assert reading_order(np.concatenate(rows)) == list(range(24))


def test_few_boxes() -> None:
    assert reading_order(np.empty((0, 4, 2))) == []
    assert reading_order(np.array([_box(5, 5, 50)])) == [0]
    assert reading_order(np.array([_box(90, 5, 50), _box(5, 5, 50)])) == [1, 0]


@given(
    st.lists(
        st.tuples(st.floats(0, 500), st.floats(0, 500), st.floats(0, 300), st.floats(0, 80)),
        max_size=30,
    )
)
def test_every_box_is_read_once(boxes: list[tuple[float, float, float, float]]) -> None:
    quads = np.array([_box(*box) for box in boxes]).reshape(-1, 4, 2)
    assert sorted(reading_order(quads)) == list(range(len(boxes)))
