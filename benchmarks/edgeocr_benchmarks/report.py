"""Markdown tables from recorded results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Final

from edgeocr_benchmarks import sampling
from edgeocr_benchmarks.detection_metrics import PageCounts
from edgeocr_benchmarks.environment import processor_name
from edgeocr_benchmarks.labels import LabelKind
from edgeocr_benchmarks.match_counts import MatchCounts
from edgeocr_benchmarks.results import (
    AccuracyResult,
    SetRecord,
    SpeedResult,
    TextCounts,
    TimedEngine,
    TimedRun,
)
from edgeocr_benchmarks.tables import Table, markdown

Counts = Any
Ratio = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A column: a ratio of sums over images."""

    title: str
    ratio: Callable[[Counts], Ratio]
    """(numerator, denominator) of one image, or of the sum of several."""
    headline: bool = False
    """Whether the overview shows it."""


def _prf(
    name: str, last: str, of: Callable[[Counts], MatchCounts], *, headline: bool = True
) -> tuple[Figure, ...]:
    return (
        Figure(title=f"{name} P", ratio=lambda counts: (of(counts).matched, of(counts).found)),
        Figure(title="R", ratio=lambda counts: (of(counts).matched, of(counts).expected)),
        Figure(
            title=f"{name} {last}",
            ratio=lambda counts: (2 * of(counts).matched, of(counts).found + of(counts).expected),
            headline=headline,
        ),
    )


def _characters(counts: PageCounts | TextCounts) -> MatchCounts:
    return counts.characters


FIGURES: Final[Mapping[LabelKind, tuple[Figure, ...]]] = {
    "pages": (
        *_prf("detection", "H", lambda counts: counts.detection),
        *_prf("end-to-end", "H", lambda counts: counts.end_to_end),
        *_prf("characters", "F", _characters),
    ),
    "lines": (
        Figure(
            title="word accuracy",
            ratio=lambda counts: (counts.exact, counts.lines),
            headline=True,
        ),
        Figure(
            title="letters and digits, any case",
            ratio=lambda counts: (counts.alphanumeric, counts.lines),
            headline=True,
        ),
        Figure(title="CER", ratio=lambda counts: (counts.edits, counts.characters), headline=True),
    ),
    "texts": _prf("characters", "F", _characters),
}
"""What is shown of every kind of label set; in percent."""


def accuracy_report(results: Sequence[AccuracyResult], *, against: str | None = None) -> str:
    """The tables of :func:`accuracy_tables` as Markdown."""
    return "\n\n".join(map(markdown, accuracy_tables(results, against=against))) + "\n"


def accuracy_tables(
    results: Sequence[AccuracyResult], *, against: str | None = None
) -> list[Table]:
    """One table a label set, engines as rows; then the differences to one engine.

    Args:
        results: taken together; the same engine may come from several files.
        against: name of the engine that the others are compared with, image by image.
    """
    groups: dict[tuple[object, ...], list[SetRecord]] = {}
    for result in results:
        for record in result.sets:
            names = tuple(image.image for image in record.images)
            key = (record.name, record.kind, record.sha256, record.fold_case, names)
            groups.setdefault(key, []).append(record)
    tables = [_set_table(records) for records in groups.values()]
    if against is not None:
        rows = [row for records in groups.values() for row in _differences(records, against)]
        if rows:
            tables.append(
                Table(
                    title=f"Difference to {against}, points, with 95 % interval over images",
                    header=("set", "engine", "figure", "difference", "interval"),
                    rows=rows,
                )
            )
    return tables


def speed_report(results: Sequence[SpeedResult], *, against: str | None = None) -> str:
    """The tables of :func:`speed_tables` as Markdown."""
    return "\n\n".join(map(markdown, speed_tables(results, against=against))) + "\n"


def speed_tables(results: Sequence[SpeedResult], *, against: str | None = None) -> list[Table]:
    """Medians per engine and thread count, and ratios to one of the engines.

    Args:
        results: each gives a table.
        against: name of the engine that ratios are taken to; None for the last one, which is
            the peer where there is one.
    """
    return [_speed_table(result, against) for result in results]


