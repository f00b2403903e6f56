"""Areas of polygons and of their intersections, exact for any shape.

pyclipper computes on integers, so coordinates are taken in 1/1024 pixel; a coordinate moves by
at most 1/2048 pixel. Self-crossing outlines count every enclosed point once (non-zero rule).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyclipper
from numpy.typing import NDArray

SUBPIXELS: Final = 1024

Outline = list[list[int]]


class PolygonArea:
    """One polygon, prepared for many intersections.

    Args:
        polygon: (N, 2) float, N >= 3, pixels, finite, any orientation.
    """

    __slots__ = ("_high", "_low", "_outlines", "area")

    area: float
    """In square pixels; 0 for a polygon that has collapsed to a line or a point."""

    def __init__(self, polygon: NDArray[np.floating]) -> None:
        outline: Outline = np.rint(np.asarray(polygon) * SUBPIXELS).astype(np.int64).tolist()
        self._outlines: Sequence[Outline] = pyclipper.SimplifyPolygon(
            outline, pyclipper.PFT_NONZERO
        )
        self.area = _area(self._outlines)
        points = np.asarray(outline)
        self._low = points.min(axis=0)
        self._high = points.max(axis=0)

    def intersection(self, other: "PolygonArea") -> float:
        """Area in both polygons, in square pixels."""
        # Most pairs on a page are far apart: their bounding boxes settle it.
        if np.any(self._low >= other._high) or np.any(other._low >= self._high):
            return 0.0
        if not self.area or not other.area:
            return 0.0
        clipper = pyclipper.Pyclipper()
        clipper.AddPaths(self._outlines, pyclipper.PT_SUBJECT, True)
        clipper.AddPaths(other._outlines, pyclipper.PT_CLIP, True)
        common = clipper.Execute(
            pyclipper.CT_INTERSECTION, pyclipper.PFT_NONZERO, pyclipper.PFT_NONZERO
        )
        return _area(common)

    def iou(self, other: "PolygonArea") -> float:
        """Intersection over union in [0, 1]; 0 where both polygons have no area."""
        common = self.intersection(other)
        union = self.area + other.area - common
        return common / union if union > 0 else 0.0


def _area(outlines: Sequence[Outline]) -> float:
    # Holes run the other way round, so their signed areas subtract themselves.
    return abs(float(sum(pyclipper.Area(outline) for outline in outlines))) / SUBPIXELS**2
