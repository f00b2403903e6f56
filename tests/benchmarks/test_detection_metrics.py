import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr_benchmarks.detection_metrics import FoundText, PageCounts, page_counts
from edgeocr_benchmarks.labels import DONT_CARE, Region

Box = tuple[str, float, float, float, float]


def corners(x: float, y: float, width: float, height: float) -> NDArray[np.float64]:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float64)


def count(expected: Sequence[Box], found: Sequence[Box], *, fold_case: bool = False) -> PageCounts:
    return page_counts(
        [Region(text=text, polygon=corners(*box)) for text, *box in expected],
        [FoundText(text=text, polygon=corners(*box)) for text, *box in found],
        fold_case=fold_case,
    )


boxes_st = st.lists(
    st.tuples(
        st.sampled_from(["a", "bc", "word", DONT_CARE]),
        st.integers(0, 60).map(float),
        st.integers(0, 60).map(float),
        st.integers(5, 40).map(float),
        st.integers(5, 40).map(float),
    ),
    max_size=6,
)


def test_two_of_three_regions_by_hand() -> None:
    counts = count(
        [("one", 0, 0, 100, 20), ("two", 0, 40, 100, 20), ("three", 0, 80, 100, 20)],
        [
            ("one", 0, 0, 100, 20),  # IoU 1, text right
            ("tvo", 10, 40, 100, 20),  # IoU 90 / 110, text wrong
            ("three", 60, 80, 100, 20),  # IoU 40 / 160: too little
            ("noise", 300, 300, 50, 50),
        ],
    )
    assert (counts.detection.expected, counts.detection.found) == (3, 4)
    assert counts.detection.matched == 2
    assert counts.detection.precision == 2 / 4
    assert counts.detection.recall == 2 / 3
    assert counts.detection.hmean == pytest.approx(4 / 7)
    assert counts.end_to_end.matched == 1


def test_iou_of_exactly_one_half_matches() -> None:
    # 100 x 10 inside of 100 x 20.
    assert count([("a", 0, 0, 100, 20)], [("a", 0, 0, 100, 10)]).detection.matched == 1
    assert count([("a", 0, 0, 100, 20)], [("a", 0, 0, 100, 9.9)]).detection.matched == 0


def test_one_detection_serves_one_region() -> None:
    counts = count([("a", 0, 0, 100, 20), ("a", 0, 0, 100, 20)], [("a", 0, 0, 100, 20)])
    assert (counts.detection.matched, counts.end_to_end.matched) == (1, 1)


def test_the_pairing_that_matches_most_is_taken() -> None:
    # The wide detection overlaps both regions, the other one only the first: pairing the
    # first region with the wide detection would leave the second without any.
    first, second = ("x", 0, 0, 100, 20), ("y", 40, 0, 100, 20)
    wide, narrow = ("x", 20, 0, 100, 20), ("x", 0, 0, 60, 20)
    assert count([first, second], [wide, narrow]).detection.matched == 2
    assert count([second, first], [narrow, wide]).detection.matched == 2


def test_a_line_over_its_words_matches_none_of_them() -> None:
    """The trap of labels that are words: the metric is low although everything was read."""
    words = [("pay", 0, 0, 40, 20), ("by", 50, 0, 30, 20), ("Friday", 90, 0, 60, 20)]
    counts = count(words, [("pay by Friday", 0, 0, 150, 20)])
    assert counts.detection.matched == 0
    assert counts.characters.hmean == 1


def test_detection_in_a_dont_care_region_is_left_out() -> None:
    counts = count(
        [(DONT_CARE, 0, 0, 100, 20), ("text", 0, 50, 100, 20)],
        [("illegible", 10, 0, 60, 20), ("text", 0, 50, 100, 20)],
    )
    assert (counts.detection.expected, counts.detection.found) == (1, 1)
    assert counts.detection.hmean == counts.end_to_end.hmean == counts.characters.hmean == 1


def test_detection_half_in_a_dont_care_region_counts() -> None:
    # The share must exceed one half, of the detection's own area.
    assert count([(DONT_CARE, 0, 0, 50, 20)], [("a", 0, 0, 100, 20)]).detection.found == 1
    assert count([(DONT_CARE, 0, 0, 51, 20)], [("a", 0, 0, 100, 20)]).detection.found == 0
    assert count([(DONT_CARE, 0, 0, 900, 900)], [("a", 0, 0, 100, 20)]).detection.found == 0


def test_text_is_compared_canonically() -> None:
    box = (0, 0, 100, 20)
    assert count([("New!", *box)], [(" Ｎｅｗ！", *box)]).end_to_end.matched == 1
    assert count([("TOTAL", *box)], [("Total", *box)]).end_to_end.matched == 0
    assert count([("TOTAL", *box)], [("Total", *box)], fold_case=True).end_to_end.matched == 1


def test_empty_page_read_as_empty_is_perfect() -> None:
    counts = count([], [])
    assert counts.detection.hmean == counts.end_to_end.hmean == counts.characters.hmean == 1


def test_many_boxes_on_one_place_are_no_trouble() -> None:
    box = ("a", 0, 0, 100, 20)
    assert count([box] * 300, [box] * 300).detection.matched == 300


@given(boxes_st)
def test_perfect_prediction_scores_one(boxes: list[Box]) -> None:
    legible = [box for box in boxes if box[0] != DONT_CARE]
    counts = count(legible, legible)
    for part in (counts.detection, counts.end_to_end, counts.characters):
        assert part.precision == part.recall == part.hmean == 1


@given(boxes_st, boxes_st, st.integers(0, 2**32))
def test_order_of_boxes_changes_nothing(expected: list[Box], found: list[Box], seed: int) -> None:
    shuffle = random.Random(seed)
    shuffled = (
        shuffle.sample(expected, len(expected)),
        shuffle.sample(found, len(found)),
    )
    assert count(*shuffled) == count(expected, found)


@given(boxes_st, boxes_st)
def test_swapping_truth_and_reading_keeps_hmean(expected: list[Box], found: list[Box]) -> None:
    expected = [box for box in expected if box[0] != DONT_CARE]
    found = [box for box in found if box[0] != DONT_CARE]
    forth, back = count(expected, found), count(found, expected)
    assert forth.detection.hmean == back.detection.hmean
    assert forth.end_to_end.hmean == back.end_to_end.hmean
    assert forth.characters.hmean == back.characters.hmean


@given(boxes_st, boxes_st)
def test_reading_right_implies_finding(expected: list[Box], found: list[Box]) -> None:
    counts = count(expected, found)
    assert counts.end_to_end.matched <= counts.detection.matched


@given(boxes_st, boxes_st, st.integers(-500, 500), st.integers(-500, 500))
def test_moving_the_page_changes_nothing(
    expected: list[Box], found: list[Box], dx: int, dy: int
) -> None:
    def moved(boxes: list[Box]) -> list[Box]:
        return [(text, x + dx, y + dy, w, h) for text, x, y, w, h in boxes]

    assert count(moved(expected), moved(found)) == count(expected, found)
