"""BDA, the base data augmentation of PP-OCR's classifier of directions.

Rotation, perspective, motion blur and Gaussian noise (PP-OCR, arXiv:2009.09941). The paper gives no
ranges, and in the code that was published rotation, perspective and motion are missing.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.synthetic.degradation import motion, noise

PROBABILITY: Final = 0.4
"""Of each of the four, on its own, as in RecAug."""
MOST_DEGREES: Final = 8.0
"""To either side; of long lines fewer: no end moves by more than a quarter of the height."""
MOST_DISPLACED: Final = 0.12
"""A corner, along both axes, relative to the height."""
MOST_SMEARED: Final = 0.15
"""Length of a smear, relative to the height."""
MOST_NOISE: Final = 15.0
"""Deviation in grey levels."""


def bda_augmented(line_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Applies each of the four at random.

    Args:
        line_HW3: uint8; is not changed.
        rng: source of all randomness.

    Returns:
        A line of the same size.
    """
    height, width = line_HW3.shape[:2]
    corners_42 = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    moved_42 = corners_42
    if rng.random() < PROBABILITY:
        moved_42 = _rotated(moved_42, rng)
    if rng.random() < PROBABILITY:
        reach = MOST_DISPLACED * height
        # A line may be narrower than high: its corners don't pass one another.
        reach_2 = np.minimum((reach, reach), (width / 3, height / 3))
        moved_42 = moved_42 + rng.uniform(-1, 1, (4, 2)) * reach_2
    if moved_42 is not corners_42:
        line_HW3 = _warped(line_HW3, corners_42, moved_42)
    if rng.random() < PROBABILITY:
        line_HW3 = motion(rng, line_HW3, length=MOST_SMEARED * height)
    if rng.random() < PROBABILITY:
        line_HW3 = noise(rng, line_HW3, deviation=MOST_NOISE)
    return line_HW3


def _rotated(points_42: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    width, height = points_42[2]
    most = min(math.radians(MOST_DEGREES), math.atan2(0.25 * height, 0.5 * width))
    angle = rng.uniform(-most, most)
    turn_22 = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle_2 = points_42[2] / 2
    return np.asarray((points_42 - middle_2) @ turn_22.T + middle_2)


def _warped(
    line_HW3: NDArray[np.uint8], from_42: NDArray[np.float64], to_42: NDArray[np.float64]
) -> NDArray[np.uint8]:
    height, width = line_HW3.shape[:2]
    # OpenCV counts from the middle of the first pixel.
    back_33 = cv2.getPerspectiveTransform(
        (to_42 - 0.5).astype(np.float32), (from_42 - 0.5).astype(np.float32)
    )
    warped = cv2.warpPerspective(
        line_HW3,
        back_33,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, dtype=np.uint8)
