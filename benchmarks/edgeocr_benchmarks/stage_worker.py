"""Reads pages in a process of its own and tells how long every part of every stage took.

Started by the probe as ``python -m edgeocr_benchmarks.stage_worker CONFIG``; talks JSON lines
on stdin and stdout, and ends with its stdin.

    config   {"bundle": path, "threads": 2, "cores": [2, 3], "limit_side": 960 | null}
    request  {"task": "read", "image": path, "texts": bool}
    answer   {"ms": {...SAMPLE_KEYS}, "cpu_ms": 97.0, "shapes": {...}, "found": 20,
              "width": 1280, "height": 960,
              "lines": [{"text", "points"}] where "texts" was asked for}
    request  {"task": "memory"}
    answer   {"import_ms", "load_ms", "loaded_bytes", "peak_bytes", "pss_bytes"}
    request  {"task": "line", "width": 320}
    answer   {"cls": {"shape": "48x192", "ms": {...PARTS}}, "rec": {...}}
    request  {"task": "loop", "images": [path, ...], "seconds": 10.0}
    answer   {"images": 57, "seconds": 10.1, "peak_bytes", "pss_bytes"}
    request  {"task": "describe"}
    answer   {"versions": {...}}
    request  {"task": "graph", "stage": "rec", "shape": "48x320"}
    answer   {"graph": a Graph of device_results, or null where the runtime tells nothing}
    any      {"error": text} where the SDK refuses it, as an image that is none

The SDK's stages are each ``decode(infer(prepare(...)))``. A clock is laid round these three
methods of the one ``Ocr`` object, so that what is timed is the SDK's own way of reading, its
second looks at doubtful lines included, and none of it is written down here again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from edgeocr import Ocr, OcrOptions
    from edgeocr.detection import DetectorInput
    from edgeocr.recognition import PreparedLine
    from edgeocr.runtime import Tensor

Answer = dict[str, Any]

_PARTS: Final = {"prepare": "pre", "infer": "inference", "decode": "post"}
_LINE_STAGES: Final = {"cls": "orient", "rec": "recognise"}
"""The stages that lines go through, and what the SDK's own timings call them."""


def main() -> None:
    config = json.loads(sys.argv[1])
    # Before any library starts threads: they inherit the mask.
    if config["cores"]:
        os.sched_setaffinity(0, config["cores"])
    # Libraries print to stdout when they please; the protocol keeps a channel of its own.
    with os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1) as answers:
        os.dup2(2, 1)
        reader = StageReader(config)
        from edgeocr.errors import EdgeOcrError

        for request in sys.stdin.buffer:
            try:
                answer = reader.answer(json.loads(request))
            except EdgeOcrError as error:
                answer = {"error": str(error)}
            answers.write(json.dumps(answer) + "\n")


