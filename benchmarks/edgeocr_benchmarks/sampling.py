"""Statistics of recorded samples, computed when a result is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 10_000
CONFIDENCE: Final = 0.95
_SEED: Final = 20_210_907  # one result, one interval

MIN_SAMPLES: Final = 10
MAX_SPREAD: Final = 0.10
"""Interquartile range over median above which timings are called noisy."""


Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _percentile(rank: float) -> Statistic:
    return lambda drawn: np.asarray(np.percentile(drawn, rank, axis=-1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def median(samples: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.median(samples))


def spread(samples: Sequence[float] | NDArray[np.float64]) -> float:
    """Interquartile range over median: what a few hiccups don't move."""
    low, middle, high = np.percentile(samples, [25, 50, 75])
    return float((high - low) / middle)


PERCENTILES: Final[Mapping[str, float]] = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}

STATISTICS: Final[Mapping[str, Statistic]] = {
    "mean": lambda drawn: np.asarray(drawn.mean(axis=-1)),
    "std": lambda drawn: np.asarray(drawn.std(axis=-1)),
    "min": lambda drawn: np.asarray(drawn.min(axis=-1)),
    **{name: _percentile(rank) for name, rank in PERCENTILES.items()},
    "max": lambda drawn: np.asarray(drawn.max(axis=-1)),
}
"""Over the last axis."""


def statistic(samples: Sequence[float] | NDArray[np.float64], name: str) -> float:
    """One of :data:`STATISTICS` of some samples."""
    return float(STATISTICS[name](np.asarray(samples, dtype=float)))


def estimate(samples: Sequence[float] | NDArray[np.float64], name: str) -> Estimate:
    """One of :data:`STATISTICS` with its interval."""
    column = np.asarray(samples, dtype=float)[:, None]
    return _bootstrap(column, lambda drawn: STATISTICS[name](drawn[..., 0]))


def relative_change(
    base: Sequence[float] | NDArray[np.float64],
    new: Sequence[float] | NDArray[np.float64],
    name: str,
) -> Estimate:
    """How much larger a statistic of ``new`` is than of ``base``: 0.05 is 5 %.

    The two were taken in different runs, so each is drawn again on its own. The statistic of
    ``base`` must not be 0; where it is so in a draw, the interval has no end.
    """
    before, after = np.asarray(base, dtype=float), np.asarray(new, dtype=float)
    of = STATISTICS[name]
    random = np.random.default_rng(_SEED)
    changes = []
    for _ in range(0, RESAMPLES, 500):
        old = before[random.integers(0, len(before), size=(500, len(before)))]
        young = after[random.integers(0, len(after), size=(500, len(after)))]
        with np.errstate(divide="ignore", invalid="ignore"):
            changes.append(of(young) / of(old) - 1)
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(np.concatenate(changes), [tail, 100 - tail])
    value = statistic(after, name) / statistic(before, name) - 1
    return Estimate(value=value, low=float(low), high=float(high))


def ratio_of_medians(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """median(first) / median(second) of samples that were taken in turns.

    Whole rounds are drawn again, so what slowed both engines in one round stays together.
    """
    rounds = np.stack([np.asarray(first, dtype=float), np.asarray(second, dtype=float)], axis=1)

    def ratio(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        medians = np.median(drawn, axis=1)
        return np.asarray(medians[:, 0] / medians[:, 1])

    return _bootstrap(rounds, ratio)


def difference_of_ratios(
    first: Sequence[tuple[float, float]], second: Sequence[tuple[float, float]]
) -> Estimate:
    """The difference of two figures over the same images, each a ratio of sums.

    Args:
        first: (numerator, denominator) per image; precision, recall, accuracy, error rate and
            the harmonic mean are all of this form.
        second: the same of the other engine, for the same images in the same order.
    """
    images = np.concatenate([np.asarray(first, float), np.asarray(second, float)], axis=1)

    def difference(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = drawn.sum(axis=1)
        # A resample without anything to find finds everything, as in MatchCounts.
        empty = sums[:, 1::2] == 0
        ratios = np.where(empty, 1.0, sums[:, 0::2] / np.where(empty, 1.0, sums[:, 1::2]))
        return np.asarray(ratios[:, 0] - ratios[:, 1])

    return _bootstrap(images, difference)


def _bootstrap(
    samples: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Estimate:
    """Percentile interval of a statistic of rows that are drawn with replacement.

    Args:
        samples: (rows, columns).
        statistic: (draws, rows, columns) to (draws,).
    """
    random = np.random.default_rng(_SEED)
    values = []
    # Few draws at a time: a thousand images times ten thousand draws would fill the memory.
    for _ in range(0, RESAMPLES, 500):
        drawn = random.integers(0, len(samples), size=(500, len(samples)))
        values.append(statistic(samples[drawn]))
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(np.concatenate(values), [tail, 100 - tail])
    return Estimate(value=float(statistic(samples[None])[0]), low=float(low), high=float(high))