def _speed_table(result: SpeedResult, against: str | None) -> Table:
    rows: list[Sequence[str]] = []
    for run in result.runs:
        named = [engine for engine in run.engines if engine.engine.name == against]
        base = named[0] if named else run.engines[-1]
        rows.extend(_timed_row(run, engine, base) for engine in run.engines)
    page = result.page
    lines = "" if page.lines is None else f", {page.lines} lines"
    return Table(
        title=f"{page.name}, {page.width}x{page.height}{lines}; "
        f"{processor_name(result.environment)}; {result.created}",
        header=(
            "threads",
            "engine",
            "warm page, ms",
            "ratio",
            "cold start to text, ms",
            "ratio",
            "peak memory, MB",
            "ratio",
            "characters F",
            "page CER",
        ),
        rows=rows,
        notes=[f"Doubtful: {doubt}" for run in result.runs for doubt in _doubts(run)],
    )


def _heading(record: SetRecord) -> str:
    case = "case ignored" if record.fold_case else "case counts"
    return f"{record.name}: {len(record.images)} images, {record.kind}, {case}"


def _set_table(records: Sequence[SetRecord]) -> Table:
    figures = FIGURES[records[0].kind]
    rows = []
    for record in records:
        total = reduce(add, (image.counts for image in record.images))
        failed = sum(image.error is not None for image in record.images)
        times = [image.ms for image in record.images]
        cells = [_percent(_value(figure.ratio(total))) for figure in figures]
        rows.append((record.engine, *cells, f"{sampling.median(times):.1f}", str(failed)))
    titles = [figure.title for figure in figures]
    return Table(
        title=_heading(records[0]),
        header=("engine", *titles, "median ms", "failed"),
        rows=rows,
    )


def _differences(records: Sequence[SetRecord], against: str) -> list[Sequence[str]]:
    base = next((record for record in records if record.engine == against), None)
    if base is None:
        return []
    rows: list[Sequence[str]] = []
    for record in records:
        if record.engine == against:
            continue
        for figure in FIGURES[record.kind]:
            if not figure.headline:
                continue
            estimate = sampling.difference_of_ratios(
                [figure.ratio(image.counts) for image in record.images],
                [figure.ratio(image.counts) for image in base.images],
            )
            interval = f"{100 * estimate.low:+.2f} to {100 * estimate.high:+.2f}"
            value = f"{100 * estimate.value:+.2f}"
            rows.append((record.name, record.engine, figure.title, value, interval))
    return rows


def _timed_row(run: TimedRun, engine: TimedEngine, base: TimedEngine) -> Sequence[str]:
    memory = [peak / 1e6 for peak in engine.peak_bytes]
    pairs: tuple[tuple[Sequence[float], Sequence[float]], ...] = (
        (engine.warm_ms, base.warm_ms),
        (engine.cold_ms, base.cold_ms),
        (memory, [peak / 1e6 for peak in base.peak_bytes]),
    )
    cells = []
    for samples, reference in pairs:
        cells.append(f"{sampling.median(samples):.1f}")
        cells.append("1" if engine is base else _ratio(samples, reference))
    if engine.accuracy is None:
        cells += ["", ""]
    else:
        cells.append(_percent(engine.accuracy.page.characters.hmean))
        cells.append(_percent(engine.accuracy.text.cer))
    return (str(run.threads), engine.engine.name, *cells)


def _ratio(samples: Sequence[float], reference: Sequence[float]) -> str:
    estimate = sampling.ratio_of_medians(samples, reference)
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _doubts(run: TimedRun) -> list[str]:
    doubts = []
    for engine in run.engines:
        where = f"{engine.engine.name}, threads {run.threads}"
        if len(engine.warm_ms) < sampling.MIN_SAMPLES:
            doubts.append(f"{where}: only {len(engine.warm_ms)} rounds; take more with --rounds")
        spread = sampling.spread(engine.warm_ms)
        if spread > sampling.MAX_SPREAD:
            doubts.append(
                f"{where}: the middle half of the warm times spans {100 * spread:.0f} % of their "
                "median; stop what else runs and measure again"
            )
    return doubts


def _value(ratio: Ratio) -> float:
    numerator, denominator = ratio
    return numerator / denominator if denominator else 1.0


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"
