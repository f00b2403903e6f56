"""Runs the three stages step by step, with marks around each; on a board or on this machine.

    python -m edgeocr_benchmarks.emulation.stages WORK.json FOLDER

The marks are system calls that instruction_counter.c listens for. Everywhere else they do
nothing, so the same program gives the outputs to compare with.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeocr.detection import TextRegion
from edgeocr.errors import EdgeOcrError
from edgeocr.images import load_image
from edgeocr.ocr import Ocr
from edgeocr.options import OcrOptions
from edgeocr.pixels import crop_line
from edgeocr.reading_order import reading_order
from edgeocr_benchmarks.json_records import as_json, parse_record

MARK: Final = 0x0ED60000
"""As in instruction_counter.c."""
EMPTY: Final = "empty"
"""The step that does nothing: what it counts, the marks themselves take."""

STEPS: Final = "steps.json"
TENSORS: Final = "tensors.npz"

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWork:
    """What to run. Paths are this machine's: a board sees the same files."""

    bundle: str
    page: str
    """Image that is read."""
    line: str
    """Image of one line, at least as wide for its height as the widest of ``widths`` asks for."""
    side: int
    """The detector is shown the page with its longer side this long, or as its shapes allow."""
    widths: tuple[int, ...]
    """Of the recogniser's input in pixels, or the nearest that its shapes allow."""
    repeats: int


def read_work(path: Path) -> StageWork:
    """What :func:`write_work` wrote."""
    return parse_record(StageWork, json.loads(path.read_text(encoding="utf-8")))


