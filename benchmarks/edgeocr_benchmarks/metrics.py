"""Names of what can be compared, and the samples behind them.

    total  load  det  det.pre  det.inference  det.post  crop  cls ...  rec ...  other
    start  import  open  first        of fresh processes
    peak  pss                         memory of these, in megabytes

A sample of a time is one round: the mean over its pages, so that a statistic over rounds speaks
of the machine and not of the difference between pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeocr_benchmarks.device_results import (
    PARTS,
    SAMPLE_KEYS,
    STAGES,
    BundleRun,
    ColdStart,
    PageSamples,
)

Samples = NDArray[np.float64]

_COLD: Final[Mapping[str, Callable[[ColdStart], float | None]]] = {
    "start": lambda start: start.start_to_text_ms,
    "import": lambda start: start.import_ms,
    "open": lambda start: start.load_ms,
    "first": lambda start: start.first_ms,
    "peak": lambda start: start.peak_bytes / 1e6,
    "pss": lambda start: None if start.pss_bytes is None else start.pss_bytes / 1e6,
}
"""Milliseconds; megabytes of "peak" and "pss"."""

TIMES: Final = (
    "total",
    "load",
    *(name for stage in STAGES for name in (stage, *(f"{stage}.{part}" for part in PARTS))),
    "crop",
    "other",
)
"""Of warm reads."""

METRICS: Final = (*TIMES, *_COLD)

BREAKDOWN: Final = (
    "load",
    *(f"det.{part}" for part in PARTS),
    "crop",
    *(f"cls.{part}" for part in PARTS),
    *(f"rec.{part}" for part in PARTS),
    "other",
)
"""What a total is the sum of."""


def unit(metric: str) -> str:
    """Of a metric's samples."""
    return "MB" if metric in ("peak", "pss") else "ms"


def page_samples(page: PageSamples, metric: str) -> Samples:
    """Milliseconds of every warm read of one page; for one of :data:`TIMES`."""
    times = {key: np.array(page.ms[key]) for key in SAMPLE_KEYS}
    if metric in times:
        return times[metric]
    if metric in STAGES:
        stage: Samples = np.sum([times[f"{metric}.{part}"] for part in PARTS], axis=0)
        return stage
    parts = [key for key in SAMPLE_KEYS if key != "total"]
    # Shared-out times can exceed the total by a rounding.
    rest: Samples = np.maximum(times["total"] - np.sum([times[key] for key in parts], axis=0), 0)
    return rest


def run_samples(run: BundleRun, metric: str) -> Samples:
    """Samples of one of :data:`METRICS` in the unit that :func:`unit` names; () where none."""
    if metric in _COLD:
        values = [_COLD[metric](start) for start in run.cold]
        return np.array([value for value in values if value is not None])
    samples: Samples = np.mean([page_samples(page, metric) for page in run.pages], axis=0)
    return samples
