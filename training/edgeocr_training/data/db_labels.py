"""What a DB detector learns: shrunk text kernels, and a band around every outline.

Differentiable Binarization (Liao et al., arXiv:1911.08947, section 3.4), with the rules of PP-OCR's
``MakeShrinkMap`` and ``MakeBorderMap``. A polygon of area A and perimeter L is shrunk and grown by

    D = A (1 - r²) / L.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.geometry import offset_polygon, polygon_area, polygon_perimeter
from edgeocr_training.data.outlines import Outlines


@dataclass(frozen=True, slots=True, kw_only=True)
class DbLabelsConfig:
    """Parameters of the label maps; see :class:`~edgeocr_training.data.pages.PagesConfig`."""

    shrink_ratio: float
    min_text_size: int
    threshold_range: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DbLabels:
    """Label maps, (S, S) uint8 each."""

    shrink_map: NDArray[np.uint8]
    """1 in the kernels of text."""
    shrink_mask: NDArray[np.uint8]
    """0 where text is ignored."""
    threshold_map: NDArray[np.uint8]
    """``round(255 * t)``: the highest threshold on outlines, falling to the lowest at D."""
    threshold_mask: NDArray[np.uint8]
    """1 within D of text, or inside of it."""


def db_labels(
    outlines: Outlines, *, size: int, width: int, height: int, config: DbLabelsConfig
) -> DbLabels:
    """Draws the label maps of a sample.

    Args:
        outlines: in pixels of the sample.
        size: side of the sample, S.
        width: of the part of the sample, at its top left, that shows the page. Text ends there.
            (PP-OCR lets it reach into the padding.)
        height: of that part.
        config: of the maps.
    """
    lowest = config.threshold_range[0]
    labels = DbLabels(
        shrink_map=np.zeros((size, size), dtype=np.uint8),
        shrink_mask=np.ones((size, size), dtype=np.uint8),
        threshold_map=np.full((size, size), round(255 * lowest), dtype=np.uint8),
        threshold_mask=np.zeros((size, size), dtype=np.uint8),
    )
    clipped = replace(
        outlines, corners_M2=np.clip(outlines.corners_M2, 0, (width - 1, height - 1), dtype="f4")
    )
    for polygon, inside, ignored in zip(
        outlines.polygons, clipped.polygons, outlines.ignored_N.tolist(), strict=True
    ):
        # The band is drawn around the outline as it is, also where the page cuts it off, and the
        # kernel into what is left of it.
        if not ignored:
            _draw_band(polygon, labels, config)
        if ignored or not _draw_kernel(inside, labels, config):
            cv2.fillPoly(labels.shrink_mask, [inside.astype(np.int32)], 0)
    return labels


def _draw_kernel(polygon: NDArray[np.float32], labels: DbLabels, config: DbLabelsConfig) -> bool:
    """Draws the shrunk polygon; False where the text is too small for one."""
    area = polygon_area(polygon)
    extent = polygon.max(axis=0) - polygon.min(axis=0)
    if area < 1 or extent.min() < config.min_text_size:
        return False
    perimeter = polygon_perimeter(polygon)
    kernels: list[NDArray[np.int32]] = []
    # Text that would fall into pieces is shrunk less.
    for ratio in np.arange(config.shrink_ratio, 1, config.shrink_ratio).tolist():
        kernels = offset_polygon(polygon, -area * (1 - ratio**2) / perimeter)
        if len(kernels) == 1:
            break
    for kernel in kernels:
        cv2.fillPoly(labels.shrink_map, [kernel], 1)
    return bool(kernels)


def _draw_band(polygon: NDArray[np.float32], labels: DbLabels, config: DbLabelsConfig) -> None:
    area = polygon_area(polygon)
    if area < 1:
        return
    distance = area * (1 - config.shrink_ratio**2) / polygon_perimeter(polygon)
    grown = offset_polygon(polygon, distance)
    if not grown:
        return
    outer = max(grown, key=cv2.contourArea)
    cv2.fillPoly(labels.threshold_mask, [outer], 1)

    size = len(labels.threshold_map)
    (left, top), (right, bottom) = outer.min(axis=0).tolist(), outer.max(axis=0).tolist()
    x0, x1 = max(left, 0), min(right + 1, size)
    y0, y1 = max(top, 0), min(bottom + 1, size)
    if x0 >= x1 or y0 >= y1:
        return
    closeness = 1 - np.minimum(_distance_to_outline(polygon, x0, x1, y0, y1) / distance, 1)
    lowest, highest = config.threshold_range
    band = np.rint(255 * (lowest + (highest - lowest) * closeness)).astype(np.uint8)
    box = labels.threshold_map[y0:y1, x0:x1]
    np.maximum(box, band, out=box)


def _distance_to_outline(
    polygon: NDArray[np.float32], x0: int, x1: int, y0: int, y1: int
) -> NDArray[np.float32]:
    """(y1 - y0, x1 - x0) distance of the pixels' centres from the nearest edge, in pixels."""
    x_1W = np.arange(x0, x1, dtype=np.float32)[None] + np.float32(0.5)
    y_H1 = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5)
    nearest_HW = np.full((y1 - y0, x1 - x0), np.inf, dtype=np.float32)
    corners = polygon.tolist()
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = math.hypot(bx - ax, by - ay)
        if length == 0:
            continue
        ux, uy = (bx - ax) / length, (by - ay) / length
        # Along the edge and across it: the along part counts only beyond the edge's ends.
        dx_1W, dy_H1 = x_1W - np.float32(ax), y_H1 - np.float32(ay)
        along_HW = dx_1W * np.float32(ux) + dy_H1 * np.float32(uy)
        across_HW = dx_1W * np.float32(uy) - dy_H1 * np.float32(ux)
        along_HW -= np.clip(along_HW, 0, np.float32(length))
        along_HW *= along_HW
        across_HW *= across_HW
        along_HW += across_HW
        np.minimum(nearest_HW, along_HW, out=nearest_HW)
    return np.sqrt(nearest_HW)
