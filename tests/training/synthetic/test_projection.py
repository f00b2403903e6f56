"""Pictures and the outlines on them are moved alike."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr_benchmarks.polygons import PolygonArea
from edgeocr_training.data.synthetic.projection import (
    Bend,
    area,
    corners,
    lay,
    mapped,
    onto,
    thickness,
    tilted,
    within,
)

SIZE = (120, 160)


def filled(polygon: NDArray[np.float32], size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Pixels whose centres are in the polygon."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    inside = [
        cv2.pointPolygonTest(polygon, (float(a), float(b)), False) >= 0
        for a, b in zip(x.ravel(), y.ravel(), strict=True)
    ]
    return np.array(inside, np.uint8).reshape(size)


@given(seed=st.integers(0, 10_000))
def test_a_tilted_sheet_lies_where_its_corners_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = tilted(rng, 60, 80, slant=20, tilt=20)
    target = target - target.min(0) + rng.uniform(-20, 60, 2).astype(np.float32)
    picture = np.zeros((*SIZE, 3), np.uint8)
    lay(picture, np.full((60, 80, 3), 255, np.uint8), onto(60, 80, target))
    expected = filled(target)
    # Only pixels that the edge crosses may differ.
    rim = cv2.dilate(expected, np.ones((3, 3))) - cv2.erode(expected, np.ones((3, 3)))
    differs = (picture[:, :, 0] > 127) != expected.astype(bool)
    assert not (differs & (rim == 0)).any()


def test_a_point_on_the_sheet_goes_where_the_picture_of_it_goes() -> None:
    front = np.zeros((60, 80, 3), np.uint8)
    front[20:24, 30:36] = 255
    target = np.array([[10.0, 15], [150, 5], [140, 110], [20, 100]], np.float32)
    homography = onto(60, 80, target)
    picture = np.zeros((*SIZE, 3), np.uint8)
    lay(picture, front, homography)
    weight = picture[:, :, 0].astype(float)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    seen = [(x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()]
    patch = np.array([[30.0, 20], [36, 20], [36, 24], [30, 24]], np.float32)
    # Half a pixel of an error in conventions would show.
    np.testing.assert_allclose(seen, mapped(patch, homography).mean(0), atol=0.15)


def test_a_cover_lets_the_picture_through_where_it_is_thin() -> None:
    picture = np.full((40, 40, 3), 200, np.uint8)
    cover = np.zeros((40, 40), np.uint8)
    cover[:, 20:] = 255
    cover[:20, 20:] = 127
    lay(picture, np.zeros((40, 40, 3), np.uint8), np.eye(3), cover=cover)
    assert (picture[:, :19] == 200).all()
    assert (picture[22:, 21:] == 0).all()
    assert abs(int(picture[10, 30, 0]) - 100) <= 1


@given(
    amplitude=st.floats(0.5, 12),
    waves=st.floats(0.2, 2),
    phase=st.floats(0, 6.3),
)
def test_a_bent_outline_follows_the_bent_picture(
    amplitude: float, waves: float, phase: float
) -> None:
    bend = Bend(amplitude=amplitude, waves=waves, phase=phase, width=160)
    flat = np.zeros((60, 160), np.uint8)
    flat[20:40, 10:150] = 255
    bent = bend.picture(flat)
    assert bent.shape == (60 + 2 * bend.margin, 160)
    outline = bend.polygon(np.array([[10.0, 20], [150, 20], [150, 40], [10, 40]], np.float32))
    expected = filled(outline, (bent.shape[0], 160)).astype(float)
    found = (bent > 127).astype(float)
    # Chords of a sine between seven points leave up to 1/8 (2 pi waves / 6)^2 of its height.
    slack = 1 + amplitude * (2 * np.pi * waves / 6) ** 2 / 8
    assert np.abs(expected - found).sum() <= 2 * 140 * slack + 2 * 20


@pytest.mark.parametrize("waves", [0.3, 1.0])
def test_bending_loses_nothing(waves: float) -> None:
    bend = Bend(amplitude=7.5, waves=waves, phase=1.0, width=100)
    flat = np.full((30, 100), 255, np.uint8)
    # A column is moved by parts of pixels, so the edges share theirs.
    np.testing.assert_allclose(bend.picture(flat).sum(0) / 255, 30, atol=0.1)


@given(points=st.lists(st.tuples(st.floats(-60, 220), st.floats(-60, 220)), min_size=3, max_size=3))
def test_the_part_within_is_the_intersection(points: list[tuple[float, float]]) -> None:
    triangle = np.array(points, np.float32)
    part = within(triangle, *SIZE)
    common = PolygonArea(triangle).intersection(PolygonArea(corners(*SIZE)))
    # Coordinates are rounded to 1/256, over an outline of at most some 600 pixels.
    assert area(part) == pytest.approx(common, abs=3)
    if len(part):
        assert part.min() >= 0
        assert (part <= np.array(SIZE[::-1])).all()


def test_what_is_inside_stays_as_it_is() -> None:
    polygon = np.array([[0.0, 0], [160, 0.25], [100, 120]], np.float32)
    assert within(polygon, *SIZE) is polygon


def test_what_is_outside_or_without_area_leaves_nothing() -> None:
    assert within(np.array([[-9.0, -9], [-2, -9], [-2, -2]], np.float32), *SIZE).shape == (0, 2)
    assert within(np.array([[-9.0, 5], [300, 5], [300, 5]], np.float32), *SIZE).shape == (0, 2)


def test_thickness_is_the_shorter_side() -> None:
    rectangle = np.array([[3.0, 4], [103, 4], [103, 14], [3, 14]], np.float32)
    assert thickness(rectangle) == pytest.approx(10, abs=1e-3)
    bend = Bend(amplitude=3, waves=0.5, phase=0.0, width=110)
    assert thickness(bend.polygon(rectangle)) == pytest.approx(10, rel=0.05)
