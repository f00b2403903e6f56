"""Flat things seen by a camera: maps of pictures and of points, and how to lay one on another.

The outer corner of the first pixel is the point (0, 0), its centre (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import pyclipper
from numpy.typing import NDArray

Homography = NDArray[np.float64]
"""(3, 3); maps (x, y, 1) to multiples of (x', y', 1)."""
Points = NDArray[np.float32]
"""(N, 2), pixels; of a polygon, N >= 3."""

_CORNERS: Final = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
_SUBPIXELS: Final = 256
"""pyclipper computes on integers."""
_BEND_POINTS: Final = 7
"""On each long side of a line that is bent."""


def corners(height: float, width: float) -> Points:
    """(4, 2): the outer corners of a picture, clockwise from the top-left."""
    return np.asarray(_CORNERS * (width, height), np.float32)


def tilted(
    rng: np.random.Generator, height: float, width: float, *, slant: float, tilt: float
) -> Points:
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
    # As seen from one to three of its sides away, as one holds a phone.
    distance = max(height, width) * rng.uniform(1.2, 3.0)
    return np.asarray(points[:, :2] * (distance / (distance + points[:, 2:])), np.float32)


def onto(height: float, width: float, target: Points) -> Homography:
    """The map of a picture of this size onto a quadrilateral (4, 2)."""
    return np.asarray(
        cv2.getPerspectiveTransform(corners(height, width), np.asarray(target, np.float32)),
        np.float64,
    )


def mapped(points: Points, homography: Homography) -> Points:
    """The points after the map."""
    return np.asarray(cv2.perspectiveTransform(points[None], homography)[0], np.float32)


def between_centres(homography: Homography) -> Homography:
    """The same map for OpenCV, to which the centre of the first pixel is (0, 0)."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]], np.float64)
    return np.asarray(np.linalg.inv(half) @ homography @ half, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend:
    """Columns pushed down by a sine of their place, as on paper that does not lie flat."""

    amplitude: float
    """Pixels; the bent picture is higher by twice as many, rounded up."""
    waves: float
    """Over the width of the picture."""
    phase: float
    """Radians."""
    width: int
    """Of the picture, pixels."""

    @property
    def margin(self) -> int:
        """Rows that the bent picture has more at the top, and as many at the bottom."""
        return int(np.ceil(self.amplitude))

    def shift(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """How far down things at ``x`` go within the higher picture."""
        wave = np.sin(2 * np.pi * self.waves * x / self.width + self.phase)
        return np.asarray(self.margin + self.amplitude * wave, np.float32)

    def picture(self, flat: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H + 2 margin, W) or with channels: a picture bent; black where there was nothing."""
        height = flat.shape[0] + 2 * self.margin
        columns = np.arange(self.width, dtype=np.float32)
        rows = np.arange(height, dtype=np.float32)[:, None] - self.shift(columns + 0.5)
        places = np.broadcast_to(columns, rows.shape)
        return np.asarray(cv2.remap(flat, np.ascontiguousarray(places), rows, cv2.INTER_LINEAR))

    def polygon(self, rectangle: Points) -> Points:
        """(14, 2): the outline of a rectangle (4, 2), clockwise from its top-left, when bent."""
        share = np.linspace(0, 1, _BEND_POINTS, dtype=np.float32)[:, None]
        top = rectangle[0] + share * (rectangle[1] - rectangle[0])
        bottom = rectangle[2] + share * (rectangle[3] - rectangle[2])
        outline = np.concatenate([top, bottom])
        outline[:, 1] += self.shift(outline[:, 0])
        return np.asarray(outline, np.float32)


def lay(
    picture: NDArray[np.uint8],
    front: NDArray[np.uint8],
    homography: Homography,
    *,
    cover: NDArray[np.uint8] | None = None,
) -> None:
    """Lays one picture on another, in place.

    Args:
        picture: (H, W, 3) that is changed.
        front: (h, w, 3) that goes onto it.
        homography: from ``front`` to ``picture``.
        cover: (h, w), how opaque the front is, 0 to 255; everywhere 255 where it is None.
    """
    height, width = front.shape[:2]
    place = mapped(corners(height, width), homography)
    left, top = np.maximum(np.floor(place.min(0)).astype(int), 0).tolist()
    right, bottom = np.minimum(np.ceil(place.max(0)).astype(int), picture.shape[1::-1]).tolist()
    if left >= right or top >= bottom:
        return
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], np.float64)
    moved = between_centres(shift @ homography)
    size = (right - left, bottom - top)
    region = picture[top:bottom, left:right]
    if cover is None:
        seen = cv2.warpPerspective(
            front,
            moved,
            size,
            dst=np.ascontiguousarray(region),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT,
        )
        region[:] = seen
        return
    seen = cv2.warpPerspective(front, moved, size, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpPerspective(cover, moved, size)
    opaque = cv2.merge([share] * 3)
    covered = cv2.multiply(seen, opaque, scale=1 / 255)
    left_over = cv2.multiply(region, cv2.bitwise_not(opaque), scale=1 / 255)
    region[:] = cv2.add(covered, left_over)


def within(polygon: Points, height: int, width: int) -> Points:
    """The part of a polygon inside of a picture; (0, 2) where there is none."""
    low, high = polygon.min(0), polygon.max(0)
    if low.min() >= 0 and high[0] <= width and high[1] <= height:
        return polygon
    clipper = pyclipper.Pyclipper()
    frame = corners(height, width)
    try:
        clipper.AddPath(_whole(frame), pyclipper.PT_CLIP, True)
        clipper.AddPath(_whole(polygon), pyclipper.PT_SUBJECT, True)
    except pyclipper.ClipperException:  # the polygon has no area
        return np.zeros((0, 2), np.float32)
    parts = clipper.Execute(pyclipper.CT_INTERSECTION, pyclipper.PFT_NONZERO, pyclipper.PFT_NONZERO)
    if not parts:
        return np.zeros((0, 2), np.float32)
    largest = max(parts, key=lambda part: abs(pyclipper.Area(part)))
    points = np.asarray(largest, np.float32) / np.float32(_SUBPIXELS)
    return np.clip(points, frame[0], frame[2])


def _whole(polygon: Points) -> list[list[int]]:
    numbers: list[list[int]] = np.rint(polygon * _SUBPIXELS).astype(np.int64).tolist()
    return numbers


def area(polygon: Points) -> float:
    """In square pixels; 0 for no points."""
    return float(cv2.contourArea(polygon)) if len(polygon) else 0.0


def thickness(polygon: Points) -> float:
    """Pixels across a strip, straight or bent: the shorter side of the rectangle of the same
    area and perimeter.
    """
    half = cv2.arcLength(polygon, True) / 2
    return float(half - np.sqrt(max(half**2 - 4 * area(polygon), 0))) / 2
