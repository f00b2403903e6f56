"""Whole pages: a sheet or a scene, as a camera or a scanner would have taken it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.page import Page
from edgeocr_training.data.synthetic import degradation
from edgeocr_training.data.synthetic.backgrounds import gradient, paper
from edgeocr_training.data.synthetic.fonts import Language
from edgeocr_training.data.synthetic.layouts import document, form, poster, receipt
from edgeocr_training.data.synthetic.material import Material, find_material
from edgeocr_training.data.synthetic.projection import (
    Bend,
    area,
    lay,
    mapped,
    onto,
    thickness,
    tilted,
    within,
)
from edgeocr_training.data.synthetic.scenes import scene
from edgeocr_training.data.synthetic.sheet import Sheet, WrittenLine
from edgeocr_training.errors import RecipeError, SampleError

_VISIBLE: Final = 0.5
"""Share of a line's area that must be in the picture for it to count as readable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticPagesConfig:
    """What pages to render.

    Fonts, corpora and backgrounds are files and folders; empty stands for what is installed on
    this machine, see :func:`~edgeocr_training.data.synthetic.fonts.find_fonts`,
    :func:`~edgeocr_training.data.synthetic.corpora.find_corpora` and
    :class:`~edgeocr_training.data.synthetic.backgrounds.Backgrounds`.
    """

    count: int = 1000
    """Pages in an epoch; every epoch has other ones."""
    languages: tuple[Language, ...] = ("en", "zh")
    fonts: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    height: tuple[int, int] = (736, 1280)
    """Least and greatest, pixels."""
    width: tuple[int, int] = (736, 1280)
    documents: float = 0.3
    """Share of the pages, as the next four; they need not sum to 1."""
    receipts: float = 0.15
    forms: float = 0.15
    posters: float = 0.2
    scenes: float = 0.2
    smallest_text: float = 7.0
    """Pixels; lower lines are there but ignored."""

    def build(self) -> SyntheticPages:
        """Reads fonts and corpora.

        Raises:
            RecipeError: a value is outside of its range.
            DataError: a file is missing, or there is no font or no text for a language.
        """
        shares = (self.documents, self.receipts, self.forms, self.posters, self.scenes)
        if self.count < 1:
            raise RecipeError(f"count {self.count} of synthetic pages is not positive")
        if min(shares) < 0 or sum(shares) <= 0:
            raise RecipeError(f"the shares of synthetic pages {shares} must be positive")
        for name, (low, high) in (("height", self.height), ("width", self.width)):
            if not 64 <= low <= high <= 8192:
                raise RecipeError(f"{name} {(low, high)} of synthetic pages: 64 to 8192, rising")
        material = find_material(
            languages=self.languages,
            fonts=self.fonts,
            corpora=self.corpora,
            backgrounds=self.backgrounds,
        )
        return SyntheticPages(self, material)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RenderedPage:
    """A page and what its lines say."""

    page: Page
    texts: tuple[str, ...]
    """One for each polygon."""


class SyntheticPages:
    """Renders pages; made by :meth:`SyntheticPagesConfig.build`, and pickles."""

    def __init__(self, config: SyntheticPagesConfig, material: Material) -> None:
        self._config = config
        self._material = material
        shares = np.array(
            [config.documents, config.receipts, config.forms, config.posters, config.scenes]
        )
        self._upto = np.cumsum(shares / shares.sum())

    def __len__(self) -> int:
        return self._config.count

    def page(self, rng: np.random.Generator) -> Page:
        """One page; the same state of ``rng`` gives the same page.

        Raises:
            SampleError: a font or background was removed or damaged after it was found.
        """
        return self.rendered(rng).page

    def rendered(self, rng: np.random.Generator) -> RenderedPage:
        """One page with its texts; see :meth:`page`."""
        config = self._config
        size = (
            int(rng.integers(config.height[0], config.height[1] + 1)),
            int(rng.integers(config.width[0], config.width[1] + 1)),
        )
        kind = min(int(np.searchsorted(self._upto, rng.random(), side="right")), len(_KINDS) - 1)
        name, make = _KINDS[kind]
        try:
            picture, lines = make(rng, size, self._material)
        except OSError as error:  # FreeType's too
            raise SampleError(f"a font for a rendered {name} can't be read: {error}") from error
        picture = _taken(rng, picture, lines)
        polygons, ignored, texts = [], [], []
        for line in lines:
            visible = within(line.polygon, *size)
            if area(visible) < 4:
                continue
            polygons.append(visible)
            texts.append(line.text)
            ignored.append(
                area(visible) < _VISIBLE * area(line.polygon)
                or thickness(line.polygon) < config.smallest_text
            )
        page = Page(
            image=picture,
            polygons=tuple(polygons),
            ignored=tuple(ignored),
            name=f"rendered {name}",
        )
        return RenderedPage(page=page, texts=tuple(texts))


_Made = tuple[NDArray[np.uint8], list[WrittenLine]]


def _document(rng: np.random.Generator, size: tuple[int, int], material: Material) -> _Made:
    return _on_sheet(rng, size, material, document)


def _form(rng: np.random.Generator, size: tuple[int, int], material: Material) -> _Made:
    return _on_sheet(rng, size, material, form)


