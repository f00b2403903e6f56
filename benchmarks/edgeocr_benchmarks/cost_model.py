"""What a page costs: a fixed part, a part for every line, a part for every pixel.

    time = fixed + per line * lines + per megapixel * megapixels

Lines are those that were found; pixels are those that the detector was shown. The coefficients
are those of least squares of relative errors, so that a small page counts as much as a large
one, and none is negative: no line gives time back. The model doubts itself: every page is
predicted from the others, and the largest miss is printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeocr_benchmarks import sampling
from edgeocr_benchmarks.device_results import BundleRun, PageSamples

TERMS: Final = ("fixed", "per line", "per megapixel")
PROMISED_ERROR: Final = 0.15
"""Misses above this share of the measured time are said to be too large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCost:
    """One page as the model sees it."""

    image: str
    lines: int
    megapixels: float
    ms: float
    """Median time of reading it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """Coefficients in milliseconds."""

    fixed_ms: float
    per_line_ms: float
    per_megapixel_ms: float | None
    """None where all pages were shown to the detector in one size: then it is in the fixed
    part."""

    def predict(self, *, lines: int, megapixels: float) -> float:
        """Milliseconds for a page."""
        pixels = (self.per_megapixel_ms or 0.0) * megapixels
        return self.fixed_ms + self.per_line_ms * lines + pixels

    def __str__(self) -> str:
        pixels = (
            ""
            if self.per_megapixel_ms is None
            else f" + {self.per_megapixel_ms:.1f} ms per megapixel"
        )
        return f"{self.fixed_ms:.1f} ms + {self.per_line_ms:.2f} ms per line{pixels}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A page that was predicted from all others."""

    page: PageCost
    predicted_ms: float

    @property
    def error(self) -> float:
        """Relative: 0.1 is 10 % too much."""
        return self.predicted_ms / self.page.ms - 1


def page_costs(run: BundleRun) -> tuple[PageCost, ...]:
    """Every page of one bundle in one run."""
    return tuple(
        PageCost(
            image=page.image,
            lines=page.lines,
            megapixels=_detector_megapixels(page),
            ms=sampling.median(page.ms["total"]),
        )
        for page in run.pages
    )


def fit_cost(pages: Sequence[PageCost]) -> CostModel | None:
    """The model of some pages; None where they don't tell a line's cost.

    That takes pages with different numbers of lines, and at least as many pages as terms.
    """
    if len({page.lines for page in pages}) < 2:
        return None
    one_size = len({page.megapixels for page in pages}) == 1
    terms = 2 if one_size else 3
    rows = np.array([[1.0, page.lines, page.megapixels] for page in pages])[:, :terms]
    if len(pages) < terms or np.linalg.matrix_rank(rows) < terms:
        return None
    times = np.array([page.ms for page in pages])
    cost = _without_negatives(rows / times[:, None])
    return CostModel(
        fixed_ms=float(cost[0]),
        per_line_ms=float(cost[1]),
        per_megapixel_ms=None if one_size else float(cost[2]),
    )


def predictions(pages: Sequence[PageCost]) -> tuple[Prediction, ...]:
    """Every page, predicted by the model of the others; those that can't be are left out."""
    made = []
    for i, page in enumerate(pages):
        model = fit_cost([*pages[:i], *pages[i + 1 :]])
        if model is not None:
            predicted = model.predict(lines=page.lines, megapixels=page.megapixels)
            made.append(Prediction(page=page, predicted_ms=predicted))
    return tuple(made)


def _without_negatives(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares of ``scaled @ x = 1`` over x >= 0: the best of all sets of positive terms.

    There are three terms at most, so all of their sets can be tried.
    """
    rows, terms = scaled.shape
    best = np.zeros(terms)
    least = float(rows)  # of no term at all
    for size in range(1, terms + 1):
        for chosen in combinations(range(terms), size):
            columns = scaled[:, chosen]
            solution = np.linalg.lstsq(columns, np.ones(rows), rcond=None)[0]
            residual = float(((columns @ solution - 1) ** 2).sum())
            if (solution >= 0).all() and residual < least - 1e-12:
                least = residual
                best = np.zeros(terms)
                best[list(chosen)] = solution
    return best


def _detector_megapixels(page: PageSamples) -> float:
    pixels = 0
    for key, runs in page.shapes.items():
        stage, shape = key.split()
        if stage == "det":
            height, width = map(int, shape.split("x"))
            pixels += runs * height * width
    return pixels / 1e6
