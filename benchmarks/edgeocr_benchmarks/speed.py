"""Engines take turns on one page: warm reads, cold starts and peak memory.

What disturbs a machine (other processes, heat, a clock that changes) disturbs neighbours in
time alike. So the engines alternate within every round, every other round in reverse order,
and a ratio is taken over rounds.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tqdm import tqdm

from edgeocr.errors import OptionError
from edgeocr.processors import processors
from edgeocr_benchmarks import environment
from edgeocr_benchmarks.accuracy import engine_record
from edgeocr_benchmarks.detection_metrics import page_counts
from edgeocr_benchmarks.engines import Engine, EngineProcess, Reading
from edgeocr_benchmarks.errors import EngineError
from edgeocr_benchmarks.labels import Region
from edgeocr_benchmarks.results import EngineRecord, PageAccuracy, TimedEngine, TimedRun
from edgeocr_benchmarks.text_metrics import line_counts

WARMUPS: Final = 3
REST_S: Final = 0.1
"""Between reads. ONNX Runtime's threads spin for a while after their work is done, which would
take time from whoever comes next on the same cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How often to measure."""

    rounds: int = 20
    """Warm reads of every engine."""
    cold_rounds: int = 7
    """Fresh processes of every engine."""


def measure_speed(
    engines: Sequence[Engine],
    image: Path,
    *,
    regions: Sequence[Region] | None,
    threads: Sequence[int],
    schedule: Schedule,
) -> tuple[TimedRun, ...]:
    """Times all engines on one image, for every number of threads.

    Every process is bound to as many cores as it has threads, the same ones for all engines.

    Args:
        engines: two or more take turns; one alone is timed too.
        image: file that is read.
        regions: what is written on it, or None where that is not known.
        threads: each gives one run.
        schedule: how often.

    Raises:
        OptionError: more threads than CPUs.
        EngineError: an engine can't be started, dies, or can't read the page.
    """
    runs = []
    for count in threads:
        cores = environment.fastest_cores(count)
        usable = processors().affinity
        if count > usable:
            raise OptionError(f"{count} threads on {usable} usable CPUs: nothing worth measuring")
        runs.append(_measure_run(engines, image, regions, count, cores, schedule))
    return tuple(runs)


def _measure_run(
    engines: Sequence[Engine],
    image: Path,
    regions: Sequence[Region] | None,
    threads: int,
    cores: tuple[int, ...],
    schedule: Schedule,
) -> TimedRun:
    before = environment.state()
    warm = _warm(engines, image, threads, cores, schedule.rounds)
    cold = _cold(engines, image, threads, cores, schedule.cold_rounds)
    after = environment.state()
    timed = tuple(
        TimedEngine(
            engine=record,
            warm_ms=tuple(round(reading.ms, 3) for reading in readings[WARMUPS:]),
            warmup_ms=tuple(round(reading.ms, 3) for reading in readings[:WARMUPS]),
            cold_ms=tuple(round(ms, 3) for ms, _ in starts),
            peak_bytes=tuple(peak for _, peak in starts),
            accuracy=None if regions is None else _page_accuracy(regions, readings[-1]),
        )
        for (record, readings), starts in zip(warm, cold, strict=True)
    )
    return TimedRun(threads=threads, cores=cores, before=before, after=after, engines=timed)


def _warm(
    engines: Sequence[Engine], image: Path, threads: int, cores: tuple[int, ...], rounds: int
) -> list[tuple[EngineRecord, list[Reading]]]:
    processes: list[EngineProcess] = []
    try:
        for engine in engines:
            processes.append(EngineProcess(engine, threads=threads, cores=cores))  # noqa: PERF401
        records = [
            engine_record(engine, process, threads=threads)
            for engine, process in zip(engines, processes, strict=True)
        ]
        readings: list[list[Reading]] = [[] for _ in engines]
        for turn in _turns(len(engines), WARMUPS + rounds, f"{threads} threads, warm"):
            time.sleep(REST_S)
            readings[turn].append(_read(engines[turn], processes[turn], image))
    finally:
        for process in processes:
            process.close()
    return list(zip(records, readings, strict=True))


def _cold(
    engines: Sequence[Engine], image: Path, threads: int, cores: tuple[int, ...], rounds: int
) -> list[list[tuple[float, int]]]:
    """(Milliseconds from start to text, peak bytes) per engine and round."""
    starts: list[list[tuple[float, int]]] = [[] for _ in engines]
    for turn in _turns(len(engines), rounds, f"{threads} threads, cold"):
        time.sleep(REST_S)
        with EngineProcess(engines[turn], threads=threads, cores=cores) as process:
            reading = _read(engines[turn], process, image)
            starts[turn].append((process.elapsed_ms(), reading.peak_bytes))
    return starts


def _turns(engines: int, rounds: int, description: str) -> "tqdm[int]":
    """Whose turn it is: 0 1 1 0 0 1 1 0 ..."""
    order = range(engines)
    turns = [i for round_ in range(rounds) for i in (order if round_ % 2 == 0 else reversed(order))]
    return tqdm(turns, desc=description, unit="read", disable=None)


def _read(engine: Engine, process: EngineProcess, image: Path) -> Reading:
    reading = process.read(image, "page")
    if reading.error is not None:
        raise EngineError(f"{engine.name} can't read {image}: {reading.error}")
    return reading


def _page_accuracy(regions: Sequence[Region], reading: Reading) -> PageAccuracy:
    written = "\n".join(region.text for region in regions)
    return PageAccuracy(
        page=page_counts(regions, reading.lines, fold_case=False),
        text=line_counts(written, reading.text, fold_case=False),
    )
