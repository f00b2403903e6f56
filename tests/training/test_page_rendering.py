"""Views and their pixels: what a sample shows is what the map from the page says."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr.geometry import polygon_area, transform_points
from edgeocr_training.data.outlines import Outlines
from edgeocr_training.data.page_image import PageImage, RenderedImage
from edgeocr_training.data.page_layout import PageLayout, Patch
from edgeocr_training.data.rendering import render_image, render_map
from edgeocr_training.data.view import View, ViewConfig, outlines_in, random_view

WIDTH, HEIGHT = 240, 160
NO_OUTLINES = Outlines.of([], [])
CONFIG = ViewConfig(
    size=128,
    flip_probability=0.5,
    rotation=(-10.0, 10.0),
    resize=(0.5, 3.0),
    crop_tries=50,
    min_crop_side_ratio=0.1,
    fill_square=False,
)


def ramps(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Blue is the x of a pixel's centre, green its y."""
    y, x = np.mgrid[:height, :width] + 0.5
    pixels: NDArray[np.float64] = np.rint(np.stack([x, y, np.full_like(x, 255)], axis=2))
    return pixels.astype(np.uint8)


def view_of(to_sample: NDArray[np.float64], detail: float = 1.0) -> View:
    return View(to_sample=to_sample, size=128, width=120, height=100, detail=detail)


def inverse(homography: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.inv(homography), dtype=np.float64)


def page_coordinates(view: View) -> NDArray[np.float64]:
    """(height, width, 2) where on the page the centres of the sample's pixels lie."""
    y, x = np.mgrid[: view.height, : view.width] + 0.5
    centres = np.stack([x, y], axis=2).reshape(-1, 2)
    moved = transform_points(centres, inverse(view.to_sample))
    return moved.reshape(view.height, view.width, 2).astype(np.float64)


def assert_shows(shown: NDArray[np.uint8], view: View, tolerance: float) -> None:
    """Every pixel has the page's coordinates of its place, away from the edges of the page."""
    expected = page_coordinates(view)
    margin = 8
    known = (expected > margin).all(axis=2)
    known &= (expected < (WIDTH - margin, HEIGHT - margin)).all(axis=2)
    assert known.sum() > 500
    difference = (shown[..., :2] - expected)[known]
    assert np.abs(difference).max() <= tolerance
    # Rounding has no direction; a step that is off by half a pixel has.
    assert np.abs(difference.mean(axis=0)).max() < 0.2


def turn_and_scale(degrees: float, scale: float, x: float, y: float) -> NDArray[np.float64]:
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[c, -s, x], [s, c, y], [0, 0, 1]])


@given(
    degrees=st.floats(-180, 180),
    scale=st.floats(0.13, 4),
    middle=st.tuples(st.floats(60, 180), st.floats(50, 110)),
)
def test_pixels_come_from_where_the_map_says(
    degrees: float, scale: float, middle: tuple[float, float]
) -> None:
    """Reduced or not: being off by half a pixel of a reduced image would show."""
    turn = turn_and_scale(degrees, scale, 0, 0)
    (x, y), *_ = transform_points(np.array([middle]), turn).tolist()
    turn[:2, 2] = 60 - x, 50 - y
    view = view_of(turn)
    layout = PageLayout(image=RenderedImage("page", ramps()), outlines=NO_OUTLINES)
    # The ramps and the sample are rounded, and OpenCV's warp rounds places to 1/32 pixel of its
    # source, which is reduced at most fourfold here.
    assert_shows(render_image(layout, view), view, 0.5 + 0.5 + 4 / 32)


@pytest.mark.parametrize("detail", [0.4, 0.7])
def test_lost_detail_moves_nothing(detail: float) -> None:
    view = view_of(turn_and_scale(8, 1.2, -60, -50), detail=detail)
    layout = PageLayout(image=RenderedImage("page", ramps()), outlines=NO_OUTLINES)
    assert_shows(render_image(layout, view), view, 1.5)


def test_lost_detail_blurs() -> None:
    stripes = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    stripes[:, ::4] = stripes[:, 1::4] = 255
    layout = PageLayout(image=RenderedImage("page", stripes), outlines=NO_OUTLINES)
    contrast = [
        render_image(layout, view_of(np.eye(3), detail=detail)).std() for detail in (1, 0.5, 0.25)
    ]
    assert contrast[0] > 1.3 * contrast[1] > 2 * contrast[2]


def _always(values: NDArray[np.uint8], image: PageImage) -> NDArray[np.uint8]:
    return values


