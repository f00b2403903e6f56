"""Pages repeat themselves, and their outlines lie on them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeocr_training.data.page import Page
from edgeocr_training.data.synthetic.pages import SyntheticPages, SyntheticPagesConfig
from edgeocr_training.data.synthetic.projection import area
from edgeocr_training.errors import DataError, RecipeError, SampleError

MakeConfig = Callable[..., SyntheticPagesConfig]
KINDS = ("documents", "receipts", "forms", "posters", "scenes")


@pytest.fixture(scope="module", params=KINDS)
def pages(request: pytest.FixtureRequest, pages_config: MakeConfig) -> SyntheticPages:
    """Of one kind only."""
    return pages_config(**{kind: float(kind == request.param) for kind in KINDS}).build()


@pytest.mark.parametrize("seed", range(8))
def test_outlines_lie_in_the_picture_and_have_texts(pages: SyntheticPages, seed: int) -> None:
    rendered = pages.rendered(np.random.default_rng(seed))
    page = rendered.page
    height, width = page.image.shape[:2]
    assert page.image.dtype == np.uint8
    assert 300 <= height <= 400
    assert 300 <= width <= 400
    assert len(page.polygons) == len(page.ignored) == len(rendered.texts)
    for polygon, text in zip(page.polygons, rendered.texts, strict=True):
        assert polygon.dtype == np.float32
        assert polygon.ndim == 2
        assert len(polygon) >= 3
        assert polygon.min() >= 0
        assert (polygon <= (width, height)).all()
        assert area(polygon) >= 4
        assert text == " ".join(text.split()) != ""


def test_the_same_state_gives_the_same_page(pages: SyntheticPages) -> None:
    again: SyntheticPages = pickle.loads(pickle.dumps(pages))
    for seed in range(3):
        first, second = (p.page(np.random.default_rng(seed)) for p in (pages, again))
        np.testing.assert_array_equal(first.image, second.image)
        assert first.ignored == second.ignored
        for one, other in zip(first.polygons, second.polygons, strict=True):
            np.testing.assert_array_equal(one, other)
    other_page = pages.page(np.random.default_rng(99))
    assert other_page.image.shape != first.image.shape or (other_page.image != first.image).any()


def edges_inside(page: Page) -> float:
    """How much denser strong edges are within the outlines than on the whole page."""
    grey = cv2.cvtColor(page.image, cv2.COLOR_BGR2GRAY)
    edges = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3))).astype(float)
    inside = np.zeros(grey.shape, np.uint8)
    for polygon in page.polygons:
        cv2.fillPoly(inside, [np.rint(polygon).astype(np.int32)], 1)
    return float(edges[inside > 0].mean() / edges[inside == 0].mean())


def test_ink_is_where_the_outlines_say(pages_config: MakeConfig) -> None:
    """On paper, nearly all edges are of text: they are many times as dense within outlines."""
    only_receipts = {kind: float(kind == "receipts") for kind in KINDS}
    pages = pages_config(**only_receipts, height=(600, 600), width=(400, 400)).build()
    density = [edges_inside(pages.page(np.random.default_rng(seed))) for seed in range(10)]
    assert np.median(density) > 3


def test_what_is_too_small_is_ignored(pages_config: MakeConfig) -> None:
    rng = np.random.default_rng
    page = pages_config(smallest_text=1e4).build().page(rng(0))
    assert page.polygons
    assert all(page.ignored)
    assert not all(pages_config(smallest_text=0.0).build().page(rng(0)).ignored)


def test_all_kinds_come_in_their_shares(pages_config: MakeConfig) -> None:
    config = pages_config(
        documents=0, receipts=1, forms=0, posters=0, scenes=3, height=(64, 64), width=(64, 64)
    )
    pages = config.build()
    names = [pages.page(np.random.default_rng(seed)).name for seed in range(400)]
    assert set(names) == {"rendered receipt", "rendered scene"}
    # Six standard deviations of a binomial of 400 are 52.
    assert abs(names.count("rendered scene") - 300) < 52


@pytest.mark.parametrize("size", [(64, 64), (64, 700), (700, 64)])
def test_odd_sizes_are_rendered(pages_config: MakeConfig, size: tuple[int, int]) -> None:
    pages = pages_config(height=(size[0], size[0]), width=(size[1], size[1])).build()
    for seed in range(30):
        assert pages.page(np.random.default_rng(seed)).image.shape == (*size, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "count"),
        ({"languages": ()}, "languages"),
        ({"languages": ("fr",)}, "fr"),
        ({"documents": -1.0}, "shares"),
        (dict.fromkeys(KINDS, 0.0), "shares"),
        ({"height": (10, 300)}, "height"),
        ({"width": (400, 300)}, "width"),
    ],
)
def test_a_value_out_of_range_is_refused(
    pages_config: MakeConfig, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        pages_config(**changes).build()


def test_missing_sources_are_refused(pages_config: MakeConfig, tmp_path: Path) -> None:
    for name in ("fonts", "corpora", "backgrounds"):
        with pytest.raises(DataError, match="nowhere"):
            pages_config(**{name: (str(tmp_path / "nowhere"),)}).build()
    with pytest.raises(DataError, match="no pictures"):
        pages_config(backgrounds=(str(tmp_path),)).build()


def test_backgrounds_are_those_that_are_named(pages_config: MakeConfig, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((50, 50, 3), (0, 0, 250), np.uint8))
    config = pages_config(
        backgrounds=(str(tmp_path),), documents=0, receipts=0, forms=0, posters=0, scenes=1
    )
    pages = config.build()
    reds = 0
    for seed in range(20):
        blue, green, red = np.median(pages.page(np.random.default_rng(seed)).image, axis=(0, 1))
        reds += red > 100 > max(blue, green)
    assert reds >= 6  # of 12 expected; light and noise may hide some


def test_a_broken_background_is_named(pages_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not an image")
    pages = pages_config(backgrounds=(str(tmp_path),)).build()

    def render() -> None:
        for seed in range(50):
            pages.page(np.random.default_rng(seed))

    with pytest.raises(SampleError, match=r"broken\.png"):
        render()


def test_a_font_that_vanished_is_told(latin_font: Path, corpus: Path, tmp_path: Path) -> None:
    font = tmp_path / "font.ttf"
    font.write_bytes(latin_font.read_bytes())
    config = SyntheticPagesConfig(
        languages=("en",), fonts=(str(font),), corpora=(str(corpus),), height=(300, 300)
    )
    pages = config.build()
    font.unlink()
    with pytest.raises(SampleError, match="font"):
        pages.page(np.random.default_rng(0))


def test_an_epoch_has_as_many_pages_as_asked(pages_config: MakeConfig) -> None:
    assert len(pages_config(count=17).build()) == 17
