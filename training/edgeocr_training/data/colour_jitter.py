"""Random brightness, contrast and tint, by one table of 256 values per channel.

PP-OCR's detectors are trained without; lighting varies more where data is scarce.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def jitter_colours(
    image_HW3: NDArray[np.uint8], rng: np.random.Generator, *, strength: float
) -> NDArray[np.uint8]:
    """Scales the contrast about mid-grey, and each channel by a factor of its own.

    Args:
        image_HW3: uint8 of any three channels.
        rng: source of all randomness.
        strength: contrast, brightness and tint are factors from ``[1 - strength, 1 + strength]``,
            the tint's from a quarter of that range.
    """
    contrast, brightness = rng.uniform(1 - strength, 1 + strength, size=2)
    tint_3 = rng.uniform(1 - strength / 4, 1 + strength / 4, size=3)
    grey = (np.arange(256) - 127.5) * contrast + 127.5
    table_1L3 = np.clip(np.rint(grey[:, None] * brightness * tint_3), 0, 255).astype(np.uint8)[None]
    return np.asarray(cv2.LUT(image_HW3, table_1L3), dtype=np.uint8)
