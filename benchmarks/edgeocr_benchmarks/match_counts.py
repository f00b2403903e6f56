"""Precision, recall and their harmonic mean from three counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchCounts:
    """How much of what was expected was found. Counts of several images add up."""

    expected: int
    """Items of the ground truth that count."""
    found: int
    """Items of the reading that count."""
    matched: int
    """Items that are in both, each counted once."""

    def __post_init__(self) -> None:
        if not 0 <= self.matched <= min(self.expected, self.found):
            raise ValueError(f"{self}: matched must lie in 0 to min(expected, found)")

    def __add__(self, other: MatchCounts) -> MatchCounts:
        return MatchCounts(
            expected=self.expected + other.expected,
            found=self.found + other.found,
            matched=self.matched + other.matched,
        )

    @property
    def precision(self) -> float:
        """Matched / found in [0, 1]; 1 where nothing was found: nothing found is wrong."""
        return self.matched / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Matched / expected in [0, 1]; 1 where nothing was expected: nothing is missing."""
        return self.matched / self.expected if self.expected else 1.0

    @property
    def hmean(self) -> float:
        """2PR / (P + R) in [0, 1], which is 2 matched / (expected + found)."""
        total = self.expected + self.found
        return 2 * self.matched / total if total else 1.0


NO_MATCHES = MatchCounts(expected=0, found=0, matched=0)
"""The neutral element of the addition."""
