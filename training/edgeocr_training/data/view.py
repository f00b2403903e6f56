"""How a sample shows a page: mirrored, turned, blurred and cropped.

PP-OCR turns the image (``IaaAugment``: flip, rotate, resize), then crops it and scales the crop
to the size of the sample. Here all of it is one affine map from the page to the sample, which is
applied once. The resizing of the page survives as what it does to a sample: the crop is scaled
to the same size anyway, but what was shrunk below that has lost its details.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.crop import random_crop
from edgeocr_training.data.outlines import Outlines


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewConfig:
    """Ranges from which a view is drawn; see :class:`~edgeocr_training.data.pages.PagesConfig`."""

    size: int
    flip_probability: float
    rotation: tuple[float, float]
    resize: tuple[float, float]
    crop_tries: int
    min_crop_side_ratio: float
    fill_square: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A map from a page to a sample."""

    to_sample: NDArray[np.float64]
    """(3, 3) affine."""
    size: int
    """Side of the sample in pixels."""
    width: int
    """Of the part of the sample, at its top left, that shows the page; black fills the rest."""
    height: int
    detail: float
    """At most 1: the sample shows no more than is left of this part scaled by so much."""


def random_view(
    width: int,
    height: int,
    outlines: Outlines,
    rng: np.random.Generator,
    config: ViewConfig,
) -> View:
    """Draws a view of a page.

    Args:
        width: of the page in pixels.
        height: of the page in pixels.
        outlines: of the page; those that are not ignored will not be cut, except at the edges of
            the page, over which turning may push them.
        rng: source of all randomness.
        config: of the ranges.
    """
    turn = np.eye(3)
    if rng.random() < config.flip_probability:
        turn = np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]])
    turn = _rotation(rng.uniform(*config.rotation), width / 2, height / 2) @ turn
    factor = rng.uniform(*config.resize)

    care = outlines.where(~outlines.ignored_N).transformed(turn)
    crop = random_crop(
        care.lows_N2,
        care.highs_N2,
        width,
        height,
        rng,
        tries=config.crop_tries,
        min_side_ratio=config.min_crop_side_ratio,
        fill_square=config.fill_square,
    )
    scale = min(config.size / crop.width, config.size / crop.height)
    to_sample = np.array([[scale, 0, -crop.x * scale], [0, scale, -crop.y * scale], [0, 0, 1]])
    return View(
        to_sample=to_sample @ turn,
        size=config.size,
        width=max(1, round(crop.width * scale)),
        height=max(1, round(crop.height * scale)),
        detail=min(1.0, factor / scale),
    )


def _rotation(degrees: float, x: float, y: float) -> NDArray[np.float64]:
    """Clockwise, as seen on the screen, about a point."""
    c, s = cos(radians(degrees)), sin(radians(degrees))
    return np.array([[c, -s, x - c * x + s * y], [s, c, y - s * x - c * y], [0, 0, 1]])


def outlines_in(view: View, outlines: Outlines) -> Outlines:
    """The outlines that the view shows at least in part, in pixels of the sample."""
    moved = outlines.transformed(view.to_sample)
    shown_N2 = (moved.lows_N2 < (view.width, view.height)) & (moved.highs_N2 > 0)
    return moved.where(np.asarray(shown_N2.all(axis=1)))