class StageClock:
    """Takes the times of ``prepare``, ``infer`` and ``decode`` of all stages of one ``Ocr``."""

    def __init__(self, ocr: Ocr) -> None:
        # Lines are read by several threads: both are only ever appended to, which is atomic.
        self._spans: defaultdict[str, list[float]] = defaultdict(list)
        self._shapes: list[str] = []
        stages: tuple[tuple[str, object, Callable[[Any], list[Tensor]]], ...] = (
            ("det", ocr.detector, _detector_tensors),
            ("cls", ocr.classifier, _classifier_tensors),
            ("rec", ocr.recogniser, _recogniser_tensors),
        )
        for stage, model, tensors in stages:
            for method, part in _PARTS.items():
                self._spans[f"{stage}.{part}"] = []
                timed = self._timed(getattr(model, method), self._spans[f"{stage}.{part}"])
                if method == "infer":
                    timed = self._shaped(timed, stage, tensors)
                setattr(model, method, timed)

    def take(self) -> tuple[dict[str, float], Counter[str]]:
        """Milliseconds by stage and part since the last call, summed, and runs by shape."""
        summed = {key: 1e3 * sum(spans) for key, spans in self._spans.items()}
        shapes = Counter(self._shapes)
        for spans in self._spans.values():
            spans.clear()
        self._shapes.clear()
        return summed, shapes

    def _timed(self, method: Callable[..., Any], spans: list[float]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            result = method(*arguments)
            spans.append(time.perf_counter() - started)
            return result

        return timed

    def _shaped(
        self, method: Callable[..., Any], stage: str, tensors: Callable[[Any], list[Tensor]]
    ) -> Callable[..., Any]:
        def shaped(prepared: Any) -> Any:
            for tensor in tensors(prepared):
                self._shapes.append(f"{stage} {tensor.shape[1]}x{tensor.shape[2]}")
            return method(prepared)

        return shaped


def _detector_tensors(prepared: DetectorInput) -> list[Tensor]:
    return [prepared.tensor]


def _classifier_tensors(prepared: Tensor) -> list[Tensor]:
    return [prepared]


def _recogniser_tensors(prepared: PreparedLine) -> list[Tensor]:
    return [piece.tensor for piece in prepared.pieces]


class StageReader:
    """Answers the requests of this module's docstring with one bundle."""

    def __init__(self, config: dict[str, Any]) -> None:
        started = time.perf_counter()
        import edgeocr

        imported = time.perf_counter()
        self._ocr = edgeocr.Ocr.load(config["bundle"], threads=config["threads"])
        loaded = time.perf_counter()
        self._options: OcrOptions = edgeocr.OcrOptions()
        if config["limit_side"] is not None:
            self._options = edgeocr.OcrOptions(limit_side=config["limit_side"], limit_type="max")
        self._start = {
            "import_ms": (imported - started) * 1e3,
            "load_ms": (loaded - imported) * 1e3,
            "loaded_bytes": status_bytes("VmRSS"),
        }
        self._clock = StageClock(self._ocr)

    def answer(self, request: dict[str, Any]) -> Answer:
        task = request["task"]
        if task == "read":
            return self._read(request["image"], texts=request["texts"])
        if task == "memory":
            return {**self._start, **memory()}
        if task == "line":
            return self._line(request["width"])
        if task == "loop":
            return self._loop(request["images"], request["seconds"])
        if task == "graph":
            import dataclasses

            from edgeocr_benchmarks.graphs import graph

            found = graph(self._ocr.bundle, request["stage"], request["shape"])
            return {"graph": None if found is None else dataclasses.asdict(found)}
        from edgeocr_benchmarks.ocr_worker import EdgeOcr, versions

        return {"versions": versions(EdgeOcr.packages)}

    def _read(self, image: str, *, texts: bool) -> Answer:
        self._clock.take()
        worked = time.process_time()
        result = self._ocr.read(image, self._options)
        worked = time.process_time() - worked
        summed, shapes = self._clock.take()
        timings = result.timings_ms
        ms = {"load": timings["load"], "crop": timings["crop"], "total": timings["total"]}
        for part in _PARTS.values():
            ms[f"det.{part}"] = summed[f"det.{part}"]
        for stage, name in _LINE_STAGES.items():
            spent = sum(summed[f"{stage}.{part}"] for part in _PARTS.values())
            for part in _PARTS.values():
                share = summed[f"{stage}.{part}"] / spent if spent else 0.0
                ms[f"{stage}.{part}"] = share * timings[name]
        answer: Answer = {
            "ms": {key: round(value, 4) for key, value in ms.items()},
            "cpu_ms": round(worked * 1e3, 4),
            "shapes": dict(sorted(shapes.items())),
            "found": len(result),
            "width": result.width,
            "height": result.height,
        }
        if texts:
            answer["lines"] = [
                {"text": line.text, "points": [[float(x), float(y)] for x, y in line.box]}
                for line in result
            ]
        return answer

    def _line(self, width: int) -> Answer:
        """Times classifier and recogniser on one line of given width at the network's height.

        What is written on it changes no network's time, and decoding's hardly.
        """
        import numpy as np

        height = self._ocr.bundle.stages.rec.signatures[0].height
        line = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        answer: Answer = {}
        for stage, look in (
            ("cls", lambda: self._ocr.classifier.classify(line, self._options)),
            ("rec", lambda: self._ocr.recogniser.recognise(line)),
        ):
            self._clock.take()
            look()
            summed, shapes = self._clock.take()
            answer[stage] = {
                "shape": "+".join(sorted(shape.split()[1] for shape in shapes.elements())),
                "ms": {part: round(summed[f"{stage}.{part}"], 4) for part in _PARTS.values()},
            }
        return answer

    def _loop(self, images: list[str], seconds: float) -> Answer:
        started = time.perf_counter()
        read = 0
        while time.perf_counter() - started < seconds:
            self._ocr.read(images[read % len(images)], self._options)
            self._clock.take()
            read += 1
        return {"images": read, "seconds": time.perf_counter() - started, **memory()}


def memory() -> Answer:
    """Largest resident and proportional set size of this process, in bytes; None where unknown."""
    from edgeocr_benchmarks.ocr_worker import peak_bytes

    return {"peak_bytes": peak_bytes(), "pss_bytes": pss_bytes()}


def status_bytes(name: str, status: Path = Path("/proc/self/status")) -> int | None:
    """One of the sizes in Linux's account of a process."""
    return _kilobytes(status, name)


def pss_bytes(rollup: Path = Path("/proc/self/smaps_rollup")) -> int | None:
    """Resident memory with every shared page divided by the processes that share it."""
    return _kilobytes(rollup, "Pss")


def _kilobytes(path: Path, name: str) -> int | None:
    try:
        rows = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for row in rows:
        key, _, value = row.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return None


if __name__ == "__main__":
    main()
