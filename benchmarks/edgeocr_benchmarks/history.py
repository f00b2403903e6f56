"""How figures went over the results in a folder, oldest first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeocr_benchmarks import sampling
from edgeocr_benchmarks.device_report import machine_name, run_label, scores
from edgeocr_benchmarks.device_results import BundleRun, DeviceResult, DeviceRun
from edgeocr_benchmarks.errors import ResultFileError
from edgeocr_benchmarks.metrics import run_samples
from edgeocr_benchmarks.results import read_result
from edgeocr_benchmarks.tables import Table
from edgeocr_benchmarks.validity import has_times, judge

FIGURES: Final = ("total.p50", "total.p90", "det.p50", "rec.p50", "start.p50", "peak.p50")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    file: str
    result: DeviceResult
    run: DeviceRun
    bundle: BundleRun


def read_device_results(folder: Path) -> list[tuple[Path, DeviceResult]]:
    """All results of devices in a folder and those below it, oldest first.

    Other results of edgeocr-bench, and other JSON files, are passed over; so are emulated boards,
    which have no times.

    Raises:
        ResultFileError: the folder can't be read, or holds no such result, or a damaged one.
    """
    if not folder.is_dir():
        raise ResultFileError(f"{folder} is no folder")
    found = []
    for path in sorted(folder.rglob("*.json")):
        if not _is_of_a_device(path):
            continue
        result = read_result(path)
        if isinstance(result, DeviceResult) and has_times(result):
            found.append((path, result))
    if not found:
        raise ResultFileError(f"{folder} holds no result of a device")
    return sorted(found, key=lambda item: item[1].created)


def _is_of_a_device(path: Path) -> bool:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("benchmark") == "device"


def history_tables(results: Sequence[tuple[Path, DeviceResult]]) -> list[Table]:
    """One table for every machine, target, bundle, number of threads, size and set of pages.

    Within a table every difference is that of the models and the code.
    """
    groups: dict[tuple[str, ...], list[_Entry]] = {}
    for path, result in results:
        pages = ",".join(sorted(image.sha256 for image in result.images))
        for run in result.runs:
            for bundle in run.bundles:
                machine = machine_name(result.environment)
                key = (machine, result.target, run_label(run), bundle.bundle, pages)
                entry = _Entry(file=path.name, result=result, run=run, bundle=bundle)
                groups.setdefault(key, []).append(entry)
    return [_table(", ".join(key[:-1]), entries) for key, entries in groups.items()]


def _table(title: str, entries: Sequence[_Entry]) -> Table:
    rows = []
    previous: _Entry | None = None
    for entry in entries:
        cells = [_cell(entry, previous, figure) for figure in FIGURES]
        summed = scores(entry.result).get(entry.bundle.bundle)
        accuracy = f"{100 * summed[0].characters.hmean:.2f}" if summed else ""
        version = entry.result.versions.get("edgeocr", "")
        valid = "yes" if judge(entry.result, entry.run).valid else "NO"
        rows.append((entry.result.created, version, *cells, accuracy, valid, entry.file))
        previous = entry
    return Table(
        title=title,
        header=("created", "edgeocr", *FIGURES, "characters F", "valid", "file"),
        rows=rows,
        notes=["In brackets: change to the row above, where its 95 % interval excludes none."]
        if len(rows) > 1
        else (),
    )


def _cell(entry: _Entry, previous: _Entry | None, figure: str) -> str:
    metric, _, statistic = figure.rpartition(".")
    samples = run_samples(entry.bundle, metric)
    if not len(samples):
        return ""
    text = f"{sampling.statistic(samples, statistic):.1f}"
    before = run_samples(previous.bundle, metric) if previous else ()
    if len(before):
        change = sampling.relative_change(before, samples, statistic)
        if change.low > 0 or change.high < 0:
            text += f" ({100 * change.value:+.1f} %)"
    return text
