"""The order in which a person would read the boxes of a page.

A heuristic on boxes alone, made for pages of horizontal lines:

1. The skew of the page is the length-weighted median direction of its elongated boxes, and
   everything below happens in coordinates turned by it. Boxes at least 1.5 times as high as
   wide count as lines that run downwards; where they prevail, the page reads from its right
   edge to its left, which suits vertical Chinese and Japanese as well as a page that lies on
   its side.
2. Boxes share a row if the centres of neighbours differ by less than half of the lower
   one's height.
3. A gap in a row separates columns only if a straight gutter runs through at least three
   rows with a neighbour on either side, no box crosses it there, and the neighbours are long
   lines: six times as long as high and twice as long as the gap is wide. So "item .... price"
   stays one row, and so do tables of short cells. A table of two columns of long text looks
   like two columns of text, and is read as such.
4. Pieces of rows are sorted as T. Breuel does ("High Performance Document Layout Analysis",
   2003): above before below where they share columns; left before right unless a piece
   between them spans both, as a heading does.

Not attempted: page-wide right-to-left scripts, text that flows around figures, and curved
lines that lie inside of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeocr.geometry import Points

_TALL: Final = 1.5
"""Height over width from which a box is a line that runs downwards."""
_ELONGATED: Final = 2.0
"""Length over height from which a box's direction says something about the page's."""
_WORD_GAP: Final = 0.7
"""Widest gap within a line of text, in median heights."""
_GUTTER_ROWS: Final = 3
_LONG_LINE: Final = 6.0
"""Least median length of the lines beside a gutter, in median heights."""
_LINES_PER_GUTTER: Final = 2.0
"""Least median length of the lines beside a gutter, in widths of the gap."""


@dataclass(slots=True, eq=False)
class _Span:
    """Boxes side by side in one row, in coordinates turned by the skew."""

    boxes: list[int]
    left: float
    right: float
    row: int


def reading_order(quads_N42: Points) -> list[int]:
    """Indices of the quads in reading order.

    Invariant under permutation, translation and uniform scaling, up to boxes whose places
    are exactly equal.

    Args:
        quads_N42: (N, 4, 2) corners, clockwise from the top-left.
    """
    quads = np.asarray(quads_N42, dtype=np.float64).reshape(-1, 4, 2)
    if len(quads) < 2:
        return list(range(len(quads)))
    angle = _skew(quads)
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = quads @ np.array([[cosine, -sine], [sine, cosine]])
    left, top = turned.min(axis=1).T
    right, bottom = turned.max(axis=1).T
    heights = bottom - top
    rows = _rows(left, right, (top + bottom) / 2, heights)

    height = float(np.median(heights))
    spans = [
        span
        for number, row in enumerate(rows)
        for span in _join_words(row, number, left, right, _WORD_GAP * height)
    ]
    gutters = _gutters(spans, len(rows), height)
    pieces = _join_row_pieces(spans, gutters)
    order = _topological_order(pieces) if gutters else range(len(pieces))
    return [box for piece in order for box in pieces[piece].boxes]


def page_skew(quads_N42: Points) -> float:
    """Direction of the lines of a page in radians; positive where they fall to the right.

    Close to pi / 2 for pages whose lines run downwards; 0 without any elongated box.
    """
    return _skew(np.asarray(quads_N42, dtype=np.float64).reshape(-1, 4, 2))


def _skew(quads: NDArray[np.float64]) -> float:
    top_left, top_right, bottom_right, bottom_left = quads.transpose(1, 0, 2)
    across = (top_right + bottom_right - top_left - bottom_left) / 2
    down = (bottom_left + bottom_right - top_left - top_right) / 2
    width, height = np.hypot(*across.T), np.hypot(*down.T)
    along = np.where((height >= _TALL * width)[:, None], down, across)
    length, thickness = np.maximum(width, height), np.minimum(width, height)
    elongated = length >= _ELONGATED * np.maximum(thickness, 1e-9)
    if not elongated.any():
        return 0.0
    angles = np.arctan2(along[elongated, 1], along[elongated, 0])
    order = np.argsort(angles, kind="stable")
    weights = np.cumsum(length[elongated][order])
    return float(angles[order][np.searchsorted(weights, weights[-1] / 2)])


def _rows(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    middle: NDArray[np.float64],
    heights: NDArray[np.float64],
) -> list[list[int]]:
    """Rows from top to bottom, each from left to right."""
    rows: list[list[int]] = []
    open_rows: list[list[int]] = []
    tallest = heights.max()
    for box in np.lexsort((left, middle)).tolist():
        open_rows = [row for row in open_rows if middle[box] - middle[row[-1]] <= tallest / 2]
        best: list[int] | None = None
        best_distance = np.inf
        for row in open_rows:
            # The nearest of the row, and not all of it: the rows of a page seen at an angle
            # fan out, and no single skew levels them.
            gaps = np.maximum(left[box] - right[row], left[row] - right[box])
            nearest = row[int(gaps.argmin())]
            distance = middle[box] - middle[nearest]
            reach = min(heights[box], heights[nearest]) / 2
            if distance < min(reach, best_distance) and not _collides(box, row, left, right):
                best, best_distance = row, distance
        if best is None:
            best = []
            rows.append(best)
            open_rows.append(best)
        best.append(box)
    rows.sort(key=lambda row: float(middle[row].mean()))
    return [sorted(row, key=lambda box: (left[box], right[box])) for row in rows]


def _collides(
    box: int, row: list[int], left: NDArray[np.float64], right: NDArray[np.float64]
) -> bool:
    """Whether a box lies above or below one of the row rather than beside it."""
    shared = np.minimum(right[row], right[box]) - np.maximum(left[row], left[box])
    widths = np.minimum(right[row] - left[row], right[box] - left[box])
    return bool((shared > widths / 2).any())


def _join_words(
    row: list[int],
    number: int,
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    widest_gap: float,
) -> list[_Span]:
    spans: list[_Span] = []
    for box in row:
        if spans and left[box] - spans[-1].right <= widest_gap:
            spans[-1].boxes.append(box)
            spans[-1].right = max(spans[-1].right, float(right[box]))
        else:
            spans.append(
                _Span(boxes=[box], left=float(left[box]), right=float(right[box]), row=number)
            )
    return spans


def _gutters(spans: list[_Span], row_count: int, height: float) -> set[int]:
    """Indices of the spans that start a column: a gutter runs along their left side."""
    left = np.array([span.left for span in spans])
    right = np.array([span.right for span in spans])
    row = np.array([span.row for span in spans])
    starts: set[int] = set()
    # Spans with a neighbour to their left, of which every gap is described.
    candidates = 1 + np.flatnonzero(row[1:] == row[:-1])
    gap_start, gap_end = right[candidates - 1], left[candidates]
    own_length = (right - left)[candidates]
    neighbour_length = (right - left)[candidates - 1]
    for candidate in candidates.tolist():
        if candidate in starts:
            continue
        x = left[candidate] - _WORD_GAP * height / 4
        # The stretch of rows around this one that nothing crosses at x.
        crossed = np.zeros(row_count, dtype=bool)
        crossed[row[(left < x) & (right > x)]] = True
        if crossed[row[candidate]]:
            continue
        above = np.flatnonzero(crossed[: row[candidate]])
        below = np.flatnonzero(crossed[row[candidate] :])
        first = above[-1] + 1 if len(above) else 0
        last = row[candidate] + below[0] if len(below) else row_count
        inside = (row[candidates] >= first) & (row[candidates] < last)
        beside = inside & (gap_start <= x) & (x <= gap_end)
        if np.count_nonzero(beside) < _GUTTER_ROWS:
            continue
        gap = np.median((gap_end - gap_start)[beside])
        shortest = min(np.median(own_length[beside]), np.median(neighbour_length[beside]))
        if shortest >= max(_LONG_LINE * height, _LINES_PER_GUTTER * gap):
            starts.update(candidates[beside].tolist())
    return starts


def _join_row_pieces(spans: list[_Span], gutters: set[int]) -> list[_Span]:
    pieces: list[_Span] = []
    for index, span in enumerate(spans):
        if pieces and pieces[-1].row == span.row and index not in gutters:
            pieces[-1].boxes.extend(span.boxes)
            pieces[-1].right = max(pieces[-1].right, span.right)
        else:
            pieces.append(span)
    return pieces


def _topological_order(pieces: list[_Span]) -> list[int]:
    """Breuel's order; ``pieces`` come from top to bottom, and from left to right in a row."""
    count = len(pieces)
    left = np.array([piece.left for piece in pieces])
    right = np.array([piece.right for piece in pieces])
    row = np.array([piece.row for piece in pieces])
    overlap = (left[:, None] < right) & (left < right[:, None])
    above = row[:, None] < row
    beside = (right[:, None] <= left) & ~overlap
    spanned = np.zeros((count, count), dtype=bool)
    # Only what shares columns with both sides of a gap can span it.
    reach = overlap.astype(np.float32)
    for piece in np.flatnonzero(((reach @ beside.astype(np.float32)) * reach).any(axis=1)):
        between = np.outer(above[:, piece], above[piece])
        spanned |= np.outer(overlap[:, piece], overlap[piece]) & (between | between.T)
    before = (above & overlap) | (beside & ~spanned)

    order: list[int] = []
    waiting = before.sum(axis=0)
    left_over = np.ones(count, dtype=bool)
    while len(order) < count:
        ready = np.flatnonzero(left_over & (waiting == 0))
        # Boxes that overlap in odd ways may wait for each other: the topmost goes first.
        chosen = int(ready[0]) if len(ready) else int(np.flatnonzero(left_over)[0])
        order.append(chosen)
        left_over[chosen] = False
        waiting -= before[chosen]
    return order
