"""Text boxes from the probability map of a DB detector.

Differentiable Binarization (Liao et al., arXiv:1911.08947) predicts shrunk text kernels. A
box is a connected region above ``threshold`` whose mean probability reaches
``box_threshold``, grown by ``area * unclip_ratio / perimeter``; sizes, order of the steps and
defaults are those of PP-OCR's DB post-processing. A quantized map stays integer: its
threshold is moved into its scale, and scores are means of integers, scaled once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.geometry import min_area_quad, unclip_polygon
from edgeocr.rectangles import min_area_rectangle

# Shorter sides in map pixels: of a kernel, and of the box grown from it.
_MIN_KERNEL_SIDE: Final = 3
_MIN_BOX_SIDE: Final = 5
_DILATION_KERNEL: Final = np.ones((2, 2), dtype=np.uint8)
# Tolerance of a polygon's approximation, relative to the length of its contour.
_POLYGON_TOLERANCE: Final = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class DbParameters:
    """The parameters of PP-OCR's DB post-processing; see :class:`edgeocr.OcrOptions`."""

    threshold: float
    box_threshold: float
    unclip_ratio: float
    max_candidates: int
    dilation: bool = False
    score_mode: Literal["fast", "slow"] = "fast"
    box_type: Literal["quad", "polygon"] = "quad"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectedBox:
    """One text region; its corners may reach over the edges of the map."""

    quad: NDArray[np.float32]
    """(4, 2) float32, map pixels, clockwise from the top-left."""
    score: float
    """Mean text probability of the kernel in [0, 1]."""
    polygon: NDArray[np.float32] | None = None
    """(N, 2) float32 outline in map pixels, with ``box_type="polygon"``."""


def decode_boxes(
    map_HW: NDArray[np.int8] | NDArray[np.float32],
    *,
    scale: float = 1.0,
    zero_point: int = 0,
    parameters: DbParameters,
) -> list[DetectedBox]:
    """Find the boxes of one map.

    Args:
        map_HW: text probabilities ``(q - zero_point) * scale``: int8 as the model emits
            them, or float32 with ``scale=1, zero_point=0``.
        scale: of the quantization.
        zero_point: of the quantization.
        parameters: of the decoding.

    Returns:
        The boxes, in no particular order; at most ``parameters.max_candidates``.
    """
    mask = (map_HW > _own_scale(map_HW, parameters.threshold, scale, zero_point)).view(np.uint8)
    if parameters.dilation:
        mask = np.asarray(cv2.dilate(mask, _DILATION_KERNEL), dtype=np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    decode = _decode_polygon if parameters.box_type == "polygon" else _decode_quad
    boxes = []
    for contour in contours[: parameters.max_candidates]:
        points = np.asarray(contour, dtype=np.int32).reshape(-1, 2)
        box = decode(points, map_HW, scale, zero_point, parameters)
        if box is not None:
            boxes.append(box)
    return boxes


def _own_scale(
    map_HW: NDArray[Any], threshold: float, scale: float, zero_point: int
) -> np.int8 | np.float32:
    """The value that a map exceeds where its probability exceeds ``threshold``."""
    if map_HW.dtype == np.int8:
        return np.int8(np.clip(math.floor(threshold / scale + zero_point), -128, 127))
    return np.float32(threshold / scale + zero_point)


def _decode_quad(
    contour_N2: NDArray[np.int32],
    map_HW: NDArray[Any],
    scale: float,
    zero_point: int,
    parameters: DbParameters,
) -> DetectedBox | None:
    rectangle = min_area_rectangle(contour_N2)
    if rectangle.shorter_side < _MIN_KERNEL_SIDE:
        return None
    kernel = rectangle.corners
    region = contour_N2 if parameters.score_mode == "slow" else kernel
    score = (_mean_inside(map_HW, region) - zero_point) * scale
    if score < parameters.box_threshold:
        return None
    grown = unclip_polygon(kernel, parameters.unclip_ratio)
    if not grown:
        return None
    quad, short_side = min_area_quad(grown[0] if len(grown) == 1 else np.concatenate(grown))
    if short_side < _MIN_BOX_SIDE:
        return None
    return DetectedBox(quad=quad, score=min(max(score, 0.0), 1.0))


def _decode_polygon(
    contour_N2: NDArray[np.int32],
    map_HW: NDArray[Any],
    scale: float,
    zero_point: int,
    parameters: DbParameters,
) -> DetectedBox | None:
    tolerance = _POLYGON_TOLERANCE * cv2.arcLength(contour_N2, True)
    approximation = cv2.approxPolyDP(contour_N2, tolerance, True)
    kernel = np.asarray(approximation, dtype=np.int32).reshape(-1, 2)
    if len(kernel) < 4:
        return None
    region = contour_N2 if parameters.score_mode == "slow" else kernel
    score = (_mean_inside(map_HW, region) - zero_point) * scale
    if score < parameters.box_threshold:
        return None
    grown = unclip_polygon(kernel, parameters.unclip_ratio)
    if len(grown) != 1:  # a contour that crosses itself falls into pieces
        return None
    quad, short_side = min_area_quad(grown[0])
    if short_side < _MIN_BOX_SIDE:
        return None
    return DetectedBox(
        quad=quad, score=min(max(score, 0.0), 1.0), polygon=grown[0].astype(np.float32)
    )


def _mean_inside(map_HW: NDArray[Any], region_N2: NDArray[Any]) -> float:
    """Mean of the map, in its own scale, over the pixels of a polygon."""
    height, width = map_HW.shape
    # Plain numbers: on regions of a few points they are several times faster than arrays.
    xs, ys = zip(*region_N2.tolist(), strict=True)
    x0, x1 = max(math.floor(min(xs)), 0), min(math.ceil(max(xs)), width - 1)
    y0, y1 = max(math.floor(min(ys)), 0), min(math.ceil(max(ys)), height - 1)
    mask = np.zeros((y1 - y0 + 1, x1 - x0 + 1), dtype=np.uint8)
    # The offset is subtracted before the corners are cut to whole pixels, as in PP-OCR.
    cv2.fillPoly(mask, [(region_N2 - (x0, y0)).astype(np.int32)], 1)
    return float(cv2.mean(map_HW[y0 : y1 + 1, x0 : x1 + 1], mask)[0])
