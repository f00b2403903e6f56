"""Outlines of the text on a page, all of them in one array: a form may have hundreds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeocr.geometry import transform_points


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlines:
    """N polygons with M corners in all."""

    corners_M2: NDArray[np.float32]
    """One polygon after the other, pixels."""
    starts_N: NDArray[np.intp]
    """Where the corners of each polygon begin."""
    ignored_N: NDArray[np.bool_]
    """Whether text counts neither as text nor as background."""

    @classmethod
    def of(cls, polygons: Sequence[NDArray[np.floating]], ignored: Sequence[bool]) -> Outlines:
        """Gathers polygons.

        Args:
            polygons: (K, 2) each, K >= 3.
            ignored: for each polygon.
        """
        lengths = [len(polygon) for polygon in polygons]
        corners = np.concatenate([np.empty((0, 2)), *polygons])
        return cls(
            corners_M2=corners.astype(np.float32),
            starts_N=np.cumsum([0, *lengths[:-1]], dtype=np.intp)[: len(lengths)],
            ignored_N=np.array(ignored, dtype=bool),
        )

    def __len__(self) -> int:
        return len(self.starts_N)

    @property
    def polygons(self) -> list[NDArray[np.float32]]:
        """(K, 2) each."""
        return np.split(self.corners_M2, self.starts_N[1:]) if len(self) else []

    @property
    def lows_N2(self) -> NDArray[np.float32]:
        """The least coordinates of each polygon."""
        # reduceat knows no empty list of starts.
        return np.minimum.reduceat(self.corners_M2, self.starts_N) if len(self) else self.corners_M2

    @property
    def highs_N2(self) -> NDArray[np.float32]:
        """The greatest coordinates of each polygon."""
        return np.maximum.reduceat(self.corners_M2, self.starts_N) if len(self) else self.corners_M2

    def transformed(self, homography_33: NDArray[np.float64]) -> Outlines:
        """These outlines, sent through a projective map."""
        return Outlines(
            corners_M2=transform_points(self.corners_M2, homography_33),
            starts_N=self.starts_N,
            ignored_N=self.ignored_N,
        )

    def where(self, keep_N: NDArray[np.bool_]) -> Outlines:
        """Those that are marked."""
        polygons = self.polygons
        chosen = np.flatnonzero(keep_N).tolist()
        return Outlines.of([polygons[i] for i in chosen], self.ignored_N[keep_N].tolist())

    def __add__(self, other: Outlines) -> Outlines:
        return Outlines(
            corners_M2=np.concatenate([self.corners_M2, other.corners_M2]),
            starts_N=np.concatenate([self.starts_N, other.starts_N + len(self.corners_M2)]),
            ignored_N=np.concatenate([self.ignored_N, other.ignored_N]),
        )
