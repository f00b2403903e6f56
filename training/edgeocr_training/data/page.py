"""A page: an image and the outlines of its text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Page:
    """An image with the regions of text on it, read from a label file or rendered."""

    image: NDArray[np.uint8]
    """(H, W, 3) BGR."""
    polygons: tuple[NDArray[np.float32], ...]
    """(N, 2) each, N >= 3, image pixels; they may reach over the edges of the image."""
    ignored: tuple[bool, ...]
    """For each polygon: there is text, but nobody can read it, so it counts neither as text nor as
    background."""
    name: str
    """The image's path, or what describes a rendered page; for messages."""
