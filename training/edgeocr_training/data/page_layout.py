"""What a page consists of before a pixel is touched: images, where they lie, and outlines.

Augmentation decides on layouts; pixels are made once, for what ends up in the sample, straight
from the sources (see :mod:`edgeocr_training.data.rendering`).

Coordinates are continuous: the first pixel of a row covers x from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.outlines import Outlines
from edgeocr_training.data.page_image import PageImage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """A part of an image that lies on a page."""

    image: PageImage
    to_page: NDArray[np.float64]
    """(3, 3) homography from the pixels of ``image`` to those of the page."""
    quad: NDArray[np.float32]
    """(4, 2) the part that shows, in pixels of the page; convex."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageLayout:
    """An image with outlines of text, and patches upon it."""

    image: PageImage
    outlines: Outlines
    """Of the image's own text and of the patches', in pixels of the image."""
    patches: tuple[Patch, ...] = ()
