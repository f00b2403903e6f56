"""CopyPaste: text of one page, turned, put where another page has none.

As PP-OCRv2's detector uses it (``CopyPaste`` of PaddleOCR): a part of the texts of one external
page, each cut out by perspective, turned by any whole angle and pasted at its own size where
its bounding rectangle touches no text. Scale and mirroring come from what follows.

PP-OCR turns without interpolation and pastes with hard edges; here a paste is warped once,
straight from its source, with smooth ones.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.geometry import min_area_quad, order_clockwise, quad_size, transform_points
from edgeocr_training.data.outlines import Outlines
from edgeocr_training.data.page_layout import PageLayout, Patch

PASTED_SHARE: Final = 0.2
"""Of the external page's texts."""
MAX_PASTED: Final = 30
TRIES: Final = 50
"""Places that are looked at for each text; one that fits nowhere is left out."""


def paste_text(page: PageLayout, external: PageLayout, rng: np.random.Generator) -> PageLayout:
    """Pastes texts of an external page on a page.

    Args:
        page: to paste on.
        external: to take from; texts that are ignored there are not taken.
        rng: source of all randomness.

    Returns:
        The page with patches and their outlines: the turned rectangles.
    """
    texts = external.outlines.where(~external.outlines.ignored_N).polygons
    count = max(1, min(int(PASTED_SHARE * len(external.outlines)), MAX_PASTED))
    outlines, patches = page.outlines, list(page.patches)
    for index in rng.permutation(len(texts))[:count].tolist():
        patch = _patch(external, texts[index], rng.integers(360).item())
        if patch is None:
            continue
        placed = _placed(patch, page.image.size, outlines, rng)
        if placed is not None:
            patches.append(placed)
            outlines += Outlines.of([placed.quad], [False])
    return PageLayout(image=page.image, outlines=outlines, patches=tuple(patches))


def _patch(external: PageLayout, polygon: NDArray[np.float32], degrees: int) -> Patch | None:
    """A text as a turned rectangle whose bounding rectangle begins at (0, 0).

    None where the text has no size or its corners cross, so that no rectangle can be cut out.
    """
    if len(polygon) != 4:
        quad = min_area_quad(polygon)[0]
    elif cv2.isContourConvex(polygon):
        # Corners that run the other way round would mirror the text.
        quad = order_clockwise(polygon)
    else:
        return None
    width, height = quad_size(quad)
    if min(width, height) < 1:
        return None
    rectangle = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = rectangle @ np.array([[c, s], [-s, c]], dtype=np.float32)
    turned -= turned.min(axis=0)
    to_page = cv2.getPerspectiveTransform(quad, turned)
    return Patch(image=external.image, to_page=np.asarray(to_page), quad=turned)


def _placed(
    patch: Patch,
    page_size: tuple[int, int],
    outlines: Outlines,
    rng: np.random.Generator,
) -> Patch | None:
    """The patch at a random place where it touches none of the outlines."""
    extent = np.ceil(patch.quad.max(axis=0)).astype(int)
    room_x, room_y = (np.array(page_size) - extent).tolist()
    if room_x < 0 or room_y < 0:
        return None
    corners_T12 = rng.integers((room_x + 1, room_y + 1), size=(TRIES, 1, 2))
    touched_TN2 = (outlines.lows_N2 <= corners_T12 + extent) & (outlines.highs_N2 >= corners_T12)
    free = np.flatnonzero(~touched_TN2.all(axis=2).any(axis=1))
    if not len(free):
        return None
    x, y = corners_T12[free[0], 0].tolist()
    shift = np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])
    return Patch(
        image=patch.image,
        to_page=shift @ patch.to_page,
        quad=transform_points(patch.quad, shift),
    )
