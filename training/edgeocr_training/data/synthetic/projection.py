"""Flat things seen by a camera: projective maps of pictures and of points."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Homography = NDArray[np.float64]
"""(3, 3); maps (x, y, 1) to multiples of (x', y', 1)."""

_CORNERS: Final = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)


def corners(height: float, width: float) -> NDArray[np.float32]:
    """(4, 2): the outer corners of a picture, clockwise from the top-left."""
    return (_CORNERS * (width, height) - 0.5).astype(np.float32)


def tilted(
    rng: np.random.Generator, height: float, width: float, *, slant: float, tilt: float
) -> NDArray[np.float32]:
    """(4, 2): the corners of a rectangle, turned and leaning away, around the origin.

    Args:
        rng: of all that varies.
        height: of the rectangle.
        width: of the rectangle.
        slant: standard deviation of the turn within the picture, degrees.
        tilt: standard deviation of the two turns out of the picture, degrees; they stay below 60.
    """
    points = np.zeros((4, 3))
    points[:, :2] = (_CORNERS - 0.5) * (width, height)
    about_y, about_x = np.radians(np.clip(rng.normal(0, tilt, 2), -60, 60))
    about_z = np.radians(rng.normal(0, slant))
    for angle, (first, second) in ((about_y, (0, 2)), (about_x, (1, 2)), (about_z, (0, 1))):
        cosine, sine = np.cos(angle), np.sin(angle)
        turned = points[:, first] * cosine - points[:, second] * sine
        points[:, second] = points[:, first] * sine + points[:, second] * cosine
        points[:, first] = turned
    # As seen from a few widths away, as one holds a phone.
    distance = max(height, width) * rng.uniform(1.2, 3.0)
    seen = points[:, :2] * (distance / (distance + points[:, 2:]))
    return seen.astype(np.float32)


def onto(height: float, width: float, target: NDArray[np.float32]) -> Homography:
    """The map of a picture of this size onto a quadrilateral (4, 2)."""
    return np.asarray(
        cv2.getPerspectiveTransform(corners(height, width), np.asarray(target, np.float32)),
        np.float64,
    )


def mapped(points: NDArray[np.float32], homography: Homography) -> NDArray[np.float32]:
    """Points (N, 2) after the map."""
    return np.asarray(cv2.perspectiveTransform(points[None], homography)[0], np.float32)


def within(polygon: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """The part of a convex polygon (N, 2) inside of a picture; (0, 2) where there is none."""
    area, part = cv2.intersectConvexConvex(polygon, corners(height, width))
    if area <= 0 or part is None:
        return np.zeros((0, 2), np.float32)
    return np.asarray(part, np.float32).reshape(-1, 2)


def area(polygon: NDArray[np.float32]) -> float:
    """Of a polygon (N, 2), in square pixels; 0 for none."""
    return float(cv2.contourArea(polygon)) if len(polygon) else 0.0
