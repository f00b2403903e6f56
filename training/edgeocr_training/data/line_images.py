"""Images of lines: decoded, and fitted into the input of a network as the product does it."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.errors import ImageError
from edgeocr.images import load_image
from edgeocr.pixels import RESIZING, TALL_LINE
from edgeocr_training.data.lines import LabelledLine
from edgeocr_training.errors import SampleError

PADDING: Final = 127
"""Grey level to the right of a line. Networks of lines take ``(x / 255 - 0.5) / 0.5``, where the
product pads with 0; no grey level is 0 there, and this one is 1 / 255 off."""

WORKING_HEIGHT: Final = 2
"""Times the height of the network: higher lines are made so small before they are augmented, which
costs nothing that the network could see, and saves most of the time."""


def decoded(line: LabelledLine) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 BGR.

    Raises:
        SampleError: the image is broken.
    """
    try:
        return load_image(line.image)
    except ImageError as error:
        raise SampleError(f"{line.name}: {error}") from error


def laid_flat(line_HW3: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Turned by 90 degrees counter-clockwise where the product does so: where it is tall.

    PP-OCR's training squashes tall lines of label files to a few columns. A single character that
    is tall stands upright.
    """
    height, width = line_HW3.shape[:2]
    if height >= TALL_LINE * width and len(text) > 1:
        return np.ascontiguousarray(np.rot90(line_HW3))
    return line_HW3


def at_working_height(
    line_HW3: NDArray[np.uint8], height: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """At most :data:`WORKING_HEIGHT` times the height of the network.

    Half of the lines are made smaller without a low-pass filter, as the product does it, so that
    the network knows the jagged letters that this gives as well.
    """
    rows, columns = line_HW3.shape[:2]
    most = WORKING_HEIGHT * height
    way = (cv2.INTER_AREA, RESIZING)[rng.integers(2)]
    if rows <= most:
        return line_HW3
    size = (max(1, round(columns * most / rows)), most)
    return np.asarray(cv2.resize(line_HW3, size, interpolation=way), dtype=np.uint8)


def resized(line_HW3: NDArray[np.uint8], *, height: int, width: int) -> NDArray[np.uint8]:
    """At the height of the network, keeping the aspect, or squashed to ``width`` columns."""
    rows, columns = line_HW3.shape[:2]
    # Up to the next whole pixel; the hair stands for the division's rounding.
    needed = max(1, math.ceil(height * columns / rows - 1e-6))
    size = (min(width, needed), height)
    return np.asarray(cv2.resize(line_HW3, size, interpolation=RESIZING), dtype=np.uint8)


def padded(line_HW3: NDArray[np.uint8], *, width: int) -> NDArray[np.uint8]:
    """Filled up at the right with :data:`PADDING`."""
    height, columns = line_HW3.shape[:2]
    padded_HW3 = np.full((height, width, 3), PADDING, dtype=np.uint8)
    padded_HW3[:, :columns] = line_HW3
    return padded_HW3
