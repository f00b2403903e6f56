"""Recorded results: one JSON file a run, with everything that was counted or timed.

A file holds raw values, never an average: precision, medians and intervals are computed when
it is read, so a better statistic needs no new measurement. Of the images only names, counts
and times are kept, not what is written on them: test images often may not be passed on.

History of the format:

1. The first.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from edgeocr.whole_files import write_whole
from edgeocr_benchmarks.detection_metrics import PageCounts
from edgeocr_benchmarks.errors import ResultFileError
from edgeocr_benchmarks.labels import LabelKind
from edgeocr_benchmarks.match_counts import MatchCounts
from edgeocr_benchmarks.text_metrics import LineCounts

SCHEMA: Final = 1

T = TypeVar("T")


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


Result = AccuracyResult | SpeedResult


def timestamp() -> str:
    """Now, UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_result(result: Result, path: Path) -> None:
    """Writes a result, whole or not at all.

    Raises:
        ResultFileError: the file can't be written.
    """
    text = _layout(dataclasses.asdict(result)) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise ResultFileError(f"can't write the result {path}: {error.strerror}") from error


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
    kinds = {"accuracy": AccuracyResult, "speed": SpeedResult}
    if document["benchmark"] not in kinds:
        raise ResultFileError(f"{path} is of the unknown benchmark {document['benchmark']!r}")
    try:
        result: Result = _parse(kinds[document["benchmark"]], document, "")
    except (_MalformedError, ValueError) as error:
        raise ResultFileError(f"{path}: {error}") from error
    return result


def _layout(value: Any, depth: int = 0) -> str:
    """JSON with one row an image or an engine: fit for eyes, and a tenth of a full layout."""
    if depth < 4 and isinstance(value, dict) and value:
        rows = [f"{json.dumps(key)}: {_layout(item, depth + 1)}" for key, item in value.items()]
        opening, closing = "{}"
    elif depth < 4 and isinstance(value, (list, tuple)) and value:
        rows = [_layout(item, depth + 1) for item in value]
        opening, closing = "[]"
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    indent = " " * (depth + 1)
    body = ",\n".join(indent + row for row in rows)
    return f"{opening}\n{body}\n{' ' * depth}{closing}"


class _MalformedError(Exception):
    pass


def _parse(kind: Any, value: Any, where: str) -> Any:
    """Turns JSON values into the dataclasses above, strictly."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _parse_dataclass(kind, value, where)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_parse(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {key: _parse(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin in (types.UnionType, typing.Union):
        return _parse(_choose(arguments, value, where), value, where)
    if kind is float and type(value) in (int, float):
        return float(value)
    if type(value) is kind:
        return value
    raise _MalformedError(f"{where or 'the document'} has an unexpected value {value!r:.60}")


def _parse_dataclass(kind: Any, value: Any, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    if not isinstance(value, dict) or set(value) != set(hints):
        expected = ", ".join(sorted(hints))
        raise _MalformedError(f"{where or 'the document'} must be an object with {expected}")
    return kind(**{key: _parse(hints[key], item, f"{where}.{key}") for key, item in value.items()})


def _choose(alternatives: tuple[Any, ...], value: Any, where: str) -> Any:
    """The member of a union that a value belongs to: by its type, an object by its keys."""
    for kind in alternatives:
        if dataclasses.is_dataclass(kind):
            if isinstance(value, dict) and set(value) == set(typing.get_type_hints(kind)):
                return kind
        elif type(value) is kind:
            return kind
    raise _MalformedError(f"{where} has an unexpected value {value!r:.60}")
