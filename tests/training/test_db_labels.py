from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr.geometry import polygon_area, polygon_perimeter
from edgeocr_training.data.db_labels import DbLabels, DbLabelsConfig, db_labels
from edgeocr_training.data.outlines import Outlines

SIZE = 160
CONFIG = DbLabelsConfig(shrink_ratio=0.4, min_text_size=8, threshold_range=(0.3, 0.7))


def draw(
    *polygons: NDArray[np.float32] | Sequence[Sequence[float]],
    ignored: Sequence[bool] | None = None,
    width: int = SIZE,
    height: int = SIZE,
    config: DbLabelsConfig = CONFIG,
) -> DbLabels:
    arrays = [np.array(polygon, dtype=np.float32) for polygon in polygons]
    outlines = Outlines.of(arrays, ignored or [False] * len(arrays))
    return db_labels(outlines, size=SIZE, width=width, height=height, config=config)


def rectangle(
    x: float, y: float, width: float, height: float, degrees: float = 0.0
) -> NDArray[np.float32]:
    """Around the centre (x, y)."""
    corners = cv2.boxPoints(((x, y), (width, height), degrees))
    return np.asarray(corners, dtype=np.float32)


def signed_distances(polygon: NDArray[np.float32]) -> NDArray[np.float64]:
    """(SIZE, SIZE) distance of the pixels' centres from the outline, positive inside."""
    contour = polygon.reshape(-1, 1, 2)
    return np.array(
        [
            [cv2.pointPolygonTest(contour, (x + 0.5, y + 0.5), True) for x in range(SIZE)]
            for y in range(SIZE)
        ]
    )


rectangles_st = st.builds(
    rectangle,
    x=st.floats(50, 110),
    y=st.floats(50, 110),
    width=st.floats(10, 90),
    height=st.floats(10, 90),
    degrees=st.floats(-90, 90),
)


@given(rectangles_st)
def test_the_kernel_lies_in_the_polygon_and_the_band_around_it(
    polygon: NDArray[np.float32],
) -> None:
    """Text that is as large as these is shrunk and grown by more than vertices are rounded."""
    labels = draw(polygon)
    inside = signed_distances(polygon)
    assert labels.shrink_map.any()
    assert (inside[labels.shrink_map == 1] > 0).all()
    assert (labels.threshold_mask[inside > 0] == 1).all()
    assert labels.shrink_mask.all()


@given(rectangles_st)
def test_the_band_falls_linearly_from_the_outline(polygon: NDArray[np.float32]) -> None:
    """As OpenCV measures distances; one level off for rounding at .5."""
    labels = draw(polygon)
    distance = polygon_area(polygon) * (1 - 0.4**2) / polygon_perimeter(polygon)
    closeness = 1 - np.minimum(np.abs(signed_distances(polygon)) / distance, 1)
    expected = 255 * (0.3 + 0.4 * closeness)
    learnt = labels.threshold_mask == 1
    assert np.abs(labels.threshold_map[learnt] - expected[learnt]).max() <= 1
    # At the rim of the mask, whose vertices are whole pixels, the value is the lowest or near it.
    assert np.abs(labels.threshold_map[~learnt] - 255 * 0.3).max() < 255 * 0.4 * 2.5 / distance


def test_a_rectangle_is_shrunk_and_grown_by_d() -> None:
    """100 x 40: D = 4000 * 0.84 / 280 = 12."""
    labels = draw([[20, 60], [120, 60], [120, 100], [20, 100]])
    rows, columns = np.nonzero(labels.shrink_map)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (32, 108, 72, 88)
    rows, columns = np.nonzero(labels.threshold_mask)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (8, 132, 48, 112)
    # Half a pixel from the outline, and D/2 from it.
    assert labels.threshold_map[60, 70] == round(255 * (0.3 + 0.4 * (1 - 0.5 / 12)))
    assert labels.threshold_map[66, 70] == round(255 * (0.3 + 0.4 * (1 - 6.5 / 12)))
    assert labels.threshold_map[80, 70] == round(255 * 0.3)


def test_bands_meet_at_the_higher_value() -> None:
    first, second = rectangle(80, 60, 100, 30), rectangle(80, 96, 100, 30)
    both = draw(first, second)
    alone = np.maximum(draw(first).threshold_map, draw(second).threshold_map)
    np.testing.assert_array_equal(both.threshold_map, alone)


