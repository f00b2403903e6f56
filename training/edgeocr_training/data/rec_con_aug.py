"""RecConAug: lines side by side as one, as PP-OCR does it from its third version on."""

from __future__ import annotations

import unicodedata
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

PROBABILITY: Final = 0.5
SPACE_WIDTH: Final = 0.3
"""Of the space between two words, relative to the height of the line."""


def joined(
    left_HW3: NDArray[np.uint8],
    left_text: str,
    right_HW3: NDArray[np.uint8],
    right_text: str,
    *,
    max_length: int,
    max_aspect: float,
) -> tuple[NDArray[np.uint8], str] | None:
    """The two lines side by side, at the height of the left one.

    PP-OCR joins texts without a space. Between two words of a script that has spaces there is one
    here, in the text and in the picture: where words come as single crops, spaces are rare, and
    a gap that is labelled as none would unlearn them.

    Args:
        left_HW3: uint8.
        left_text: not empty.
        right_HW3: uint8.
        right_text: not empty.
        max_length: most characters of the joined text.
        max_aspect: greatest width to height of the joined line.

    Returns:
        The line and its text; None where it would be too long.
    """
    height = left_HW3.shape[0]
    spaced = not (_is_wide(left_text[-1]) or _is_wide(right_text[0]))
    text = left_text + (" " if spaced else "") + right_text
    gap = max(1, round(SPACE_WIDTH * height)) if spaced else 0
    right_width = max(1, round(right_HW3.shape[1] * height / right_HW3.shape[0]))
    width = left_HW3.shape[1] + gap + right_width
    if len(text) > max_length or width > max_aspect * height:
        return None
    right = cv2.resize(right_HW3, (right_width, height), interpolation=cv2.INTER_LINEAR)
    parts = [left_HW3, np.asarray(right, dtype=np.uint8)]
    if gap:
        parts.insert(1, _between(left_HW3[:, -1], parts[1][:, 0], gap))
    return np.concatenate(parts, axis=1), text


def _is_wide(character: str) -> bool:
    """Chinese, Japanese and Korean ones, full-width forms."""
    return unicodedata.east_asian_width(character) in ("W", "F")


def _between(
    left_H3: NDArray[np.uint8], right_H3: NDArray[np.uint8], columns: int
) -> NDArray[np.uint8]:
    """Columns that change evenly from one line's ground, at its last column, to the other's."""
    share_C1 = (np.arange(columns)[:, None] + 1) / (columns + 1)
    # Medians: a letter that touches the edge would be drawn out to a dash.
    blend_C3 = np.median(left_H3, axis=0) * (1 - share_C1) + np.median(right_H3, axis=0) * share_C1
    return np.tile(np.rint(blend_C3).astype(np.uint8), (len(left_H3), 1, 1))
