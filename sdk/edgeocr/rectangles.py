"""The rectangle of least area around points, exactly.

One side of it lies on an edge of the convex hull (Freeman and Shapira 1975, Determining the
minimum-area encasing rectangle for an arbitrary closed curve). Pixels have whole coordinates, so
the hull, its edges and all products with them are whole numbers; a corner is the quotient of two,
rounded once. ``cv2.minAreaRect`` goes by single precision and an angle: its last bits depend on
the processor, and where PP-OCR cuts corners to whole pixels they make a pixel of an upright box's
83.99999.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rectangle:
    """A rectangle at any angle."""

    corners: NDArray[np.float64]
    """(4, 2), clockwise as seen on the screen, from the left end of the side that is upper and
    nearest to horizontal."""
    shorter_side: float
    """In pixels; 0 around points on one line."""


def min_area_rectangle(points_N2: NDArray[Any]) -> Rectangle:
    """The rectangle of least area around the points.

    Of equally small ones it is the most upright, and of two that lean to either side the one that
    falls to the right. Around whole numbers it is the same on every processor.

    Args:
        points_N2: at least one; int32, or floats, which are taken as float32.
    """
    whole = points_N2.dtype == np.int32
    points: NDArray[Any] = np.ascontiguousarray(points_N2, dtype=np.int32 if whole else np.float32)
    hull = cv2.convexHull(points).reshape(-1, 2).astype(np.int64 if whole else np.float64)
    directions = _directions(hull.tolist())
    count = len(directions)
    reaches = np.array(directions + [(-dy, dx) for dx, dy in directions]) @ hull.T
    lows, highs = reaches.min(axis=1).tolist(), reaches.max(axis=1).tolist()

    def rank(k: int) -> tuple[float, float, float]:
        dx, dy = directions[k]
        width, height = highs[k] - lows[k], highs[count + k] - lows[count + k]
        return width * height / (dx * dx + dy * dy), abs(dy / dx), -dy / dx

    best = min(range(count), key=rank)
    dx, dy = directions[best]
    square = dx * dx + dy * dy
    u0, u1, v0, v1 = lows[best], highs[best], lows[count + best], highs[count + best]
    corners = [
        ((u * dx - v * dy) / square, (u * dy + v * dx) / square)
        for u, v in ((u0, v0), (u1, v0), (u1, v1), (u0, v1))
    ]
    shorter = min(u1 - u0, v1 - v0) / math.sqrt(square)
    return Rectangle(corners=np.array(corners), shorter_side=shorter)


def _directions(hull: list[list[Any]]) -> list[tuple[Any, Any]]:
    """Of the rectangles with a side on an edge: of each the side nearest to horizontal."""
    directions = set()
    for (x0, y0), (x1, y1) in zip(hull, hull[1:] + hull[:1], strict=True):
        dx, dy = x1 - x0, y1 - y0
        if not (abs(dy) < abs(dx) or dy == dx):
            dx, dy = dy, -dx
        if dx:
            directions.add((dx, dy) if dx > 0 else (-dx, -dy))
    return list(directions) or [(1, 0)]
