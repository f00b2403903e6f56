"""Ranges from what activations held: the offline methods that PACT is compared with.

* ``minmax`` keeps every value;
* ``percentile`` cuts off one in ten thousand at each end (PaddleSlim calls it "hist", and its
  script of that name KL);
* ``kl`` clips where the distribution of the integers tells least less than that of the values
  (Migacz, "8-bit inference with TensorRT", 2017);
* ``mse`` clips where the squared error is least, end by end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor

from edgeocr_training.compression.quantization.affine import HIGHEST, LOWEST, SMALLEST_SCALE
from edgeocr_training.compression.quantization.histogram import Histogram

Method: TypeAlias = Literal["minmax", "percentile", "kl", "mse"]
Range: TypeAlias = tuple[float, float]

CUT_OFF: Final = 1e-4
"""Share of the values beyond each end of a percentile range."""
_BINS: Final = 2048
_LEVELS: Final = 128
"""Of magnitudes in 8 bits."""
_SHRINK: Final = tuple(torch.linspace(1.0, 0.3, 29).tolist()) + tuple(
    torch.logspace(-0.57, -2, 24).tolist()
)
"""Fractions of an extreme that are tried, 1 first."""


def estimate_range(histogram: Histogram, method: Method) -> Range:
    """The range that a method gives; contains 0.

    Args:
        histogram: of an activation, with a value at least.
        method: see the module.
    """
    low, high = _METHODS[method](histogram)
    return min(low, 0.0), max(high, 0.0)


def _min_max(histogram: Histogram) -> Range:
    return histogram.extremes


def _percentile(histogram: Histogram) -> Range:
    values, counts = histogram.values()
    below = counts.cumsum(0) / counts.sum()
    above = counts.flip(0).cumsum(0).flip(0) / counts.sum()
    kept = values[(below >= CUT_OFF) & (above >= CUT_OFF)]
    return (float(kept[0]), float(kept[-1])) if len(kept) else histogram.extremes


def _divergence(histogram: Histogram) -> Range:
    """The threshold T of magnitudes that minimises KL(P || Q).

    P is the histogram up to T with what is beyond in its last bin, Q the same in 128 levels, each
    spread over the bins of it that are not empty.
    """
    low, high = histogram.extremes
    largest = max(-low, high)
    if largest <= SMALLEST_SCALE:
        return low, high
    values, counts = histogram.values()
    # A ReLU's zeros are exact at any scale, and would hide everything else.
    magnitudes, counts = values.abs()[values != 0], counts[values != 0]
    bins = (magnitudes / largest * _BINS).long().clamp(max=_BINS - 1)
    counted = torch.zeros(_BINS, dtype=torch.float64).index_add_(0, bins, counts)
    ends = range(_LEVELS, _BINS + 1, 16)
    best = min(ends, key=lambda end: _divergence_at(counted, end))
    threshold = best / _BINS * largest
    return max(low, -threshold), min(high, threshold)


def _divergence_at(counted: Tensor, end: int) -> float:
    inside = counted[:end]
    wanted = inside.clone()
    wanted[-1] += counted[end:].sum()
    level = torch.arange(end) * _LEVELS // end
    totals = torch.zeros(_LEVELS, dtype=torch.float64).index_add_(0, level, inside)
    filled = torch.zeros(_LEVELS, dtype=torch.float64).index_add_(0, level, (inside > 0).double())
    given = torch.where(inside > 0, totals[level] / filled[level].clamp_min(1), 0.0)
    if not float(wanted.sum()) or not float(given.sum()):
        return float("inf")
    p, q = wanted / wanted.sum(), given / given.sum()
    seen = p > 0
    return float((p[seen] * (p[seen] / q[seen].clamp_min(1e-12)).log()).sum())


def _squared_error(histogram: Histogram) -> Range:
    low, high = histogram.extremes
    low, high = min(low, 0.0), max(high, 0.0)
    values, counts = histogram.values()

    def error(low: float, high: float) -> float:
        scale = max((high - low) / (HIGHEST - LOWEST), SMALLEST_SCALE)
        zero_point = round(LOWEST - low / scale)
        steps = ((values / scale).round() + zero_point).clamp(LOWEST, HIGHEST)
        return float((counts * ((steps - zero_point) * scale - values).square()).sum())

    for _ in range(2):
        high = min((high * share for share in _SHRINK), key=lambda end: error(low, end))
        low = min((low * share for share in _SHRINK), key=lambda end: error(end, high))
    return low, high


_METHODS: Final[Mapping[Method, Callable[[Histogram], Range]]] = {
    "minmax": _min_max,
    "percentile": _percentile,
    "kl": _divergence,
    "mse": _squared_error,
}
METHODS: Final[tuple[Method, ...]] = tuple(_METHODS)
