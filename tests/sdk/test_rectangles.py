"""The rectangle of least area is exact: fractions find the same, to the last bit."""

from fractions import Fraction
from random import Random

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr.rectangles import min_area_rectangle

COORDINATES = st.integers(-2000, 2000)
POINTS = st.lists(st.tuples(COORDINATES, COORDINATES), min_size=1, max_size=20)
SMALL = st.integers(0, 6)
CLOSE_POINTS = st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=20)
"""With many rectangles that are equally small."""


def _points(pairs: list[tuple[int, int]]) -> NDArray[np.int32]:
    return np.array(pairs, dtype=np.int32)


def _least_areas(points: NDArray[np.int32]) -> list[tuple[Fraction, Fraction, list[Fraction]]]:
    """Of every rectangle with a side on an edge of the hull: area, slope and corners."""
    found = []
    pairs = [(int(x), int(y)) for x, y in points]
    hull: list[list[int]] = np.asarray(cv2.convexHull(points), np.int32).reshape(-1, 2).tolist()
    edges = {(b[0] - a[0], b[1] - a[1]) for a, b in zip(hull, hull[1:] + hull[:1], strict=True)}
    for dx, dy in edges - {(0, 0)} or {(1, 0)}:
        if not (abs(dy) < abs(dx) or dx == dy):
            dx, dy = dy, -dx
        square = dx * dx + dy * dy
        along = [dx * x + dy * y for x, y in pairs]
        across = [dx * y - dy * x for x, y in pairs]
        area = Fraction((max(along) - min(along)) * (max(across) - min(across)), square)
        corners = [
            Fraction(part, square)
            for u in (min(along), max(along))
            for v in (min(across), max(across))
            for part in (u * dx - v * dy, u * dy + v * dx)
        ]
        found.append((area, Fraction(dy, dx), corners))
    return found


@given(POINTS | CLOSE_POINTS)
def test_corners_are_the_exact_ones_rounded_once(pairs: list[tuple[int, int]]) -> None:
    points = _points(pairs)
    area, _, corners = min(
        _least_areas(points), key=lambda found: (found[0], abs(found[1]), -found[1])
    )
    rectangle = min_area_rectangle(points)
    expected = {(float(x), float(y)) for x, y in zip(corners[::2], corners[1::2], strict=True)}
    assert {(x, y) for x, y in rectangle.corners.tolist()} == expected
    assert rectangle.shorter_side <= float(area) ** 0.5 * (1 + 1e-12)


@given(POINTS | CLOSE_POINTS)
def test_corners_run_clockwise_from_the_upper_left(pairs: list[tuple[int, int]]) -> None:
    rectangle = min_area_rectangle(_points(pairs))
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = rectangle.corners.tolist()
    width, height = np.hypot(x1 - x0, y1 - y0), np.hypot(x3 - x0, y3 - y0)
    assert min(width, height) == pytest.approx(rectangle.shorter_side, abs=1e-9)
    assert x1 - x0 >= abs(y1 - y0) - 1e-9 or width == 0
    assert y3 - y0 >= abs(x3 - x0) - 1e-9 or height == 0
    assert (x2 - x1, y2 - y1) == pytest.approx((x3 - x0, y3 - y0), abs=1e-9)


@given(POINTS, st.randoms(use_true_random=False))
def test_the_order_of_the_points_does_not_count(
    pairs: list[tuple[int, int]], random: Random
) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    np.testing.assert_array_equal(
        min_area_rectangle(_points(pairs)).corners, min_area_rectangle(_points(shuffled)).corners
    )


@given(POINTS)
def test_no_larger_than_opencvs_and_around_all_points(pairs: list[tuple[int, int]]) -> None:
    points = _points(pairs)
    rectangle = min_area_rectangle(points)
    area = cv2.contourArea(rectangle.corners.astype(np.float32))
    width, height = cv2.minAreaRect(points)[1]
    # OpenCV's sides are single floats, and so are the corners given to contourArea.
    assert area <= width * height * (1 + 1e-4) + 1e-2
    outline = rectangle.corners.astype(np.float32)
    if rectangle.shorter_side > 0:
        for x, y in pairs:
            assert cv2.pointPolygonTest(outline, (float(x), float(y)), True) >= -1e-3


def test_an_upright_box_has_whole_corners() -> None:
    """OpenCV 5 puts the right edge of this one at 83.999985, which PP-OCR cuts to 83."""
    box = _points([(6, 13), (84, 13), (84, 74), (6, 74)])
    assert min_area_rectangle(box).corners.tolist() == [[6, 13], [84, 13], [84, 74], [6, 74]]


def test_floats_are_taken_as_they_are() -> None:
    corners = np.array([[10.5, 3.25], [90.5, 3.25], [90.5, 23.75], [10.5, 23.75]])
    rectangle = min_area_rectangle(corners)
    np.testing.assert_array_equal(rectangle.corners, corners)
    assert rectangle.shorter_side == 20.5
