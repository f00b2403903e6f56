"""Pixels as networks take them."""

from __future__ import annotations

from typing import Final, TypeAlias

import torch
from torch import Tensor

Channels3: TypeAlias = tuple[float, float, float]
"""A value for each channel of an image, in BGR order."""

HALF: Final[Channels3] = (0.5, 0.5, 0.5)
"""Mean and standard deviation of PP-OCR's recognisers and classifiers."""

_BYTE_HALF: Final = 128 / 255
BYTE_HALF: Final[Channels3] = (_BYTE_HALF, _BYTE_HALF, _BYTE_HALF)
"""Mean and standard deviation of (x - 128) / 128: quantized, a pixel is itself minus 128."""


def normalise_pixels(image_BHW3: Tensor, *, mean: Channels3, std: Channels3) -> Tensor:
    """(B, H, W, 3) uint8 BGR to (B, 3, H, W) float32, (x / 255 - mean) / std."""
    mean_3 = image_BHW3.new_tensor(mean, dtype=torch.float32) * 255
    std_3 = image_BHW3.new_tensor(std, dtype=torch.float32) * 255
    return ((image_BHW3 - mean_3) / std_3).permute(0, 3, 1, 2)