def test_ignored_text_is_masked_and_draws_nothing() -> None:
    polygon = rectangle(80, 80, 100, 40)
    labels = draw(polygon, ignored=[True])
    assert not labels.shrink_map.any()
    assert not labels.threshold_mask.any()
    inside = signed_distances(polygon)
    assert not labels.shrink_mask[inside > 1].any()
    assert labels.shrink_mask[inside < -1].all()


def test_text_that_is_too_small_is_masked_but_keeps_its_band() -> None:
    labels = draw([[20, 60], [120, 60], [120, 67], [20, 67]])
    assert not labels.shrink_map.any()
    assert not labels.shrink_mask[61:66, 21:119].any()
    assert labels.threshold_mask[63, 70] == 1


@pytest.mark.parametrize(
    "polygon",
    [
        [[20, 20], [20, 20], [20, 20], [20, 20]],
        [[20, 20], [80, 80], [140, 140]],
        [[20, 20], [120, 20], [120, 20.01], [20, 20.01]],
    ],
)
def test_text_without_area_is_ignored(polygon: list[list[float]]) -> None:
    labels = draw(polygon)
    assert not labels.shrink_map.any()
    assert not labels.threshold_mask.any()
    assert (labels.threshold_map == round(255 * 0.3)).all()


def test_text_that_would_fall_into_pieces_is_shrunk_less() -> None:
    """Two squares joined by a neck, which a ratio of 0.4 cuts and one of 0.8 leaves."""
    dumbbell = [
        [20, 60], [60, 60], [60, 73], [100, 73], [100, 60], [140, 60],
        [140, 100], [100, 100], [100, 87], [60, 87], [60, 100], [20, 100],
    ]  # fmt: skip
    area, perimeter = polygon_area(np.array(dumbbell)), polygon_perimeter(np.array(dumbbell))
    assert area * (1 - 0.4**2) / perimeter > 7 > area * (1 - 0.8**2) / perimeter
    labels = draw(dumbbell)
    pieces, _ = cv2.connectedComponents(labels.shrink_map)
    assert pieces == 1 + 1  # the background is one


def test_text_that_vanishes_is_ignored() -> None:
    """A cross of bars thinner than a pixel: its extent is large, but nothing is left of it."""
    near, far = 79.1, 79.9
    cross = [
        [near, 20], [far, 20], [far, near], [140, near], [140, far], [far, far],
        [far, 140], [near, 140], [near, far], [20, far], [20, near], [near, near],
    ]  # fmt: skip
    labels = draw(cross)
    assert not labels.shrink_map.any()
    assert labels.shrink_mask[79, 79] == 0


def test_kernels_end_where_the_page_does() -> None:
    """The padding to the right and below is no place for text, the band is as it was."""
    labels = draw([[40, 20], [140, 20], [140, 60], [40, 60]], width=100, height=50)
    assert labels.shrink_map[:50, :100].any()
    assert not labels.shrink_map[50:].any()
    assert not labels.shrink_map[:, 100:].any()
    uncut = draw([[40, 20], [140, 20], [140, 60], [40, 60]])
    np.testing.assert_array_equal(labels.threshold_map, uncut.threshold_map)


@given(
    st.lists(st.tuples(st.floats(-400, 500), st.floats(-400, 500)), min_size=3, max_size=9),
    st.booleans(),
)
def test_any_polygon_is_drawn_or_ignored(corners: list[tuple[float, float]], ignored: bool) -> None:
    """Crossing, outside, in one line: the maps stay what they say they are."""
    labels = draw(corners, ignored=[ignored])
    for binary in (labels.shrink_map, labels.shrink_mask, labels.threshold_mask):
        assert set(np.unique(binary)) <= {0, 1}
    assert labels.threshold_map.min() >= round(255 * 0.3)
    assert labels.threshold_map.max() <= round(255 * 0.7)
    assert not (labels.shrink_map & (1 - labels.shrink_mask)).any()


def test_orientation_and_start_of_a_polygon_change_nothing() -> None:
    polygon = rectangle(80, 80, 90, 30, 20)
    drawn = draw(polygon)
    for other in (polygon[::-1], np.roll(polygon, 1, axis=0)):
        again = draw(other)
        np.testing.assert_array_equal(drawn.threshold_map, again.threshold_map)
        # Clipper rounds corners to whole pixels, which may depend on the order.
        assert np.count_nonzero(drawn.shrink_map != again.shrink_map) <= 4 * math.hypot(90, 30) / 30


def test_no_outlines() -> None:
    labels = draw()
    assert not labels.shrink_map.any()
    assert labels.shrink_mask.all()
    assert not labels.threshold_mask.any()
