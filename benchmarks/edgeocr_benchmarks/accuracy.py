"""Lets engines read labelled images and counts what they got right."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any

from tqdm import tqdm

from edgeocr_benchmarks.detection_metrics import PageCounts, page_counts
from edgeocr_benchmarks.engines import Engine, EngineProcess, Reading
from edgeocr_benchmarks.labels import LabelKind, LabelledImage, LabelSet
from edgeocr_benchmarks.results import EngineRecord, ImageRecord, SetRecord, TextCounts
from edgeocr_benchmarks.text_metrics import LineCounts, character_counts, line_counts

Counts = PageCounts | LineCounts | TextCounts


def measure_accuracy(
    engines: Sequence[Engine],
    label_sets: Sequence[LabelSet],
    *,
    threads: int | None = None,
    readings: IO[str] | None = None,
) -> tuple[tuple[EngineRecord, ...], tuple[SetRecord, ...]]:
    """Reads every image of every set with every engine, one engine after the other.

    Args:
        engines: each runs in a process of its own.
        label_sets: ground truth.
        threads: for every engine; None leaves each its own default.
        readings: receives what was read as JSON lines, for looking at mistakes.

    Raises:
        EngineError: an engine can't be started, or dies. An error that it raises on one image
            is recorded with that image instead and counts as an empty reading.
    """
    engine_records = []
    set_records = []
    for engine in engines:
        with EngineProcess(engine, threads=threads) as process:
            engine_records.append(engine_record(engine, process, threads=threads))
            for labels in label_sets:
                progress = tqdm(
                    labels.images, desc=f"{engine.name}, {labels.name}", unit="image", disable=None
                )
                images = tuple(_read_images(process, labels, progress, engine.name, readings))
                set_records.append(
                    SetRecord(
                        engine=engine.name,
                        name=labels.name,
                        kind=labels.kind,
                        sha256=labels.sha256,
                        fold_case=labels.fold_case,
                        images=images,
                    )
                )
    return tuple(engine_records), tuple(set_records)


def engine_record(engine: Engine, process: EngineProcess, *, threads: int | None) -> EngineRecord:
    """What a result keeps of an engine that runs."""
    description = process.describe()
    return EngineRecord(
        name=engine.name,
        runtime=description.runtime,
        threads=threads,
        versions=description.versions,
        identity=engine.identity,
    )


def _read_images(
    process: EngineProcess,
    labels: LabelSet,
    images: Iterable[LabelledImage],
    engine: str,
    readings: IO[str] | None,
) -> Iterable[ImageRecord]:
    for labelled in images:
        reading = process.read(labelled.image, "line" if labels.kind == "lines" else "page")
        if readings is not None:
            readings.write(_as_json(engine, labels.name, labelled, reading) + "\n")
        yield ImageRecord(
            image=labelled.name,
            ms=round(reading.ms, 3),
            counts=_COUNT[labels.kind](labelled, reading, labels.fold_case),
            error=reading.error,
        )


def _count_page(labelled: LabelledImage, reading: Reading, fold_case: bool) -> Counts:
    return page_counts(labelled.regions, reading.lines, fold_case=fold_case)


def _count_line(labelled: LabelledImage, reading: Reading, fold_case: bool) -> Counts:
    return line_counts(labelled.text, reading.text, fold_case=fold_case)


def _count_text(labelled: LabelledImage, reading: Reading, fold_case: bool) -> Counts:
    characters = character_counts(labelled.text, reading.text, fold_case=fold_case)
    return TextCounts(characters=characters)


_COUNT: dict[LabelKind, Callable[[LabelledImage, Reading, bool], Counts]] = {
    "pages": _count_page,
    "lines": _count_line,
    "texts": _count_text,
}


def _as_json(engine: str, labels: str, labelled: LabelledImage, reading: Reading) -> str:
    document: dict[str, Any] = {
        "engine": engine,
        "labels": labels,
        "image": labelled.name,
        "expected": labelled.text,
        "lines": [
            {"text": line.text, "points": line.polygon.round(1).tolist()} for line in reading.lines
        ],
        "ms": round(reading.ms, 1),
        "error": reading.error,
    }
    return json.dumps(document, ensure_ascii=False)
