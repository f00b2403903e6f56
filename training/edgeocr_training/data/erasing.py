"""CutOut, RandErasing, HideAndSeek and GridMask: parts of an image are hidden.

The masks have the parameters of PaddleClas, which are for images of 224 x 224 pixels. They are
drawn at this size and stretched over a line, so that each hides the same share of either side: a
hole of 112 pixels would be larger than a line is high.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.line_images import PADDING

SIDE: Final = 224
"""Of the images that the parameters are for, in pixels."""
CUT_OUT_SIDE: Final = 112
ERASED_PROBABILITY: Final = 0.5
ERASED_AREA: Final = (0.02, 0.4)
ERASED_ASPECT: Final = (0.3, 1 / 0.3)
_TRIES: Final = 100
HIDDEN_CELLS: Final = (0, 16, 32, 44, 56)
"""Sides of a cell of HideAndSeek; with 0 nothing is hidden."""
HIDDEN_PROBABILITY: Final = 0.5
"""Of each cell."""
GRID_PERIOD: Final = (96, 224)
GRID_HIDDEN: Final = 0.5
"""Side of a hidden square, relative to the period."""
GRID_PROBABILITY: Final = 0.5
"""PaddleClas raises it from 0 to 1 over 240 epochs; this is the mean of that, from the start."""

Mask = NDArray[np.bool_]


def hidden(image_HW3: NDArray[np.uint8], mask_SS: Mask) -> NDArray[np.uint8]:
    """The image in grey 127, the network's zero, where the mask lies stretched over it.

    Args:
        image_HW3: uint8; is not changed.
        mask_SS: (224, 224), true where the image is hidden.
    """
    height, width = image_HW3.shape[:2]
    size = (width, height)
    mask_HW = cv2.resize(mask_SS.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    shown_HW3 = image_HW3.copy()
    shown_HW3[mask_HW > 0] = PADDING
    return shown_HW3


def cut_out_mask(rng: np.random.Generator) -> Mask:
    """A square about a middle anywhere, cut off at the edges. DeVries, arXiv:1708.04552."""
    mask = _nothing()
    y, x = (rng.integers(SIDE, size=2) - CUT_OUT_SIDE // 2).tolist()
    mask[max(y, 0) : y + CUT_OUT_SIDE, max(x, 0) : x + CUT_OUT_SIDE] = True
    return mask


def rand_erasing_mask(rng: np.random.Generator) -> Mask:
    """In half of the images, a rectangle of random area and shape. Zhong, arXiv:1708.04896."""
    mask = _nothing()
    if rng.random() >= ERASED_PROBABILITY:
        return mask
    for _ in range(_TRIES):
        area = rng.uniform(*ERASED_AREA) * SIDE * SIDE
        aspect = rng.uniform(*ERASED_ASPECT)
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if height < SIDE and width < SIDE:
            y, x = int(rng.integers(SIDE - height + 1)), int(rng.integers(SIDE - width + 1))
            mask[y : y + height, x : x + width] = True
            break
    return mask


def hide_and_seek_mask(rng: np.random.Generator) -> Mask:
    """Each cell of a grid with probability 0.5. Singh, arXiv:1811.02545."""
    cell = int(rng.choice(HIDDEN_CELLS))
    if cell == 0:
        return _nothing()
    cells = -(-SIDE // cell)
    grid = rng.random((cells, cells)) < HIDDEN_PROBABILITY
    return np.asarray(grid.repeat(cell, axis=0).repeat(cell, axis=1)[:SIDE, :SIDE])


def grid_mask(rng: np.random.Generator) -> Mask:
    """In half of the images, squares at the places of a grid. Chen, arXiv:2001.04086."""
    if rng.random() >= GRID_PROBABILITY:
        return _nothing()
    period = int(rng.integers(*GRID_PERIOD))
    start_y, start_x = rng.integers(period, size=2)
    side = math.ceil(GRID_HIDDEN * period)
    place = np.arange(SIDE)
    rows, columns = ((place - start) % period < side for start in (start_y, start_x))
    return np.asarray(rows[:, None] & columns)


def _nothing() -> Mask:
    return np.zeros((SIDE, SIDE), dtype=np.bool_)
