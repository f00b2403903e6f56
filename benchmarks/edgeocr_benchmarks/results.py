"""Recorded results: one JSON file a run, with everything that was counted or timed.

A file holds raw values, never an average: precision, medians and intervals are computed when
it is read, so a better statistic needs no new measurement. Of the images only names, counts
and times are kept, not what is written on them: test images often may not be passed on.

History of the format:

1. The first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Literal

from edgeocr.whole_files import write_whole
from edgeocr_benchmarks.detection_metrics import PageCounts
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.errors import ResultFileError
from edgeocr_benchmarks.instruction_results import InstructionResult
from edgeocr_benchmarks.json_records import MalformedRecordError, as_json, parse_record
from edgeocr_benchmarks.labels import LabelKind
from edgeocr_benchmarks.match_counts import MatchCounts
from edgeocr_benchmarks.text_metrics import LineCounts

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRecord:
    """Which engine was measured."""

    name: str
    runtime: str
    threads: int | None
    """As asked for; None for the engine's own default."""
    versions: Mapping[str, str]
    """Of Python and of the packages that matter, as the engine's own process reports them."""
    identity: Mapping[str, Any]
    """The bundle with its checksums, or the models that replaced a peer's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCounts:
    """How well the text of whole images was read."""

    characters: MatchCounts

    def __add__(self, other: TextCounts) -> TextCounts:
        return TextCounts(characters=self.characters + other.characters)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """What one engine made of one image."""

    image: str
    """As the label file names it."""
    ms: float
    counts: PageCounts | LineCounts | TextCounts
    error: str | None = None
    """What the engine raised instead of reading; it counts as having read nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRecord:
    """What one engine made of one label set."""

    engine: str
    name: str
    kind: LabelKind
    sha256: str
    """Of the label file."""
    fold_case: bool
    """Whether texts were compared without regard to case."""
    images: tuple[ImageRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyResult:
    """A run of ``edgeocr-bench accuracy``."""

    created: str
    """UTC, ISO 8601."""
    command: tuple[str, ...]
    environment: Mapping[str, Any]
    engines: tuple[EngineRecord, ...]
    sets: tuple[SetRecord, ...]
    benchmark: Literal["accuracy"] = "accuracy"
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRecord:
    """The image that was timed."""

    name: str
    width: int
    height: int
    pixels_sha256: str
    """Of the decoded RGB bytes, row by row: no encoder changes it."""
    lines: int | None
    """Lines of text on it, where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAccuracy:
    """What was read on the timed page, so that no speed can be bought with mistakes."""

    page: PageCounts
    text: LineCounts
    """The whole text of the page as one line, in the engine's own order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedEngine:
    """Samples of one engine on a number of threads. Sample i of every engine of a run was
    taken in the same round, so samples pair up.
    """

    engine: EngineRecord
    warm_ms: tuple[float, ...]
    """One whole page in a process that has read before: path to text, decoding included."""
    warmup_ms: tuple[float, ...]
    """The reads before those, the first one of the process among them."""
    cold_ms: tuple[float, ...]
    """Start of a fresh process to the text of its first page."""
    peak_bytes: tuple[int, ...]
    """Largest resident size of each of these fresh processes."""
    accuracy: PageAccuracy | None
    """Of the last read; None where the text of the page is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRun:
    """All engines on one number of threads, taking turns."""

    threads: int
    cores: tuple[int, ...]
    """CPUs that every process was bound to; empty where the system can't bind."""
    before: Mapping[str, Any]
    """State of the machine that changes: load, frequencies, temperatures."""
    after: Mapping[str, Any]
    engines: tuple[TimedEngine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedResult:
    """A run of ``edgeocr-bench speed``."""

    created: str
    """UTC, ISO 8601."""
    command: tuple[str, ...]
    environment: Mapping[str, Any]
    page: PageRecord
    runs: tuple[TimedRun, ...]
    benchmark: Literal["speed"] = "speed"
    schema: int = SCHEMA


Result = AccuracyResult | SpeedResult | DeviceResult | InstructionResult

_KINDS: Final[Mapping[str, type[Result]]] = {
    "accuracy": AccuracyResult,
    "speed": SpeedResult,
    "device": DeviceResult,
    "instructions": InstructionResult,
}


def timestamp() -> str:
    """Now, UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_writable(*paths: Path | None) -> None:
    """Before an hour of measuring, not after it.

    Raises:
        ResultFileError: one of the files can't be written.
    """
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise ResultFileError(f"can't write {path}: it is a folder")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultFileError(f"can't write {path}: {error.strerror}") from error
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise ResultFileError(f"can't write {path}: permission denied")


def write_text(text: str, path: Path) -> None:
    """Writes a report, whole or not at all.

    Raises:
        ResultFileError: the file can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise ResultFileError(f"can't write {path}: {error.strerror}") from error


def write_result(result: Result, path: Path) -> None:
    """Writes a result, whole or not at all.

    Raises:
        ResultFileError: the file can't be written.
    """
    write_text(as_json(result), path)


def read_result(path: Path) -> Result:
    """Reads a result that :func:`write_result` wrote.

    Raises:
        ResultFileError: not readable, not such a result, or of another schema.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ResultFileError(f"can't read the result {path}: {error}") from error
    if not isinstance(document, dict) or "benchmark" not in document:
        raise ResultFileError(f"{path} is no result of edgeocr-bench")
    if document.get("schema") != SCHEMA:
        raise ResultFileError(
            f"{path} has schema {document.get('schema')!r}; this edgeocr-bench reads {SCHEMA}"
        )
    if document["benchmark"] not in _KINDS:
        raise ResultFileError(f"{path} is of the unknown benchmark {document['benchmark']!r}")
    try:
        return parse_record(_KINDS[document["benchmark"]], document)
    except (MalformedRecordError, ValueError) as error:
        raise ResultFileError(f"{path}: {error}") from error
