"""Random crops that cut no text, after EAST (Zhou et al., arXiv:1704.03155).

As PP-OCR's ``EastRandomCropData``: two cuts across and two down, each in a gap between texts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A part of a page, in whole pixels."""

    x: int
    y: int
    width: int
    height: int


def random_crop(
    lows_N2: NDArray[np.float32],
    highs_N2: NDArray[np.float32],
    width: int,
    height: int,
    rng: np.random.Generator,
    *,
    tries: int,
    min_side_ratio: float,
    fill_square: bool,
) -> Crop:
    """A crop of random place and size that shows at least one text and cuts none.

    Args:
        lows_N2: the least x and y of each text that may not be cut, in pixels of the page.
        highs_N2: the greatest.
        width: of the page.
        height: of the page.
        rng: source of all randomness.
        tries: after so many crops that were too small or showed no text, the whole page it is.
        min_side_ratio: least width and height of the crop, relative to the page's.
        fill_square: whether the shorter side grows towards the longer one, as far as the page
            and its text allow.

    Returns:
        The crop. Of a page without text, the first one that is large enough: PP-OCR, which finds
        none with text on it, takes the whole page always, but backgrounds of many sizes teach
        more.
    """
    columns = _gaps(lows_N2[:, 0], highs_N2[:, 0], width)
    rows = _gaps(lows_N2[:, 1], highs_N2[:, 1], height)
    if columns and rows:
        for _ in range(tries):
            left, right = _two_cuts(columns, rng)
            top, bottom = _two_cuts(rows, rng)
            # A side of no pixel is none, however small the ratio.
            if right - left < max(min_side_ratio * width, 1):
                continue
            if bottom - top < max(min_side_ratio * height, 1):
                continue
            shown_N2 = (highs_N2 > (left, top)) & (lows_N2 < (right, bottom))
            if not len(lows_N2) or np.all(shown_N2, axis=1).any():
                if fill_square:
                    side = max(right - left, bottom - top)
                    left, right = _grown(left, right, side, columns, rng)
                    top, bottom = _grown(top, bottom, side, rows, rng)
                return Crop(x=left, y=top, width=right - left, height=bottom - top)
    return Crop(x=0, y=0, width=width, height=height)


def _gaps(lows: NDArray[np.float32], highs: NDArray[np.float32], length: int) -> list[range]:
    """Runs of places, 0 to ``length``, where a cut crosses nothing."""
    # Place i lies between pixels i - 1 and i. One more blocked place closes the last run.
    blocked = np.zeros(length + 2, dtype=bool)
    blocked[-1] = True
    for low, high in zip(lows.tolist(), highs.tolist(), strict=True):
        first, end = math.floor(low) + 1, math.ceil(high)
        blocked[max(first, 0) : max(min(end, length + 1), 0)] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[True], blocked])))
    return [range(start, end) for start, end in edges.reshape(-1, 2).tolist()]


def _two_cuts(gaps: Sequence[range], rng: np.random.Generator) -> tuple[int, int]:
    """Two places in order, each in a gap that is chosen without regard to its width."""
    chosen = [gaps[int(rng.integers(len(gaps)))] for _ in range(2)]
    first, second = (gap[int(rng.integers(len(gap)))] for gap in chosen)
    return min(first, second), max(first, second)


def _grown(
    start: int, end: int, length: int, gaps: Sequence[range], rng: np.random.Generator
) -> tuple[int, int]:
    """Two places in gaps around ``start`` and ``end``, at most ``length`` apart."""
    lowest = start - int(rng.integers(length - (end - start) + 1))
    lowest = max(min(lowest, gaps[-1][-1] - length), 0)
    # The gap in which ``start`` lies is the last one that can hold the new start.
    start = next(max(gap[0], lowest) for gap in gaps if gap[-1] >= lowest)
    highest = start + length
    end = next(min(gap[-1], highest) for gap in reversed(gaps) if gap[0] <= highest)
    return start, end
