"""Quads and polygons: ordering, areas, growing, and the quads of single characters.

Coordinates are continuous pixels, x to the right and y down, so "clockwise" is clockwise as
seen on the screen.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import numpy as np
import pyclipper
from numpy.typing import NDArray

from edgeocr.rectangles import min_area_rectangle

Points = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]

# Advance widths of common fonts relative to the height of a line, which is about the height
# of a crop: they share the room between two neighbours and bound a character that stands alone.
_WIDE_ADVANCE: Final = 1.0
_NARROW_ADVANCE: Final = 0.55
_SPACE_ADVANCE: Final = 0.35
# A glyph may be wider than the common advance ("W", "—") before we call the rest a gap.
_WIDEST: Final = 1.4


def polygon_area(points_N2: Points) -> float:
    """Area in square pixels by the shoelace formula; never negative."""
    # Plain floats: polygons have few corners, and arrays of four cost more than they save.
    points = points_N2.tolist()
    return abs(sum(x * v - u * y for (x, y), (u, v) in _edges(points))) / 2


def polygon_perimeter(points_N2: Points) -> float:
    """Length of the closed outline in pixels."""
    return sum(math.dist(start, end) for start, end in _edges(points_N2.tolist()))


def _edges(points: list[list[float]]) -> Iterable[tuple[list[float], list[float]]]:
    return zip(points, points[1:] + points[:1], strict=True)


def order_clockwise(points_42: Points) -> NDArray[np.float32]:
    """Order four corners clockwise from the top-left corner of the text.

    The left edge is the pair of adjacent corners that lies farthest left, as PP-OCR has it
    for rectangles. A line stays a line at any slope at which its ends, and not its long
    sides, are its leftmost and rightmost edges. Where two edges lie equally far left (a
    square that stands on its corner) the text is taken to fall to the right.

    Args:
        points_42: corners of a convex quad in any order.

    Returns:
        (4, 2) float32: top-left, top-right, bottom-right, bottom-left.
    """
    points = points_42.tolist()
    middle_x, middle_y = (sum(axis) / 4 for axis in zip(*points, strict=True))
    # y points down, so growing angles run clockwise.
    points.sort(key=lambda point: math.atan2(point[1] - middle_y, point[0] - middle_x))
    # Corner k is the upper end of the edge that comes from corner k - 1.
    left_edges = [points[k][0] + points[k - 1][0] for k in range(4)]
    tie = min(left_edges) + 1e-6 * (1 + max(abs(x) for x, _ in points))
    first = min((k for k in range(4) if left_edges[k] <= tie), key=lambda k: points[k][1])
    return np.array(points[first:] + points[:first], dtype=np.float32)


def min_area_quad(points_N2: Points) -> tuple[NDArray[np.float32], float]:
    """The rectangle of least area around the points.

    Returns:
        Its corners as from :func:`order_clockwise`, and its shorter side in pixels.
    """
    rectangle = min_area_rectangle(points_N2)
    return order_clockwise(rectangle.corners), rectangle.shorter_side


def quad_size(quad_42: Points) -> tuple[float, float]:
    """Width and height of an ordered quad: of each pair of opposite edges the longer one."""
    top_left, top_right, bottom_right, bottom_left = quad_42.tolist()
    width = max(math.dist(top_left, top_right), math.dist(bottom_left, bottom_right))
    height = max(math.dist(top_left, bottom_left), math.dist(top_right, bottom_right))
    return width, height


def offset_polygon(points_N2: Points, distance: float) -> list[NDArray[np.int32]]:
    """Grow (or with a negative distance shrink) a polygon, with round corners.

    Vertices are cut to whole pixels before and rounded after, as in PP-OCR.

    Returns:
        The outlines that result, (N, 2) int32 each; none when the polygon vanishes.
    """
    offset = pyclipper.PyclipperOffset()
    try:
        offset.AddPath(
            points_N2.astype(np.int64).tolist(),
            pyclipper.JT_ROUND,
            pyclipper.ET_CLOSEDPOLYGON,
        )
    except pyclipper.ClipperException:  # fewer than three distinct vertices
        return []
    return [np.array(path, dtype=np.int32) for path in offset.Execute(distance)]


def unclip_polygon(points_N2: Points, ratio: float) -> list[NDArray[np.int32]]:
    """Undo the shrinking of DB's text kernels: grow by ``area * ratio / perimeter``.

    The inverse of the labels' ``D = A (1 - r²) / L`` (Liao et al., arXiv:1911.08947, eq. 10).
    """
    perimeter = polygon_perimeter(points_N2)
    if perimeter == 0:
        return []
    return offset_polygon(points_N2, polygon_area(points_N2) * ratio / perimeter)


def transform_points(points_N2: Points, homography_33: NDArray[np.float64]) -> NDArray[np.float32]:
    """Send points through a projective map."""
    points = np.asarray(points_N2, dtype=np.float64)
    x, y, w = homography_33 @ np.column_stack([points, np.ones(len(points))]).T
    return np.column_stack([x / w, y / w]).astype(np.float32)


def character_quads(
    characters: Sequence[str],
    starts: NDArray[np.integer[Any]],
    ends: NDArray[np.integer[Any]],
    *,
    step_width: float,
    crop_width: float,
    crop_height: float,
    to_image: NDArray[np.float64],
    rotation: Literal[0, 180] = 0,
) -> NDArray[np.float32]:
    """Place the characters of a line by the CTC steps that emitted them.

    CTC says where a character is, not how wide: the middle of its run of steps is taken for
    its centre, neighbours share the room between them in proportion to their usual advance
    widths (a Chinese character takes about twice the room of a Latin letter), and none grows
    beyond a sensible width. Good to about half a character.

    Args:
        characters: n characters in order of reading.
        starts: (n,) first step of each run.
        ends: (n,) last step of each run, inclusive.
        step_width: pixels of the crop per CTC step.
        crop_width: of the crop in pixels.
        crop_height: of the crop in pixels.
        to_image: (3, 3) map from the crop to the image, before the crop was turned by
            ``rotation``.
        rotation: degrees by which the crop was turned before it was recognised.

    Returns:
        (n, 4, 2) float32 in image pixels, clockwise from each character's own top-left, so
        with a rotation of 180 they start at the lower right as the image shows them.
    """
    count = len(characters)
    if count == 0:
        return np.empty((0, 4, 2), dtype=np.float32)
    centres = (np.asarray(starts) + np.asarray(ends) + 1) / 2 * step_width
    advances = np.array([_advance(character) for character in characters]) * crop_height
    half_limits = advances * _WIDEST / 2

    gaps = np.diff(centres)
    left_shares = gaps * advances[:-1] / (advances[:-1] + advances[1:])
    rights = np.append(left_shares, np.inf)
    lefts = np.insert(gaps - left_shares, 0, np.inf)
    # The outer characters have one neighbour: they reach as far on the free side, and at
    # least half of their advance.
    lefts[0] = max(rights[0], advances[0] / 2) if count > 1 else advances[0] / 2
    rights[-1] = max(lefts[-1], advances[-1] / 2) if count > 1 else advances[-1] / 2
    x0 = np.clip(centres - np.minimum(lefts, half_limits), 0, crop_width)
    x1 = np.clip(centres + np.minimum(rights, half_limits), 0, crop_width)

    top, bottom = np.zeros(count), np.full(count, crop_height)
    if rotation == 180:
        x0, x1 = crop_width - x0, crop_width - x1
        top, bottom = bottom, top
    corners = np.stack([x0, top, x1, top, x1, bottom, x0, bottom], axis=1)
    return transform_points(corners.reshape(-1, 2), to_image).reshape(count, 4, 2)


def _advance(character: str) -> float:
    if character.isspace():
        return _SPACE_ADVANCE
    wide = unicodedata.east_asian_width(character[0]) in ("W", "F")
    return _WIDE_ADVANCE if wide else _NARROW_ADVANCE
