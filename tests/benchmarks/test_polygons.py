import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr_benchmarks.polygons import PolygonArea


def polygon(*points: tuple[float, float]) -> PolygonArea:
    return PolygonArea(np.array(points, dtype=np.float64))


def square(x: float, y: float, side: float) -> PolygonArea:
    return polygon((x, y), (x + side, y), (x + side, y + side), (x, y + side))


# Two arms of width 1 along the axes: area 7. Its convex hull would have 11.5.
L_SHAPE = ((0.0, 0.0), (4.0, 0.0), (4.0, 1.0), (1.0, 1.0), (1.0, 4.0), (0.0, 4.0))


@st.composite
def quads_st(draw: st.DrawFn) -> NDArray[np.float64]:
    """Rotated rectangles, as detectors give them."""
    centre = [draw(st.floats(50, 150)) for _ in range(2)]
    size = [draw(st.floats(5, 100)) for _ in range(2)]
    angle = draw(st.floats(0, 180))
    return cv2.boxPoints((centre, size, angle)).astype(np.float64)


def test_overlapping_squares() -> None:
    first, second = square(0, 0, 10), square(5, 5, 10)
    assert first.area == 100
    assert first.intersection(second) == 25
    assert first.iou(second) == 25 / 175


def test_non_convex_polygon_is_not_taken_for_its_hull() -> None:
    shape = polygon(*L_SHAPE)
    assert shape.area == 7
    assert shape.intersection(square(1, 1, 3)) == 0
    assert shape.intersection(square(0.5, 0.5, 2)) == pytest.approx(0.5 * 2 + 0.5 * 1.5)


def test_touching_and_distant_polygons_share_nothing() -> None:
    assert square(0, 0, 10).iou(square(10, 0, 10)) == 0
    assert square(0, 0, 10).iou(square(500, 0, 10)) == 0


def test_self_crossing_outline_counts_enclosed_points_once() -> None:
    bow_tie = polygon((0, 0), (10, 10), (10, 0), (0, 10))
    assert bow_tie.area == pytest.approx(50)
    assert bow_tie.intersection(square(0, 0, 10)) == pytest.approx(50)


@pytest.mark.parametrize("points", [((0, 0), (5, 5), (10, 10)), ((3, 3), (3, 3), (3, 3), (3, 3))])
def test_collapsed_polygon_has_no_area_and_matches_nothing(
    points: tuple[tuple[float, float], ...],
) -> None:
    collapsed = polygon(*points)
    assert collapsed.area == 0
    assert collapsed.iou(square(0, 0, 10)) == 0
    assert collapsed.iou(collapsed) == 0


def clip_convex(subject: NDArray[np.float64], clip: NDArray[np.float64]) -> float:
    """Area of the intersection of convex polygons, by Sutherland and Hodgman (1974)."""
    points = list(subject)
    for start, end in zip(clip, np.roll(clip, -1, axis=0), strict=True):
        edge = end - start

        sides = [edge[0] * (y - start[1]) - edge[1] * (x - start[0]) for x, y in points]
        kept = []
        for i, point in enumerate(points):
            here, there = sides[i], sides[(i + 1) % len(points)]
            if here >= 0:
                kept.append(point)
            if (here >= 0) != (there >= 0):
                kept.append(point + here / (here - there) * (points[(i + 1) % len(points)] - point))
        points = kept
    if not points:
        return 0.0
    x, y = np.transpose(points)
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


@given(quads_st(), quads_st())
def test_equals_a_float_clipper_on_convex_polygons(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> None:
    expected = clip_convex(first, second)
    # 1/2048 pixel of rounding along outlines of at most 400 pixels each.
    assert PolygonArea(first).intersection(PolygonArea(second)) == pytest.approx(expected, abs=0.4)


@given(quads_st(), quads_st())
def test_iou_is_symmetric_bounded_and_blind_to_orientation(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> None:
    iou = PolygonArea(first).iou(PolygonArea(second))
    assert 0 <= iou <= 1
    assert PolygonArea(second).iou(PolygonArea(first)) == pytest.approx(iou, abs=1e-9)
    assert PolygonArea(first[::-1]).iou(PolygonArea(second)) == pytest.approx(iou, abs=1e-9)
    assert PolygonArea(first).iou(PolygonArea(first)) == pytest.approx(1)