def _on_sheet(
    rng: np.random.Generator,
    size: tuple[int, int],
    material: Material,
    write: Callable[[np.random.Generator, Sheet, Material], None],
) -> _Made:
    """Scanned, on a screen, or photographed as it lies somewhere."""
    if rng.random() < 0.12:
        ground = gradient(rng, size, strength=rng.uniform(0, 0.3))
    else:
        ground = paper(rng, size)
    sheet = Sheet(ground)
    write(rng, sheet, material)
    if rng.random() < 0.4:
        picture = sheet.picture
        if rng.random() < 0.4:
            picture = degradation.photocopied(rng, picture)
        return picture, sheet.lines
    return _photographed(rng, size, sheet, material, fill=(0.85, 1.25), slant=2.0, tilt=9.0)


def _receipt(rng: np.random.Generator, size: tuple[int, int], material: Material) -> _Made:
    height = round(size[0] * rng.uniform(0.9, 1.2))
    width = round(min(height * rng.uniform(0.3, 0.7), size[1]))
    sheet = Sheet(paper(rng, (height, width)))
    receipt(rng, sheet, material)
    return _photographed(rng, size, sheet, material, fill=(0.8, 1.05), slant=4.0, tilt=9.0)


def _poster(rng: np.random.Generator, size: tuple[int, int], material: Material) -> _Made:
    sheet = Sheet(material.backgrounds.surface(rng, size))
    poster(rng, sheet, material)
    if rng.random() < 0.7:
        return sheet.picture, sheet.lines
    return _photographed(rng, size, sheet, material, fill=(0.7, 1.1), slant=4.0, tilt=14.0)


_KINDS: Final[
    Sequence[tuple[str, Callable[[np.random.Generator, tuple[int, int], Material], _Made]]]
] = (
    ("document", _document),
    ("receipt", _receipt),
    ("form", _form),
    ("poster", _poster),
    ("scene", scene),
)


def _photographed(
    rng: np.random.Generator,
    size: tuple[int, int],
    sheet: Sheet,
    material: Material,
    *,
    fill: tuple[float, float],
    slant: float,
    tilt: float,
) -> _Made:
    """A sheet as it lies on something, seen by a camera.

    Args:
        rng: of all that varies.
        size: of the picture.
        sheet: to be seen.
        material: for what it lies on.
        fill: least and greatest share of the picture's side that the sheet takes up.
        slant: see :func:`~edgeocr_training.data.synthetic.projection.tilted`.
        tilt: see there.
    """
    front, lines, cover = sheet.picture, sheet.lines, None
    if rng.random() < 0.2:
        bend = Bend(
            amplitude=rng.uniform(0.003, 0.03) * sheet.width,
            waves=rng.uniform(0.3, 1.2),
            phase=rng.uniform(0, 2 * np.pi),
            width=sheet.width,
        )
        cover = bend.picture(np.full(front.shape[:2], 255, np.uint8))
        front = bend.picture(front)
        lines = [replace(line, polygon=bend.polygon(line.polygon)) for line in lines]
    height, width = front.shape[:2]
    seen = tilted(rng, height, width, slant=slant, tilt=tilt)
    spread = np.ptp(seen, axis=0)
    scale = min(size[1] / spread[0], size[0] / spread[1]) * rng.uniform(*fill)
    room = np.array([size[1], size[0]]) - spread * scale
    target = (seen - seen.min(0)) * scale + rng.uniform(0.1, 0.9, 2) * room
    homography = onto(height, width, np.asarray(target, np.float32))
    picture = material.backgrounds.surface(rng, size)
    if rng.random() < 0.5:
        _cast_shadow(rng, picture, target)
    lay(picture, front, homography, cover=cover)
    return picture, [replace(line, polygon=mapped(line.polygon, homography)) for line in lines]


def _cast_shadow(
    rng: np.random.Generator, picture: NDArray[np.uint8], target: NDArray[np.floating]
) -> None:
    """The dark rim that a sheet leaves on what it lies on."""
    light = np.full((picture.shape[0] // 8, picture.shape[1] // 8), 200, np.uint8)
    outline = (target + rng.normal(0, 6, 2)) / 8
    cv2.fillConvexPoly(light, np.rint(outline).astype(np.int32), int(rng.integers(60, 150)))
    full = cv2.resize(cv2.GaussianBlur(light, (0, 0), 2), picture.shape[1::-1])
    cv2.multiply(picture, cv2.merge([full] * 3), dst=picture, scale=1 / 200)


def _taken(
    rng: np.random.Generator, picture: NDArray[np.uint8], lines: Sequence[WrittenLine]
) -> NDArray[np.uint8]:
    """Degraded as far as the smaller lines stay readable."""
    heights = [thickness(line.polygon) for line in lines]
    small = float(np.clip(np.percentile(heights, 15) if heights else 30.0, 8, 60))
    if rng.random() < 0.3:
        picture = degradation.shadow(rng, picture)
    if rng.random() < 0.15:
        picture = degradation.stains(rng, picture)
    if rng.random() < 0.4:
        picture = degradation.tone(rng, picture)
    kind = rng.random()
    if kind < 0.3:
        picture = degradation.defocus(rng, picture, radius=small / 14)
    elif kind < 0.4:
        picture = degradation.motion(rng, picture, length=small / 6)
    elif kind < 0.55:
        picture = degradation.low_resolution(rng, picture, factor=max(small / 10, 1.0))
    if rng.random() < 0.4:
        picture = degradation.noise(rng, picture, deviation=12)
    if rng.random() < 0.6:
        picture = degradation.jpeg(rng, picture, lowest_quality=35)
    return picture
