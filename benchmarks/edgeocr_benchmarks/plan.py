"""What a probe shall measure on a device: written here, carried there with everything it names.

A payload is one folder with ``plan.json``, the bundles and the images; paths in the plan are
relative to that file, so the folder can lie anywhere on the device.

History of the format:

1. The first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeocr.whole_files import write_whole
from edgeocr_benchmarks.errors import PlanError
from edgeocr_benchmarks.json_records import MalformedRecordError, as_json, parse_record

SCHEMA: Final = 1
FILE_NAME: Final = "plan.json"
MOST_PROCESSES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBundle:
    """One set of models. Several take turns in every round: A B, B A, A B, ..."""

    name: str
    """As the result names it; no two are equal."""
    path: str
    """Folder or packed file, relative to the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedImage:
    """One page."""

    name: str
    """As the result names it; no two are equal."""
    path: str
    """Relative to the plan."""
    lines: int | None = None
    """Lines of text that are written on it, where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePlan:
    """What to measure, and how often.

    Every pair of ``threads`` and ``limit_sides`` is a run; in every run all bundles read all
    images in turns.

    Raises:
        PlanError: nothing to measure, two equal names, or a number that makes no sense.
    """

    bundles: tuple[PlannedBundle, ...]
    images: tuple[PlannedImage, ...]
    """Pages that are timed in every round."""
    read_once: tuple[PlannedImage, ...] = ()
    """More pages, read once by every bundle after the timing, for its accuracy."""
    threads: tuple[int, ...] = (1,)
    limit_sides: tuple[int | None, ...] = (None,)
    """Longest side in pixels that the detector is shown; None for what the bundle says."""
    line_widths: tuple[int, ...] = ()
    """Widths in pixels at which classifier and recogniser are timed alone, one line each."""
    rounds: int = 20
    warm_ups: int = 3
    """Reads of every image before the rounds; recorded apart."""
    cold_starts: int = 5
    """Fresh processes of every bundle in every run."""
    processes: tuple[int, ...] = ()
    """Numbers of processes that read side by side, each with one thread."""
    throughput_s: float = 10.0
    """How long they read."""
    sustained_s: float = 0.0
    """How long every bundle reads without a rest at the end, with the most threads; 0 for not
    at all."""
    cores: tuple[int, ...] | None = None
    """CPUs to be bound to; None for the strongest, as many as threads. Empty binds none."""
    rest_s: float = 0.1
    """Before every read that is timed, except in the sustained run."""
    cool_down_c: float | None = None
    """Before every run, wait until no temperature is above this; None waits for nothing."""
    cool_down_s: float = 300.0
    """But no longer than this."""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise PlanError(f"the plan has schema {self.schema}; this edgeocr-bench has {SCHEMA}")
        if not self.bundles:
            raise PlanError("the plan has no bundle")
        if not self.images:
            raise PlanError("the plan has no image to be timed")
        for kind, names in (
            ("bundles", [bundle.name for bundle in self.bundles]),
            ("images", [image.name for image in (*self.images, *self.read_once)]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise PlanError(f"two {kind} of the plan have the name {twice[0]!r}")
        self._check_all("threads", self.threads, 1, 64)
        self._check_all("limit_sides", [side or 736 for side in self.limit_sides], 32, 16384)
        self._check_all("line_widths", self.line_widths, 8, 16384, may_be_empty=True)
        self._check_all("processes", self.processes, 1, MOST_PROCESSES, may_be_empty=True)
        self._check_all("cores", self.cores or (), 0, 4096, may_be_empty=True)
        self._check_all("rounds", [self.rounds], 1, 1_000_000)
        self._check_all("warm_ups", [self.warm_ups], 0, 1_000_000)
        self._check_all("cold_starts", [self.cold_starts], 0, 10_000)
        self._check_all("throughput_s", [self.throughput_s], 0.01, 86_400)
        self._check_all("sustained_s", [self.sustained_s], 0, 86_400)
        self._check_all("rest_s", [self.rest_s], 0, 3600)
        self._check_all("cool_down_c", [self.cool_down_c or 0], -50, 150)
        self._check_all("cool_down_s", [self.cool_down_s], 0, 86_400)

    def _check_all(
        self,
        name: str,
        values: tuple[int, ...] | list[int] | list[float],
        low: float,
        high: float,
        *,
        may_be_empty: bool = False,
    ) -> None:
        if not values and not may_be_empty:
            raise PlanError(f"{name} of the plan is empty")
        for value in values:
            if not low <= value <= high:
                raise PlanError(f"{name} of the plan has {value}; it must be in [{low}, {high}]")

    def write(self, path: Path) -> None:
        """Writes the plan, whole or not at all.

        Raises:
            PlanError: the file can't be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, as_json(self).encode())
        except OSError as error:
            raise PlanError(f"can't write the plan {path}: {error.strerror}") from error

    @classmethod
    def read(cls, path: Path) -> ProbePlan:
        """Reads what :meth:`write` wrote.

        Raises:
            PlanError: not readable, or not such a plan.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return parse_record(cls, document)
        except (OSError, ValueError, RecursionError, MalformedRecordError) as error:
            raise PlanError(f"can't read the plan {path}: {error}") from error
