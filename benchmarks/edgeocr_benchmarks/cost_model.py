"""What a page costs: a fixed part, a part for every line, parts for every pixel.

    time = fixed + per line * lines + per megapixel * megapixels of the page
                 + per megapixel of text * megapixels of its lines

Lines are those that were found; megapixels are those that the detector, and the recogniser, were
shown. The last two terms are there only where pages differ in size, and lines in length: else
they belong to the first two. The coefficients are those of least squares of relative errors, so
that a small page counts as much as a large one, and none is negative: no line gives time back.
The model doubts itself: every page is predicted from the others, and the largest miss is printed.
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

PROMISED_ERROR: Final = 0.15
"""Misses above this share of the measured time are said to be too large."""
_SAME_LENGTH: Final = 1.1
"""Lines whose mean length differs by less from page to page count as equally long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCost:
    """One page as the model sees it."""

    image: str
    lines: int
    megapixels: float
    """Of the detector's input."""
    text_megapixels: float
    """Of all the recogniser's inputs together."""
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
    per_text_megapixel_ms: float | None
    """None where lines are equally long on all pages: then it is in the part of the line."""

    def predict(self, *, lines: int, megapixels: float, text_megapixels: float) -> float:
        """Milliseconds for a page."""
        pixels = (self.per_megapixel_ms or 0.0) * megapixels
        text = (self.per_text_megapixel_ms or 0.0) * text_megapixels
        return self.fixed_ms + self.per_line_ms * lines + pixels + text

    def __str__(self) -> str:
        parts = [f"{self.fixed_ms:.1f} ms + {self.per_line_ms:.2f} ms per line"]
        if self.per_megapixel_ms is not None:
            parts.append(f"{self.per_megapixel_ms:.1f} ms per megapixel")
        if self.per_text_megapixel_ms is not None:
            parts.append(f"{self.per_text_megapixel_ms:.1f} ms per megapixel of text")
        return " + ".join(parts)


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
            megapixels=_megapixels(page, "det"),
            text_megapixels=_megapixels(page, "rec"),
            ms=sampling.median(page.ms["total"]),
        )
        for page in run.pages
    )


def fit_cost(pages: Sequence[PageCost]) -> CostModel | None:
    """The model of some pages; None where they don't tell a line's cost.

    That takes pages with different numbers of lines, and at least as many pages as terms; terms
    for which there are too few pages are left out, the last first.
    """
    if len({page.lines for page in pages}) < 2:
        return None
    chosen = _varying_terms(pages)
    rows = np.array([[1.0, p.lines, p.megapixels, p.text_megapixels] for p in pages])
    while np.linalg.matrix_rank(rows[:, chosen]) < len(chosen):
        chosen = chosen[:-1]
        if len(chosen) < 2:
            return None
    times = np.array([page.ms for page in pages])
    costs = dict(zip(chosen, _without_negatives(rows[:, chosen] / times[:, None]), strict=True))
    return CostModel(
        fixed_ms=float(costs[0]),
        per_line_ms=float(costs[1]),
        per_megapixel_ms=float(costs[2]) if 2 in costs else None,
        per_text_megapixel_ms=float(costs[3]) if 3 in costs else None,
    )


def _varying_terms(pages: Sequence[PageCost]) -> list[int]:
    chosen = [0, 1]
    if len({page.megapixels for page in pages}) > 1:
        chosen.append(2)
    lengths = [page.text_megapixels / page.lines for page in pages if page.lines]
    if max(lengths) > _SAME_LENGTH * min(lengths):
        chosen.append(3)
    return chosen


def predictions(pages: Sequence[PageCost]) -> tuple[Prediction, ...]:
    """Every page, predicted by the model of the others; those that can't be are left out."""
    made = []
    for i, page in enumerate(pages):
        model = fit_cost([*pages[:i], *pages[i + 1 :]])
        if model is not None:
            predicted = model.predict(
                lines=page.lines,
                megapixels=page.megapixels,
                text_megapixels=page.text_megapixels,
            )
            made.append(Prediction(page=page, predicted_ms=predicted))
    return tuple(made)


def _without_negatives(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares of ``scaled @ x = 1`` over x >= 0: the best of all sets of positive terms.

    There are four terms at most, so all of their sets can be tried.
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


def _megapixels(page: PageSamples, network: str) -> float:
    """That one of the networks was shown for a page."""
    pixels = 0
    for key, runs in page.shapes.items():
        stage, shape = key.split()
        if stage == network:
            height, width = map(int, shape.split("x"))
            pixels += runs * height * width
    return pixels / 1e6
