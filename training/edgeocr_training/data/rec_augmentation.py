"""RecAug: what PP-OCR does to lines of text while a recogniser learns, besides TIA.

Crop, blur, colour, jitter, noise and inversion as in PaddleOCR's ``rec_img_aug.py``, with its
order and its parameters. Colour, jitter and noise are so weak there that they change grey levels
by one or nothing; they are kept as they are, and rendered lines bring the strong ones.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

PROBABILITY: Final = 0.4
"""Of each of them, on its own; jitter comes always."""
LEAST_SIDE_CROPPED: Final = 20
LEAST_SIDE: Final = 10
"""Lines that are not larger, in pixels, are neither blurred nor jittered."""
MOST_CROPPED: Final = 8
"""Rows."""
CROPPED_SHARE: Final = 6
"""At least so many times the rows that are cropped stay. PP-OCR crops up to 8 of 20 rows, which
leaves less of the letters than anybody could read."""


def rec_augmented(line_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Applies each operation at random.

    Args:
        line_HW3: uint8; is not changed.
        rng: source of all randomness.

    Returns:
        A line of the same width, up to :data:`MOST_CROPPED` rows lower.
    """
    if min(line_HW3.shape[:2]) >= LEAST_SIDE_CROPPED and rng.random() < PROBABILITY:
        line_HW3 = cropped(line_HW3, rng)
    roomy = min(line_HW3.shape[:2]) > LEAST_SIDE
    if roomy and rng.random() < PROBABILITY:
        line_HW3 = blurred(line_HW3)
    if rng.random() < PROBABILITY:
        line_HW3 = recoloured(line_HW3, rng)
    if roomy:
        line_HW3 = jittered(line_HW3, rng)
    if rng.random() < PROBABILITY:
        line_HW3 = noisy(line_HW3, rng)
    if rng.random() < PROBABILITY:
        line_HW3 = np.asarray(cv2.bitwise_not(line_HW3), dtype=np.uint8)
    return line_HW3


def cropped(line_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Without one to :data:`MOST_CROPPED` rows, of the top or of the bottom."""
    most = min(MOST_CROPPED, line_HW3.shape[0] // (CROPPED_SHARE + 1))
    rows = int(rng.integers(1, most + 1))
    return line_HW3[rows:] if rng.random() < 0.5 else line_HW3[:-rows]


def blurred(line_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gaussian of 5 x 5 pixels with a standard deviation of 1."""
    return np.asarray(cv2.GaussianBlur(line_HW3, (5, 5), 1), dtype=np.uint8)


def recoloured(line_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Scales the value of HSV by a factor within a thousandth of 1, fractions cut off.

    Scaling the value leaves hue and saturation alone, so it is scaling all three channels.
    """
    factor = 1 + 0.001 * rng.random() * rng.choice([-1, 1])
    table = np.minimum(np.arange(256) * factor, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(line_HW3, table), dtype=np.uint8)


def jittered(line_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Moved to the lower right by up to a hundredth of the shorter side: one pixel in a hundred."""
    height, width = line_HW3.shape[:2]
    shift = int(rng.random() * min(height, width) * 0.01)
    if shift == 0:
        return line_HW3
    jittered_HW3 = line_HW3.copy()
    jittered_HW3[shift:, shift:] = line_HW3[: height - shift, : width - shift]
    return jittered_HW3


def noisy(line_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Plus half of a Gaussian of variance 0.1 (in squared grey levels), fractions cut off."""
    noise_HW3 = rng.standard_normal(line_HW3.shape, dtype=np.float32)
    noise_HW3 *= 0.5 * np.sqrt(np.float32(0.1))
    noise_HW3 += line_HW3
    return np.clip(noise_HW3, 0, 255, out=noise_HW3).astype(np.uint8)
