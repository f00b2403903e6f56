from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr.geometry import polygon_area, transform_points
from edgeocr_benchmarks.polygons import PolygonArea
from edgeocr_training.data.copy_paste import paste_text
from edgeocr_training.data.outlines import Outlines
from edgeocr_training.data.page_image import RenderedImage
from edgeocr_training.data.page_layout import PageLayout
from edgeocr_training.data.rendering import render_image
from edgeocr_training.data.view import View

SIZE = (400, 300)
WHOLE = View(to_sample=np.eye(3), size=400, width=400, height=300, detail=1.0)


def rectangle(x: float, y: float, width: float, height: float) -> NDArray[np.float32]:
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    return np.array(corners, dtype=np.float32)


def page_of(
    polygons: list[NDArray[np.float32]],
    ignored: list[bool] | None = None,
    image: NDArray[np.uint8] | None = None,
) -> PageLayout:
    return PageLayout(
        image=RenderedImage("page", np.zeros((300, 400, 3), np.uint8) if image is None else image),
        outlines=Outlines.of(polygons, ignored or [False] * len(polygons)),
    )


texts_st = st.lists(
    st.builds(
        rectangle,
        x=st.floats(0, 340),
        y=st.floats(0, 270),
        width=st.floats(5, 120),
        height=st.floats(5, 50),
    ),
    max_size=20,
)


@given(texts_st, texts_st, st.integers(0, 1000))
def test_a_paste_touches_nothing_and_stays_on_the_page(
    texts: list[NDArray[np.float32]], others: list[NDArray[np.float32]], seed: int
) -> None:
    """Neither the page's own text nor one another."""
    page = page_of(texts)
    pasted = paste_text(page, page_of(others), np.random.default_rng(seed))
    polygons = pasted.outlines.polygons
    for own, again in zip(texts, polygons, strict=False):
        np.testing.assert_array_equal(own, again)
    new = polygons[len(texts) :]
    assert len(new) == len(pasted.patches) <= max(1, len(others) // 5)
    for i, quad in enumerate(new):
        np.testing.assert_array_equal(quad, pasted.patches[i].quad)
        assert quad.min() >= 0
        assert (quad <= SIZE).all()
        area = PolygonArea(quad)
        for other in polygons[: len(texts) + i]:
            assert area.intersection(PolygonArea(other)) == 0
    assert not pasted.outlines.ignored_N.any()


@given(st.floats(20, 100), st.floats(10, 60), st.integers(0, 1000))
def test_a_paste_has_the_size_of_its_source(width: float, height: float, seed: int) -> None:
    external = page_of([rectangle(50, 60, width, height)])
    (patch,) = paste_text(page_of([]), external, np.random.default_rng(seed)).patches
    assert polygon_area(patch.quad) == pytest.approx(width * height, rel=1e-3)
    sides = np.linalg.norm(patch.quad - np.roll(patch.quad, 1, axis=0), axis=1)
    np.testing.assert_allclose(np.sort(sides), np.sort([width, width, height, height]), rtol=1e-3)


def test_a_fifth_of_the_texts_is_pasted_and_thirty_at_most() -> None:
    """Of all texts, also of those that can't be taken."""
    small = [rectangle(2 * i, 100, 2, 2) for i in range(200)]
    for total, ignored, expected in ((3, 0, 1), (10, 0, 2), (24, 0, 4), (200, 0, 30), (10, 9, 1)):
        external = page_of(small[:total], [i < ignored for i in range(total)])
        pasted = paste_text(page_of([]), external, np.random.default_rng(0))
        assert len(pasted.patches) == expected


def test_ignored_texts_are_not_taken() -> None:
    external = page_of([rectangle(10, 10, 50, 20)] * 5, [True] * 5)
    assert not paste_text(page_of([]), external, np.random.default_rng(0)).patches


@pytest.mark.parametrize(
    "polygon",
    [
        rectangle(10, 10, 500, 20),  # too long at every angle
        rectangle(10, 10, 0.2, 20),
        rectangle(10, 10, 0, 0),
        np.array([[10, 10], [60, 40], [60, 10], [10, 40]], dtype=np.float32),  # crosses itself
    ],
)
def test_what_cannot_be_pasted_is_left_out(polygon: NDArray[np.float32]) -> None:
    pasted = paste_text(page_of([]), page_of([polygon]), np.random.default_rng(3))
    assert not pasted.patches
    assert len(pasted.outlines) == 0


def test_a_full_page_takes_nothing() -> None:
    page = page_of([rectangle(0, 0, 400, 300)])
    external = page_of([rectangle(10, 10, 50, 20)])
    assert not paste_text(page, external, np.random.default_rng(0)).patches


def test_angles_are_whole_degrees_all_around() -> None:
    external = page_of([rectangle(50, 60, 60, 20)])
    degrees = []
    for seed in range(200):
        (patch,) = paste_text(page_of([]), external, np.random.default_rng(seed)).patches
        x, y = (patch.quad[1] - patch.quad[0]).tolist()
        degrees.append(np.degrees(np.arctan2(y, x)) % 360)
    assert np.abs(np.array(degrees) - np.round(degrees)).max() < 1e-3
    assert np.histogram(degrees, bins=4, range=(0, 360))[0].min() > 25


@pytest.mark.parametrize("clockwise", [True, False])
def test_text_is_turned_and_not_mirrored(clockwise: bool) -> None:
    """Its four corners have colours, in the same order as on the page that it comes from."""
    image = np.zeros((300, 400, 3), dtype=np.uint8)
    corners = rectangle(100, 100, 80, 40)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    for (x, y), colour in zip(
        ((100, 100), (140, 100), (140, 120), (100, 120)), colours, strict=True
    ):
        cv2.rectangle(image, (x, y), (x + 39, y + 19), colour, -1)
    external = page_of([corners if clockwise else corners[::-1]], image=image)
    for seed in range(5):
        pasted = paste_text(page_of([]), external, np.random.default_rng(seed))
        shown = render_image(pasted, WHOLE)
        (patch,) = pasted.patches
        nearly_corners = corners + (corners.mean(axis=0) - corners) / 4
        places = transform_points(nearly_corners, patch.to_page)
        for (x, y), colour in zip(places.tolist(), colours, strict=True):
            assert tuple(shown[int(y), int(x)].tolist()) == colour
        turn = patch.to_page[:2, :2] / patch.to_page[2, 2]
        assert np.linalg.det(turn) == pytest.approx(1, abs=1e-3)


def test_polygons_of_many_corners_are_cut_out_as_rectangles() -> None:
    arc = np.array([[10, 30], [40, 20], [70, 30], [70, 50], [40, 40], [10, 50]], dtype=np.float32)
    (patch,) = paste_text(page_of([]), page_of([arc]), np.random.default_rng(0)).patches
    assert len(patch.quad) == 4
    assert polygon_area(patch.quad) == pytest.approx(60 * 30, rel=1e-3)