def write_work(work: StageWork, path: Path) -> None:
    """For another process, which may be on a board."""
    path.write_text(as_json(work), encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedStep:
    step: str
    shape: str
    regions: tuple[int, ...]
    """Numbers of its repetitions, as the counter's rows have them."""


@dataclass(slots=True)
class StageRun:
    """What the stages were given and made."""

    steps: list[MarkedStep] = field(default_factory=list)
    tensors: dict[str, NDArray[Any]] = field(default_factory=dict)
    """By "rec.output 48x320"."""
    texts: list[str] = field(default_factory=list)
    """The lines of the page."""
    _region: int = 0

    def count(self, step: str, shape: str, call: Callable[[], _Value], repeats: int) -> _Value:
        """Runs a call ``repeats`` times between marks; the result is that of the last."""
        regions = range(self._region, self._region + repeats)
        self._region += repeats
        for region in regions:
            with marked(region):
                value = call()
        self.steps.append(MarkedStep(step=step, shape=shape, regions=tuple(regions)))
        return value

    def write(self, folder: Path) -> None:
        document = {"steps": [asdict(step) for step in self.steps], "texts": self.texts}
        (folder / STEPS).write_text(json.dumps(document), encoding="utf-8")
        with (folder / TENSORS).open("wb") as file:
            np.savez(file, allow_pickle=False, **self.tensors)

    @classmethod
    def read(cls, folder: Path) -> StageRun:
        """What :meth:`write` wrote."""
        document = json.loads((folder / STEPS).read_text(encoding="utf-8"))
        steps = [
            MarkedStep(step=row["step"], shape=row["shape"], regions=tuple(row["regions"]))
            for row in document["steps"]
        ]
        with np.load(folder / TENSORS) as tensors:
            return cls(steps=steps, tensors=dict(tensors), texts=document["texts"])


@contextmanager
def marked(region: int) -> Iterator[None]:
    """Marks the beginning and the end of a region for the counter."""
    _mark(2 * region)
    yield
    _mark(2 * region + 1)


def _mark(number: int) -> None:
    with suppress(OSError):  # There is no such process, nor a group of that number.
        os.getpgid(MARK + number)


def run_stages(work: StageWork) -> StageRun:
    """Runs every step of every stage once, and then between marks.

    Raises:
        BundleError, ImageError, RuntimeUnavailableError: as the SDK raises them.
    """
    ocr = Ocr.load(work.bundle, threads=1)
    run = StageRun()
    # Where garbage is collected would depend on what ran before.
    gc.collect()
    gc.disable()
    try:
        run.count(EMPTY, "", lambda: None, work.repeats)
        pixels = _load(run, work)
        regions = _detect(run, work, ocr, pixels)
        line = load_image(work.line)
        _orient(run, work, ocr, line)
        for width in work.widths:
            _recognise(run, work, ocr, line, width)
        if regions:
            _cut(run, work, pixels, regions)
        page = run.count("total", _size(pixels), lambda: ocr.read(work.page), 1)
        run.texts = [found.text for found in page]
    finally:
        gc.enable()
    return run


def _warm(
    run: StageRun, work: StageWork, step: str, shape: str, call: Callable[[], _Value]
) -> _Value:
    call()
    return run.count(step, shape, call, work.repeats)


def _load(run: StageRun, work: StageWork) -> NDArray[np.uint8]:
    size = _size(load_image(work.page))
    return run.count("load", size, lambda: load_image(work.page), work.repeats)


def _detect(
    run: StageRun, work: StageWork, ocr: Ocr, pixels: NDArray[np.uint8]
) -> list[TextRegion]:
    options = OcrOptions(limit_side=work.side, limit_type="max")
    detector = ocr.detector
    shape = _size(detector.prepare(pixels, options).tensor[0])
    given = run.count("det.pre", shape, lambda: detector.prepare(pixels, options), work.repeats)
    made = _warm(run, work, "det.inference", shape, lambda: detector.infer(given))
    found = _warm(run, work, "det.post", shape, lambda: detector.decode(made, given, options))
    run.tensors[f"det.input {shape}"], run.tensors[f"det.output {shape}"] = given.tensor, made
    if not found:
        return found
    quads = np.stack([region.quad for region in found])
    order = _warm(run, work, "order", _size(pixels), lambda: reading_order(quads))
    return [found[i] for i in order]


def _orient(run: StageRun, work: StageWork, ocr: Ocr, line: NDArray[np.uint8]) -> None:
    classifier, options = ocr.classifier, OcrOptions()
    shape = _size(classifier.prepare(line)[0])
    given = run.count("cls.pre", shape, lambda: classifier.prepare(line), work.repeats)
    made = _warm(run, work, "cls.inference", shape, lambda: classifier.infer(given))
    _warm(run, work, "cls.post", shape, lambda: classifier.decode(made, options))
    run.tensors[f"cls.input {shape}"], run.tensors[f"cls.output {shape}"] = given, made


def _recognise(
    run: StageRun, work: StageWork, ocr: Ocr, line: NDArray[np.uint8], width: int
) -> None:
    recogniser = ocr.recogniser
    widest = max(recogniser.model.signatures, key=lambda signature: signature.width)
    columns = round(min(width, widest.width) * line.shape[0] / widest.height)
    cut = np.ascontiguousarray(line[:, :columns])
    (piece, *_) = recogniser.prepare(cut).pieces
    shape = _size(piece.tensor[0])
    if f"rec.input {shape}" in run.tensors:
        return  # Two widths that were asked for have the same nearest one.
    given = run.count("rec.pre", shape, lambda: recogniser.prepare(cut), work.repeats)
    made = _warm(run, work, "rec.inference", shape, lambda: recogniser.infer(given))
    _warm(run, work, "rec.post", shape, lambda: recogniser.decode(made, given))
    run.tensors[f"rec.input {shape}"] = given.pieces[0].tensor
    run.tensors[f"rec.output {shape}"] = made[0]


def _cut(
    run: StageRun, work: StageWork, pixels: NDArray[np.uint8], regions: Sequence[TextRegion]
) -> None:
    widest = max((region.quad for region in regions), key=lambda quad: float(np.ptp(quad[:, 0])))
    shape = _size(crop_line(pixels, widest).pixels)
    run.count("crop", shape, lambda: crop_line(pixels, widest), work.repeats)


def _size(image: NDArray[Any]) -> str:
    return f"{image.shape[0]}x{image.shape[1]}"


def main(arguments: Sequence[str]) -> int:
    work, folder = arguments
    try:
        run_stages(read_work(Path(work))).write(Path(folder))
    except EdgeOcrError as error:
        print(f"edgeocr-bench: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
