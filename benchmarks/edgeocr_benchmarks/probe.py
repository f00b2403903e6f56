"""Measures on the device that it runs on: ``python -m edgeocr_benchmarks.probe PLAN RESULT``.

Needs nothing but edgeocr with its own dependencies. It writes one line a step on stdout, a known
error as one line on stderr, and RESULT whole or not at all.

Bundles take turns within every round, every other round in reverse order: what disturbs a
machine (heat, other processes, a clock that changes) then disturbs them alike. Every bundle has a
process of its own in every run, so its memory is its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from edgeocr.bundle import Bundle
from edgeocr.errors import EdgeOcrError, OptionError
from edgeocr.processors import processors
from edgeocr_benchmarks import environment
from edgeocr_benchmarks.device_results import (
    PARTS,
    SAMPLE_KEYS,
    BundleRun,
    ColdStart,
    DeviceResult,
    DeviceRun,
    Graph,
    MeasuredBundle,
    MeasuredImage,
    PageReading,
    PageSamples,
    ReadLine,
    StageTiming,
    State,
    Sustained,
    Throughput,
)
from edgeocr_benchmarks.engines import bundle_sha256
from edgeocr_benchmarks.errors import ProbeError
from edgeocr_benchmarks.json_records import parse_record
from edgeocr_benchmarks.plan import PlannedBundle, PlannedImage, ProbePlan
from edgeocr_benchmarks.results import timestamp, write_result
from edgeocr_benchmarks.worker_process import WorkerProcess

STATE_EVERY_S: Final = 2.0
"""How often the state of the machine is looked at, between two reads."""
ANSWER_TIMEOUT_S: Final = 600.0
COOL_DOWN_STEP_S: Final = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measures what a plan asks for.

    Returns:
        0, or 2 after a known error, which is told in one line on stderr.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) != 2:
        print("usage: python -m edgeocr_benchmarks.probe PLAN RESULT", file=sys.stderr)
        return 2
    plan_file, result_file = map(Path, arguments)
    try:
        plan = ProbePlan.read(plan_file)
        result = Probe(plan, folder=plan_file.parent).measure()
        write_result(result, result_file)
    except EdgeOcrError as error:
        print(f"edgeocr-bench: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Nobody listens any more: the connection is gone. Nor can what is left be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


@dataclass(slots=True, kw_only=True)
class _Timed:
    """What one bundle has given in one run so far."""

    warm_up_ms: list[float] = field(default_factory=list)
    ms: defaultdict[str, defaultdict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """By image, then by key of a sample."""
    cpu_ms: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lines: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, dict[str, int]] = field(default_factory=dict)
    cold: list[ColdStart] = field(default_factory=list)

    def add(self, image: str, answer: Mapping[str, Any]) -> None:
        for key in SAMPLE_KEYS:
            self.ms[image][key].append(answer["ms"][key])
        self.cpu_ms[image].append(answer["cpu_ms"])
        self.lines[image] = answer["found"]
        self.shapes[image] = answer["shapes"]

    def result(self, bundle: str) -> BundleRun:
        pages = tuple(
            PageSamples(
                image=image,
                lines=self.lines[image],
                shapes=self.shapes[image],
                ms={key: tuple(samples) for key, samples in ms.items()},
                cpu_ms=tuple(self.cpu_ms[image]),
            )
            for image, ms in self.ms.items()
        )
        return BundleRun(
            bundle=bundle,
            warm_up_ms=tuple(self.warm_up_ms),
            pages=pages,
            cold=tuple(self.cold),
        )


class Probe:
    """One measurement of one plan."""

    def __init__(self, plan: ProbePlan, *, folder: Path) -> None:
        """Looks at everything that the plan names, before anything is timed.

        Args:
            plan: what to measure.
            folder: that the plan's paths are relative to.

        Raises:
            BundleError: a bundle is missing or not intact.
            ProbeError: an image is missing.
            OptionError: more threads or processes than this device has processors, or a core
                that this process may not use.
        """
        self._plan = plan
        self._folder = folder.resolve()
        self._bundles = {
            bundle.name: Bundle.open(self._folder / bundle.path) for bundle in plan.bundles
        }
        self._sha256 = {
            image.name: self._checksum(image) for image in (*plan.images, *plan.read_once)
        }
        usable = processors().affinity
        for asked, what in ((plan.threads, "threads"), (plan.processes, "processes")):
            if asked and max(asked) > usable:
                raise OptionError(
                    f"the plan asks for {max(asked)} {what}; this device lets {usable} processors "
                    "be used, and more would only wait for each other"
                )
        self._check_cores(plan.cores or ())
        self._began = time.perf_counter()
        self._looked = -STATE_EVERY_S
        self._states: list[State] = []
        self._shapes: defaultdict[str, set[str]] = defaultdict(set)
        self._sizes: dict[str, tuple[int, int]] = {}
        self._readings: list[PageReading] = []
        self._steps = self._count_steps()
        self._step = 0

    def measure(self) -> DeviceResult:
        """Runs the plan.

        Raises:
            EngineError: a worker process can't be started, dies or stays silent.
            ProbeError: a bundle can't read an image.
        """
        self._look()
        runs = tuple(
            self._run(threads, limit_side)
            for threads in self._plan.threads
            for limit_side in self._plan.limit_sides
        )
        self._read_once()
        stages = self._time_lines()
        throughput = tuple(
            self._throughput(bundle, processes)
            for processes in self._plan.processes
            for bundle in self._plan.bundles
        )
        sustained = tuple(self._sustain(bundle) for bundle in self._plan.bundles if self._lasting)
        versions, graphs = self._describe()
        self._look()
        return DeviceResult(
            created=timestamp(),
            command=("probe",),
            target="local",
            app="python",
            versions=versions,
            environment=environment.machine(),
            states=tuple(self._states),
            images=tuple(
                self._image(image) for image in (*self._plan.images, *self._plan.read_once)
            ),
            bundles=tuple(
                self._bundle(bundle, graphs[bundle.name]) for bundle in self._plan.bundles
            ),
            runs=runs,
            stages=stages,
            throughput=throughput,
            sustained=sustained,
            readings=tuple(self._readings),
            scores=(),
        )

    # The parts of a measurement. ---------------------------------------------------------------

    def _run(self, threads: int, limit_side: int | None) -> DeviceRun:
        self._cool_down()
        cores = self._cores(threads)
        began = self._now()
        self._look()
        # What is right does not depend on threads, and is what the bundle reads by itself.
        keeps = limit_side is None and not self._readings
        timed = {bundle.name: _Timed() for bundle in self._plan.bundles}
        size = "" if limit_side is None else f", side {limit_side}"
        where = f"threads {threads}{size}"
        with ExitStack() as stack:
            workers = {
                bundle.name: stack.enter_context(self._worker(bundle, threads, cores, limit_side))
                for bundle in self._plan.bundles
            }
            for round_ in range(self._plan.warm_ups + self._plan.rounds):
                warming = round_ < self._plan.warm_ups
                for bundle in self._turn(round_):
                    for image in self._plan.images:
                        time.sleep(self._plan.rest_s)
                        last = round_ == self._plan.warm_ups + self._plan.rounds - 1
                        answer = self._read(
                            workers[bundle.name], bundle, image, texts=keeps and last
                        )
                        if "lines" in answer:
                            self._keep_reading(answer, bundle, image)
                        total = answer["ms"]["total"]
                        if warming:
                            timed[bundle.name].warm_up_ms.append(total)
                        else:
                            timed[bundle.name].add(image.name, answer)
                        kind = "warm-up" if warming else "warm"
                        self._say(f"{where}, {kind}, {image.name}, {bundle.name}: {total:.1f} ms")
        for round_ in range(self._plan.cold_starts):
            for bundle in self._turn(round_):
                start = self._cold_start(bundle, threads, cores, limit_side)
                timed[bundle.name].cold.append(start)
                self._say(f"{where}, cold, {bundle.name}: {start.start_to_text_ms:.0f} ms")
        self._look()
        return DeviceRun(
            threads=threads,
            limit_side=limit_side,
            cores=cores,
            began_s=began,
            ended_s=self._now(),
            bundles=tuple(timed[bundle.name].result(bundle.name) for bundle in self._plan.bundles),
        )

    def _cold_start(
        self, bundle: PlannedBundle, threads: int, cores: tuple[int, ...], limit_side: int | None
    ) -> ColdStart:
        time.sleep(self._plan.rest_s)
        with self._worker(bundle, threads, cores, limit_side) as worker:
            answer = self._read(worker, bundle, self._plan.images[0])
            elapsed = worker.elapsed_ms()
            start = self._ask(worker, {"task": "memory"})
        return ColdStart(
            import_ms=round(start["import_ms"], 3),
            load_ms=round(start["load_ms"], 3),
            first_ms=answer["ms"]["total"],
            start_to_text_ms=round(elapsed, 3),
            loaded_bytes=start["loaded_bytes"],
            peak_bytes=start["peak_bytes"],
            pss_bytes=start["pss_bytes"],
        )

    def _read_once(self) -> None:
        images = self._once()
        if not images:
            return
        threads = max(self._plan.threads)
        for bundle in self._plan.bundles:
            with self._worker(bundle, threads, self._cores(threads), None) as worker:
                for image in images:
                    answer = self._read(worker, bundle, image, texts=True)
                    self._keep_reading(answer, bundle, image)
                    self._say(f"reading {image.name}, {bundle.name}: {answer['found']} lines")

    def _once(self) -> tuple[PlannedImage, ...]:
        """Pages whose text no run has kept: all, where every run shows them in another size."""
        plan = self._plan
        return plan.read_once if None in plan.limit_sides else (*plan.images, *plan.read_once)

    def _keep_reading(
        self, answer: Mapping[str, Any], bundle: PlannedBundle, image: PlannedImage
    ) -> None:
        lines = tuple(
            ReadLine(text=line["text"], points=tuple(map(tuple, line["points"])))
            for line in answer["lines"]
        )
        self._readings.append(PageReading(bundle=bundle.name, image=image.name, lines=lines))

    def _time_lines(self) -> tuple[StageTiming, ...]:
        """Classifier and recogniser alone, at every width, in turns."""
        if not self._plan.line_widths:
            return ()
        self._cool_down()
        taken: defaultdict[tuple[str, Literal["cls", "rec"], str], defaultdict[str, list[float]]]
        taken = defaultdict(lambda: defaultdict(list))
        stages: tuple[Literal["cls", "rec"], ...] = ("cls", "rec")
        with ExitStack() as stack:
            workers = {
                bundle.name: stack.enter_context(self._worker(bundle, 1, self._cores(1), None))
                for bundle in self._plan.bundles
            }
            for round_ in range(self._plan.warm_ups + self._plan.rounds):
                for bundle in self._turn(round_):
                    for width in self._plan.line_widths:
                        request = {"task": "line", "width": width}
                        answer = self._ask(workers[bundle.name], request)
                        self._look_now_and_then()
                        for stage in stages:
                            shape, ms = answer[stage]["shape"], answer[stage]["ms"]
                            for piece in shape.split("+"):
                                self._shapes[bundle.name].add(f"{stage} {piece}")
                            if round_ >= self._plan.warm_ups:
                                for part in PARTS:
                                    taken[bundle.name, stage, shape][part].append(ms[part])
                self._say(f"lines, round {round_ + 1}")
        return tuple(
            StageTiming(
                bundle=bundle,
                stage=stage,
                shape=shape,
                ms={part: tuple(samples) for part, samples in ms.items()},
            )
            for (bundle, stage, shape), ms in taken.items()
        )

    def _throughput(self, bundle: PlannedBundle, processes: int) -> Throughput:
        self._cool_down()
        images = [str(self._folder / image.path) for image in self._plan.images]
        seconds = self._plan.throughput_s
        cores = self._cores(processes)
        with ExitStack() as stack:
            workers = [
                stack.enter_context(self._worker(bundle, 1, cores[i : i + 1], None))
                for i in range(processes)
            ]
            for worker in workers:  # Everything is loaded and warm before the first begins.
                for image in self._plan.images:
                    self._read(worker, bundle, image)
            self._look()
            for worker in workers:
                worker.send({"task": "loop", "images": images, "seconds": seconds})
            answers = [
                self._check(worker.answer(timeout_s=seconds + ANSWER_TIMEOUT_S))
                for worker in workers
            ]
            self._look()
        shares = [answer["pss_bytes"] for answer in answers]
        # Each went on to the end of its last page: rates are added, not reads and times.
        rate = sum(answer["images"] / answer["seconds"] for answer in answers)
        read = sum(answer["images"] for answer in answers)
        self._say(f"{processes} processes, {bundle.name}: {rate:.2f} images/s")
        return Throughput(
            bundle=bundle.name,
            processes=processes,
            images=read,
            seconds=round(read / rate, 3),
            peak_bytes=sum(answer["peak_bytes"] for answer in answers),
            pss_bytes=None if None in shares else sum(shares),
        )

    @property
    def _lasting(self) -> bool:
        return self._plan.sustained_s > 0

    def _sustain(self, bundle: PlannedBundle) -> Sustained:
        self._cool_down()
        threads = max(self._plan.threads)
        cores = self._cores(threads)
        image = self._plan.images[0]
        with self._worker(bundle, threads, cores, None) as worker:
            for _ in range(self._plan.warm_ups):
                self._read(worker, bundle, image)
            began = self._now()
            self._look()
            at_s: list[float] = []
            ms: list[float] = []
            while self._now() - began < self._plan.sustained_s:
                ms.append(self._read(worker, bundle, image)["ms"]["total"])
                at_s.append(round(self._now() - began, 3))
            self._look()
            self._say(f"sustained, {bundle.name}: {len(ms)} reads")
        return Sustained(
            bundle=bundle.name,
            threads=threads,
            cores=cores,
            began_s=began,
            ended_s=self._now(),
            image=image.name,
            at_s=tuple(at_s),
            ms=tuple(ms),
        )

    def _describe(self) -> tuple[Mapping[str, str], dict[str, tuple[Graph, ...]]]:
        """Versions, and the graphs at every shape that was met."""
        versions: Mapping[str, str] = {}
        graphs: dict[str, tuple[Graph, ...]] = {}
        for bundle in self._plan.bundles:
            with self._worker(bundle, 1, (), None) as worker:
                versions = self._ask(worker, {"task": "describe"})["versions"]
                found = []
                for key in sorted(self._shapes[bundle.name]):
                    stage, shape = key.split()
                    request = {"task": "graph", "stage": stage, "shape": shape}
                    graph = self._ask(worker, request)["graph"]
                    if graph is not None:
                        found.append(parse_record(Graph, json.loads(json.dumps(graph))))
                graphs[bundle.name] = tuple(found)
            self._say(f"graphs of {bundle.name}: {len(found)}")
        return versions, graphs

    # Workers. ----------------------------------------------------------------------------------

    def _worker(
        self, bundle: PlannedBundle, threads: int, cores: Sequence[int], limit_side: int | None
    ) -> WorkerProcess:
        config = {
            "bundle": str(self._folder / bundle.path),
            "threads": threads,
            "cores": list(cores),
            "limit_side": limit_side,
        }
        command = [sys.executable, "-m", "edgeocr_benchmarks.stage_worker", json.dumps(config)]
        return WorkerProcess(command, name=bundle.name)

    def _read(
        self,
        worker: WorkerProcess,
        bundle: PlannedBundle,
        image: PlannedImage,
        *,
        texts: bool = False,
    ) -> dict[str, Any]:
        self._look_now_and_then()
        path = str(self._folder / image.path)
        answer = self._ask(worker, {"task": "read", "image": path, "texts": texts})
        self._sizes[image.name] = answer["width"], answer["height"]
        self._shapes[bundle.name].update(answer["shapes"])
        return answer

    def _ask(self, worker: WorkerProcess, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._check(worker.ask(request, timeout_s=ANSWER_TIMEOUT_S))

    def _check(self, answer: dict[str, Any]) -> dict[str, Any]:
        if "error" in answer:
            raise ProbeError(answer["error"])
        return answer

    def _turn(self, round_: int) -> Iterator[PlannedBundle]:
        """A B, then B A, then A B ..."""
        bundles = self._plan.bundles
        return iter(bundles) if round_ % 2 == 0 else reversed(bundles)

    # The machine. ------------------------------------------------------------------------------

    def _cores(self, count: int) -> tuple[int, ...]:
        if self._plan.cores is not None:
            return self._plan.cores
        return environment.fastest_cores(count)

    def _check_cores(self, cores: tuple[int, ...]) -> None:
        if not cores:
            return
        if not hasattr(os, "sched_getaffinity"):
            raise OptionError("this system can't bind a process to cores")
        foreign = sorted(set(cores) - os.sched_getaffinity(0))
        if foreign:
            raise OptionError(f"core {foreign[0]} is not one that this process may use")

    def _now(self) -> float:
        return round(time.perf_counter() - self._began, 3)

    def _look(self) -> None:
        self._looked = time.perf_counter()
        self._states.append(State(at_s=self._now(), facts=environment.state()))

    def _look_now_and_then(self) -> None:
        """Between two reads, so that looking disturbs none."""
        if time.perf_counter() - self._looked >= STATE_EVERY_S:
            self._look()

    def _cool_down(self) -> None:
        limit = self._plan.cool_down_c
        if limit is None:
            return
        give_up = time.perf_counter() + self._plan.cool_down_s
        while True:
            self._look()
            temperatures = self._states[-1].facts.get("temperature_c", {}).values()
            if not temperatures or max(temperatures) <= limit:
                return
            if time.perf_counter() >= give_up:
                self._say(f"still {max(temperatures):.1f} °C after {self._plan.cool_down_s:.0f} s")
                return
            time.sleep(COOL_DOWN_STEP_S)

    # What the result says of images and bundles. -----------------------------------------------

    def _checksum(self, image: PlannedImage) -> str:
        try:
            return hashlib.sha256((self._folder / image.path).read_bytes()).hexdigest()
        except OSError as error:
            path = self._folder / image.path
            raise ProbeError(f"can't read the image {path}: {error.strerror}") from error

    def _image(self, image: PlannedImage) -> MeasuredImage:
        width, height = self._sizes[image.name]
        return MeasuredImage(
            name=image.name,
            width=width,
            height=height,
            sha256=self._sha256[image.name],
            lines=image.lines,
        )

    def _bundle(self, planned: PlannedBundle, graphs: tuple[Graph, ...]) -> MeasuredBundle:
        bundle = self._bundles[planned.name]
        stages = bundle.stages
        charset = "\n".join(bundle.charset()) + "\n"
        return MeasuredBundle(
            name=planned.name,
            bundle=bundle.name,
            version=bundle.version,
            precision=bundle.precision,
            bytes={
                "det": stages.det.bytes,
                "cls": stages.cls.bytes,
                "rec": stages.rec.bytes,
                "charset": len(charset.encode()),
            },
            sha256=bundle_sha256(bundle),
            graphs=graphs,
        )

    def _count_steps(self) -> int:
        plan = self._plan
        bundles, images = len(plan.bundles), len(plan.images)
        run = bundles * ((plan.warm_ups + plan.rounds) * images + plan.cold_starts)
        steps = run * len(plan.threads) * len(plan.limit_sides)
        steps += bundles * (len(self._once()) + len(plan.processes) + self._lasting + 1)
        return steps + (plan.warm_ups + plan.rounds if plan.line_widths else 0)

    def _say(self, what: str) -> None:
        self._step += 1
        steps = str(self._steps)
        print(f"[{self._step:{len(steps)}}/{steps}] {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