def test_a_map_is_stretched_over_its_image() -> None:
    """It may have any size, and is warped as the image is."""
    view = view_of(turn_and_scale(-7, 1.1, -20, -10))
    layout = PageLayout(image=RenderedImage("page", ramps()), outlines=NO_OUTLINES)
    for height, width in ((HEIGHT, WIDTH), (HEIGHT // 2, WIDTH), (HEIGHT * 2, WIDTH // 2)):
        x = (np.arange(width) + 0.5) * WIDTH / width
        values = np.rint(np.broadcast_to(x, (height, width))).astype(np.uint8)
        shown = render_map(layout, view, partial(_always, values))
        two_of_them = np.stack([shown, page_coordinates(view)[..., 1]], axis=2)
        assert_shows(two_of_them, view, 1.6)


def test_a_patch_lies_where_its_map_says_and_hides_the_page() -> None:
    """Inside of its quad it shows its image, outside the page; its edges are smooth."""
    quad = np.array([[60, 40], [150, 60], [140, 120], [55, 90]], dtype=np.float32)
    source = np.array([[10, 10], [90, 10], [90, 60], [10, 60]], dtype=np.float32)
    patch_ramps = ramps(70, 100)
    patch_ramps[..., 2] = 0
    patch = Patch(
        image=RenderedImage("patch", patch_ramps),
        to_page=np.asarray(cv2.getPerspectiveTransform(source, quad), dtype=np.float64),
        quad=quad,
    )
    layout = PageLayout(
        image=RenderedImage("page", ramps()), outlines=NO_OUTLINES, patches=(patch,)
    )
    view = view_of(turn_and_scale(5, 0.8, -20, -30))
    shown = render_image(layout, view)
    in_sample = transform_points(quad, view.to_sample).reshape(-1, 1, 2)
    y, x = np.mgrid[: view.height, : view.width] + 0.5
    distance = np.array(
        [cv2.pointPolygonTest(in_sample, point, True) for point in zip(x.flat, y.flat, strict=True)]
    ).reshape(x.shape)
    on_page = page_coordinates(view)
    on_patch = transform_points(on_page.reshape(-1, 2), inverse(patch.to_page))
    inside, outside = distance > 1.5, distance < -1.5
    assert inside.sum() > 500
    assert (shown[inside, 2] == 0).all()
    difference = shown[inside, :2] - on_patch.reshape(*x.shape, 2)[inside]
    assert np.abs(difference).max() <= 1.5
    known = outside & (on_page > 8).all(axis=2) & (on_page < (232, 152)).all(axis=2)
    assert (shown[known, 2] == 255).all()
    assert np.abs(shown[known, :2] - on_page[known]).max() <= 1.5
    # Half a pixel from the edge on either side nothing shows of the other, in between both do.
    blended = np.clip(0.5 - distance, 0, 1) * 255
    corners = (np.abs(distance) < 1.5) & (
        np.linalg.norm(np.stack([x, y], axis=2)[:, :, None] - in_sample[:, 0], axis=3).min(axis=2)
        < 3
    )
    assert np.abs(shown[..., 2] - blended)[~corners & (on_page > 8).all(axis=2)].max() <= 2


@given(st.integers(0, 10_000), st.booleans())
def test_a_view_keeps_areas_to_scale_and_text_whole(seed: int, fill: bool) -> None:
    """Flipping and turning keep areas, so a polygon's grows with the square of the scale."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform((60, 50), (180, 110), size=(3, 4, 2)).astype(np.float32)
    outlines = Outlines.of(list(corners), [False, False, True])
    config = replace(CONFIG, fill_square=fill)
    view = random_view(WIDTH, HEIGHT, outlines, rng, config)
    scale = math.sqrt(abs(np.linalg.det(view.to_sample[:2, :2])))
    # The longer side of the crop fills the sample.
    assert max(view.width, view.height) == 128
    assert 0 < view.detail <= 1
    moved = outlines.transformed(view.to_sample)
    for before, after in zip(outlines.polygons, moved.polygons, strict=True):
        assert polygon_area(after) == pytest.approx(
            polygon_area(before) * scale**2, rel=1e-3, abs=0.05
        )
    shown = outlines_in(view, outlines)
    assert (~shown.ignored_N).any()
    # None of them reaches the edges of the page, however it is turned. Sides are whole pixels.
    for polygon, ignored in zip(shown.polygons, shown.ignored_N.tolist(), strict=True):
        if not ignored:
            assert polygon.min() >= -0.01
            assert (polygon <= (view.width + 0.51, view.height + 0.51)).all()


def test_views_vary_within_their_ranges() -> None:
    """Mirrored half of the time, turned by up to 10 degrees."""
    rng = np.random.default_rng(0)
    views = [random_view(WIDTH, HEIGHT, NO_OUTLINES, rng, CONFIG) for _ in range(300)]
    mirrored = [np.linalg.det(view.to_sample[:2, :2]) < 0 for view in views]
    assert 110 < sum(mirrored) < 190  # 4.6 standard deviations
    turns = [
        math.degrees(math.atan2(view.to_sample[1, 0], view.to_sample[0, 0] * (-1 if m else 1)))
        for view, m in zip(views, mirrored, strict=True)
    ]
    turns = [-turn if m else turn for turn, m in zip(turns, mirrored, strict=True)]
    assert -10 <= min(turns) < -9
    assert 9 < max(turns) <= 10
    assert any(view.detail < 0.9 for view in views)
    assert any(view.detail == 1 for view in views)


def test_a_view_can_be_plain() -> None:
    config = ViewConfig(
        size=128,
        flip_probability=0,
        rotation=(0, 0),
        resize=(1, 1),
        crop_tries=1,
        min_crop_side_ratio=1,
        fill_square=False,
    )
    view = random_view(64, 32, NO_OUTLINES, np.random.default_rng(0), config)
    np.testing.assert_allclose(view.to_sample, np.diag([2.0, 2.0, 1.0]))
    assert (view.width, view.height) == (128, 64)
