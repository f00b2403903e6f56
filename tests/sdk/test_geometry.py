"""Ordering, areas, growing and shrinking, and where single characters lie."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr.geometry import (
    character_quads,
    min_area_quad,
    offset_polygon,
    order_clockwise,
    polygon_area,
    polygon_perimeter,
    quad_size,
    transform_points,
    unclip_polygon,
)

IDENTITY = np.eye(3)


def _rectangle(width: float, height: float, degrees: float = 0) -> NDArray[np.float64]:
    """Around (300, 200), clockwise from the corner that is the top-left at 0 degrees."""
    turn = np.deg2rad(degrees)
    across = np.array([np.cos(turn), np.sin(turn)]) * width / 2
    down = np.array([-np.sin(turn), np.cos(turn)]) * height / 2
    corners = np.array([-across - down, across - down, across + down, down - across])
    shifted: NDArray[np.float64] = corners + np.array([300, 200])
    return shifted


@given(st.permutations(range(4)), st.floats(-80, 80), st.floats(8, 20))
def test_a_line_keeps_its_corners_at_any_slope(
    permutation: list[int], degrees: float, length: float
) -> None:
    """As long as its ends lie further left and right than its sides: here to 80 degrees."""
    corners = _rectangle(length * 10, 10, degrees)
    np.testing.assert_allclose(order_clockwise(corners[permutation]), corners, atol=1e-3)


@given(st.permutations(range(4)), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_a_square_on_its_corner_starts_at_the_top(
    permutation: list[int], x: float, y: float
) -> None:
    diamond = np.add([[0, -10], [10, 0], [0, 10], [-10, 0]], (x, y))
    np.testing.assert_allclose(order_clockwise(diamond[permutation]), diamond, atol=1e-3)


@given(
    st.permutations(range(4)),
    st.floats(-180, 180),
    st.floats(1, 100),
    st.floats(1, 100),
    st.floats(-0.3, 0.3),
)
def test_order_is_clockwise_and_that_of_no_input_order(
    permutation: list[int], degrees: float, width: float, height: float, slant: float
) -> None:
    corners = _rectangle(width, height, degrees)
    corners[2] += slant * (corners[2] - corners[0])
    ordered = order_clockwise(corners[permutation])
    np.testing.assert_array_equal(ordered, order_clockwise(corners))
    x, y = ordered.astype(np.float64).T
    assert x @ np.roll(y, -1) - y @ np.roll(x, -1) > 0  # clockwise where y points down


def test_min_area_quad_of_a_turned_rectangle() -> None:
    corners = _rectangle(80, 20, 12)
    inside = corners.mean(axis=0) + (corners - corners.mean(axis=0)) * 0.4
    quad, short_side = min_area_quad(np.concatenate([inside, corners]).astype(np.float32))
    np.testing.assert_allclose(quad, corners, atol=1e-2)
    assert short_side == pytest.approx(20, abs=1e-3)


@pytest.mark.parametrize("points", [[[3, 4]], [[3, 4], [9, 4]], [[0, 0], [5, 5], [9, 9]]])
def test_min_area_quad_of_degenerate_points(points: list[list[int]]) -> None:
    quad, short_side = min_area_quad(np.array(points, dtype=np.int32))
    assert quad.shape == (4, 2)
    assert short_side == pytest.approx(0, abs=1e-6)


@given(st.floats(1, 500), st.floats(1, 500), st.floats(-180, 180))
def test_area_perimeter_and_size_of_a_rectangle(
    width: float, height: float, degrees: float
) -> None:
    corners = _rectangle(width, height, degrees)
    assert polygon_area(corners) == pytest.approx(width * height)
    assert polygon_area(corners[::-1]) == pytest.approx(width * height)
    assert polygon_perimeter(corners) == pytest.approx(2 * (width + height))
    assert quad_size(corners) == pytest.approx((width, height))


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=3, max_size=12),
)
def test_area_and_perimeter_equal_opencvs(points: list[tuple[int, int]]) -> None:
    hull = np.asarray(cv2.convexHull(np.array(points, dtype=np.int32)), dtype=np.int32)
    hull = hull.reshape(-1, 2)
    assert polygon_area(hull) == pytest.approx(cv2.contourArea(hull))
    assert polygon_perimeter(hull) == pytest.approx(cv2.arcLength(hull, True), rel=1e-5)


@given(st.integers(8, 300), st.integers(8, 300), st.floats(-90, 90), st.floats(0.3, 3))
def test_unclip_and_then_shrink(width: int, height: int, degrees: float, ratio: float) -> None:
    """Shrinking by the distance that it grew by gives the polygon back."""
    polygon = _rectangle(width, height, degrees).astype(np.int32)
    assume(polygon_area(polygon) > 25)
    (grown,) = unclip_polygon(polygon, ratio)
    distance = polygon_area(polygon) * ratio / polygon_perimeter(polygon)
    (shrunk,) = offset_polygon(grown, -distance)
    # Round corners are arcs within 0.25 pixels, and vertices are rounded twice to whole ones.
    canvas = np.zeros((2, 900, 900), dtype=np.uint8)
    for image, outline in zip(canvas, (polygon, shrunk), strict=True):
        cv2.fillPoly(image, [outline + 200], 1)
    different = cv2.erode((canvas[0] != canvas[1]).astype(np.uint8), np.ones((4, 4)))
    assert not different.any()


@given(st.integers(2, 300), st.integers(2, 300), st.floats(0.1, 5))
def test_unclip_grows_every_side_by_its_distance(width: int, height: int, ratio: float) -> None:
    polygon = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    (grown,) = unclip_polygon(polygon, ratio)
    distance = width * height * ratio / (2 * (width + height))
    # Vertices are rounded to whole pixels.
    np.testing.assert_allclose(grown.min(axis=0), (-distance, -distance), atol=0.76)
    np.testing.assert_allclose(grown.max(axis=0), (width + distance, height + distance), atol=0.76)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8))
def test_unclip_never_raises(points: list[tuple[int, int]]) -> None:
    for outline in unclip_polygon(np.array(points), 1.5):
        assert outline.shape[1] == 2


# --- characters --------------------------------------------------------------------------


def _place(text: str, steps: list[int], rotation: int = 0) -> NDArray[np.float32]:
    runs = np.array(steps)
    return character_quads(
        text,
        runs,
        runs,
        step_width=8,
        crop_width=320,
        crop_height=32,
        to_image=IDENTITY,
        rotation=180 if rotation == 180 else 0,
    )


def test_neighbours_share_the_room_by_their_usual_widths() -> None:
    latin = _place("abcd", [2, 4, 6, 8])
    np.testing.assert_allclose(latin[:-1, 1, 0], latin[1:, 0, 0])  # they touch
    np.testing.assert_allclose(latin[:-1, 1, 0], [28, 44, 60])  # halfway
    mixed = _place("中a", [2, 5])
    assert mixed[0, 1, 0] > 32  # more than half of the gap is the wide character's


def test_no_character_is_wider_than_sensible() -> None:
    for text, widest in (("ab", 0.8), ("中文", 1.5), (" a", 0.8)):
        quads = _place(text, [2, 30])
        assert (quads[:, 1, 0] - quads[:, 0, 0] < widest * 32).all()


def test_a_lone_character_and_none() -> None:
    (quad,) = _place("中", [20])
    np.testing.assert_allclose(quad, [[148, 0], [180, 0], [180, 32], [148, 32]])
    assert _place("", []).shape == (0, 4, 2)


@given(
    st.lists(st.integers(0, 39), min_size=1, max_size=40, unique=True).map(sorted),
    st.text(alphabet="aW1 中あ。", min_size=40, max_size=40),
)
def test_characters_lie_in_the_crop_and_in_order(steps: list[int], alphabet: str) -> None:
    quads = _place(alphabet[: len(steps)], steps)
    left, right = quads[:, 0, 0], quads[:, 1, 0]
    centres = (np.array(steps) + 0.5) * 8
    assert (left >= 0).all()
    assert (right <= 320).all()
    assert (left < centres).all()
    assert (centres < right).all()
    assert (right[:-1] <= left[1:] + 1e-3).all()


def test_a_turned_line_is_mirrored() -> None:
    upright, turned = _place("abc", [3, 9, 12]), _place("abc", [3, 9, 12], rotation=180)
    np.testing.assert_allclose(turned, (320, 32) - upright)


def test_characters_go_through_the_crops_map() -> None:
    to_image = np.array([[0, -1, 100], [1, 0, 50], [0, 0, 1.0]])
    quads = character_quads(
        "ab",
        np.array([1, 5]),
        np.array([2, 6]),
        step_width=4,
        crop_width=64,
        crop_height=16,
        to_image=to_image,
    )
    flat = character_quads(
        "ab",
        np.array([1, 5]),
        np.array([2, 6]),
        step_width=4,
        crop_width=64,
        crop_height=16,
        to_image=IDENTITY,
    )
    np.testing.assert_allclose(quads[0], transform_points(flat[0], to_image))
    np.testing.assert_allclose(quads[..., 1], 50 + flat[..., 0])
