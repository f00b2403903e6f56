"""Compares what a device read with what is written; afterwards a result holds counts, no text.

It is done here, on the host: labels never go to a device, and an app that is no Python program
is scored by the same code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeocr_benchmarks.detection_metrics import FoundText, page_counts
from edgeocr_benchmarks.device_results import DeviceResult, PageReading, PageScore
from edgeocr_benchmarks.labels import Region
from edgeocr_benchmarks.text_metrics import line_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTruth:
    """What is written on one page."""

    regions: Sequence[Region]
    fold_case: bool
    """Whether readings are compared without regard to case."""


def scored(result: DeviceResult, truths: Mapping[str, PageTruth]) -> DeviceResult:
    """The result with counts in place of texts.

    Args:
        result: as the device wrote it.
        truths: by name of the image; pages without one get no score.
    """
    scores = tuple(
        _score(reading, truths[reading.image])
        for reading in result.readings
        if reading.image in truths
    )
    return dataclasses.replace(result, readings=(), scores=scores)


def _score(reading: PageReading, truth: PageTruth) -> PageScore:
    found = [
        FoundText(text=line.text, polygon=np.array(line.points, dtype=np.float64))
        for line in reading.lines
    ]
    written = "\n".join(region.text for region in truth.regions if not region.dont_care)
    read = "\n".join(line.text for line in reading.lines)
    return PageScore(
        bundle=reading.bundle,
        image=reading.image,
        page=page_counts(truth.regions, found, fold_case=truth.fold_case),
        text=line_counts(written, read, fold_case=truth.fold_case),
    )
