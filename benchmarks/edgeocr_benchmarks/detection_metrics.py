"""How well text was found, and found and read, on pages with labelled regions.

The protocol is that of ICDAR 2015, challenge 4 (incidental scene text):

* A detection of which more than half lies in one don't-care region is left out, as that
  region is.
* Detection: a region and a detection match where their intersection over union is at least
  0.5, each in one pair at most.
* End to end: the texts must be equal too, as canonical text.

Of all pairings that one is taken which matches most, so that no order of boxes can change a
figure (greedy pairing in file order, as the published scripts do it, can).

The regions of ICDAR 2015 and FUNSD are words while most detectors give lines. A line over five
words then matches none of them: both figures are low for every such engine and say little
about how much was read. :attr:`PageCounts.characters` does not depend on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeocr_benchmarks.labels import Region
from edgeocr_benchmarks.match_counts import NO_MATCHES, MatchCounts
from edgeocr_benchmarks.polygons import PolygonArea
from edgeocr_benchmarks.text_metrics import canonical, character_counts

MIN_IOU: Final = 0.5
DONT_CARE_SHARE: Final = 0.5
"""Share of a detection's area inside of one don't-care region above which it is left out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundText:
    """One line as an engine gave it."""

    polygon: NDArray[np.float64]
    """(N, 2), N >= 3, image pixels."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCounts:
    """How well pages were read. Counts of several pages add up."""

    detection: MatchCounts
    """Regions, by place."""
    end_to_end: MatchCounts
    """Regions, by place and text."""
    characters: MatchCounts
    """Characters of the page as a bag."""

    def __add__(self, other: PageCounts) -> PageCounts:
        return PageCounts(
            detection=self.detection + other.detection,
            end_to_end=self.end_to_end + other.end_to_end,
            characters=self.characters + other.characters,
        )


NO_PAGES = PageCounts(detection=NO_MATCHES, end_to_end=NO_MATCHES, characters=NO_MATCHES)
"""The neutral element of the addition."""


def page_counts(
    regions: Sequence[Region], found: Sequence[FoundText], *, fold_case: bool
) -> PageCounts:
    """Compares the reading of one page with its labelled regions."""
    dont_care = [PolygonArea(region.polygon) for region in regions if region.dont_care]
    expected = [region for region in regions if not region.dont_care]
    expected_areas = [PolygonArea(region.polygon) for region in expected]
    counted: list[FoundText] = []
    counted_areas: list[PolygonArea] = []
    for line in found:
        area = PolygonArea(line.polygon)
        if not any(_lies_in(area, region) for region in dont_care):
            counted.append(line)
            counted_areas.append(area)

    overlapping = [
        [i for i, area in enumerate(counted_areas) if region.iou(area) >= MIN_IOU]
        for region in expected_areas
    ]
    found_texts = [canonical(line.text, fold_case=fold_case) for line in counted]
    equal = [
        [i for i in candidates if found_texts[i] == canonical(region.text, fold_case=fold_case)]
        for region, candidates in zip(expected, overlapping, strict=True)
    ]
    return PageCounts(
        detection=MatchCounts(
            expected=len(expected), found=len(counted), matched=_largest_matching(overlapping)
        ),
        end_to_end=MatchCounts(
            expected=len(expected), found=len(counted), matched=_largest_matching(equal)
        ),
        characters=character_counts(
            "\n".join(region.text for region in expected),
            "\n".join(line.text for line in counted),
            fold_case=fold_case,
        ),
    )


def _lies_in(detection: PolygonArea, region: PolygonArea) -> bool:
    return detection.intersection(region) > DONT_CARE_SHARE * detection.area


def _largest_matching(candidates: Sequence[Sequence[int]]) -> int:
    """Pairs in the largest one-to-one matching (Kuhn's augmenting paths).

    Args:
        candidates: for every region the detections that it may be paired with.
    """
    partner: dict[int, int] = {}

    def settle(region: int, seen: set[int]) -> bool:
        # Free detections first: many boxes on one place then make no deep recursion.
        for detection in sorted(candidates[region], key=partner.__contains__):
            if detection not in seen:
                seen.add(detection)
                if detection not in partner or settle(partner[detection], seen):
                    partner[detection] = region
                    return True
        return False

    return sum(settle(region, set()) for region in range(len(candidates)))
