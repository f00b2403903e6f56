"""What an activation holds over all samples, in one pass."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

_PATTERNS: Final = 1 << 16


class Histogram:
    """Counts of values by their float16 bit pattern.

    No guess of the bins beforehand, and a resolution of 11 bits, beyond that of any INT8 scale.
    """

    def __init__(self) -> None:
        self._counts = torch.zeros(_PATTERNS, dtype=torch.int64)
        self._low, self._high = float("inf"), float("-inf")

    def add(self, values: Tensor) -> None:
        """Counts all values of a tensor of any shape."""
        low, high = torch.aminmax(values)
        self._low, self._high = min(self._low, float(low)), max(self._high, float(high))
        limit = torch.finfo(torch.float16).max
        halves = values.detach().float().clamp(-limit, limit).half().cpu().reshape(-1)
        patterns = halves.view(torch.int16).to(torch.int64) & (_PATTERNS - 1)
        self._counts += torch.bincount(patterns, minlength=_PATTERNS)

    @property
    def extremes(self) -> tuple[float, float]:
        """Least and greatest value, exactly."""
        return self._low, self._high

    def values(self) -> tuple[Tensor, Tensor]:
        """Distinct values in ascending order and their counts, both float64."""
        seen = self._counts.nonzero().reshape(-1)
        patterns = torch.where(seen >= _PATTERNS // 2, seen - _PATTERNS, seen).to(torch.int16)
        values = patterns.view(torch.float16).double()
        order = values.argsort()
        return values[order], self._counts[seen][order].double()
