"""Counts the instructions of every stage on emulated boards, and compares what they compute."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import edgeocr
import edgeocr_benchmarks
from edgeocr.bundle import Bundle
from edgeocr.images import load_image
from edgeocr_benchmarks.emulation.board import EmulatedBoard, prepare_board
from edgeocr_benchmarks.emulation.errors import EmulationError
from edgeocr_benchmarks.emulation.packages import EMULATOR, program, run
from edgeocr_benchmarks.emulation.root import REQUIREMENTS, SUITE, cache_folder, locked
from edgeocr_benchmarks.emulation.stages import (
    EMPTY,
    MarkedStep,
    StageRun,
    StageWork,
    run_stages,
    write_work,
)
from edgeocr_benchmarks.engines import bundle_sha256
from edgeocr_benchmarks.instruction_results import (
    Agreement,
    BoardCounts,
    CountedPage,
    InstructionResult,
    StepCount,
)
from edgeocr_benchmarks.results import timestamp

SHOWN_MNEMONICS: Final = 16
"""Of every step, the most frequent."""

_COUNTER: Final = Path(__file__).with_name("instruction_counter.c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one board did."""

    run: StageRun
    regions: Mapping[int, Mapping[str, Any]]
    """By the number of the region: "instructions" and "mnemonics"."""


def count_instructions(
    boards: Sequence[str],
    *,
    bundle: Path,
    page: Path,
    line: Path,
    side: int,
    widths: Sequence[int],
    repeats: int,
    command: Sequence[str],
    cache: Path | None = None,
) -> InstructionResult:
    """Runs every stage on boards and on this machine.

    Args:
        boards: names.
        bundle: folder or packed file of the models.
        page: image that is read.
        line: image of one line.
        side: longer side at which the detector is shown the page, in pixels.
        widths: of the recogniser's input, in pixels.
        repeats: of every count.
        command: that asked for it, for the record.
        cache: see :func:`~edgeocr_benchmarks.emulation.board.prepare_board`.

    Raises:
        EmulationError: a board can't be prepared, or fails.
        BundleError, ImageError: a file is not what it should be.
    """
    opened = Bundle.open(bundle)
    work = StageWork(
        bundle=str(bundle.resolve()),
        page=str(page.resolve()),
        line=str(line.resolve()),
        side=side,
        widths=tuple(widths),
        repeats=repeats,
    )
    machines = [prepare_board(name, cache=cache) for name in boards]
    expected = _reference(work)
    counts = []
    for machine in tqdm(machines, desc=opened.name, unit="board", disable=None):
        counted = run_on_board(machine, work, cache=cache)
        counts.append(_board_counts(machine, counted, expected))
    height, width = load_image(page).shape[:2]
    return InstructionResult(
        created=timestamp(),
        command=tuple(command),
        reference=platform.machine(),
        versions=_versions(),
        bundle={
            "name": opened.name,
            "version": opened.version,
            "precision": opened.precision,
            "sha256": bundle_sha256(opened),
        },
        page=CountedPage(
            name=page.name,
            width=width,
            height=height,
            sha256=hashlib.sha256(page.read_bytes()).hexdigest(),
            lines=len(expected.texts),
        ),
        boards=tuple(counts),
    )


def run_on_board(board: EmulatedBoard, work: StageWork, *, cache: Path | None = None) -> Counted:
    """Runs the stages on one board under the counter.

    Raises:
        EmulationError: the counter can't be built, or the board fails.
    """
    library = build_counter(cache or cache_folder())
    with TemporaryDirectory(prefix="edgeocr-count-") as scratch, own_packages() as packages:
        folder = Path(scratch)
        write_work(work, folder / "work.json")
        rows = folder / "regions.jsonl"
        board.run_python(
            *("-m", stages_module(), folder / "work.json", folder),
            environment={"PYTHONPATH": str(packages), "PYTHONHASHSEED": "0"},
            plugin=f"{library},out={rows}",
        )
        regions = [json.loads(row) for row in rows.read_text(encoding="ascii").splitlines()]
        return Counted(
            run=StageRun.read(folder), regions={row.pop("region"): row for row in regions}
        )


def build_counter(cache: Path) -> Path:
    """Compiles instruction_counter.c, or returns what was compiled before.

    Raises:
        EmulationError: this emulator takes no plugins, there is no compiler, or it refuses the
            source.
    """
    if "-plugin" not in run([program(EMULATOR), "-help"], doing="asking QEMU for its options"):
        raise EmulationError(
            f"this {EMULATOR} takes no plugins, so it can't count: static builds don't, nor does "
            "Debian 13's; Debian 12's package qemu-user does"
        )
    digest = hashlib.sha256(_COUNTER.read_bytes()).hexdigest()[:12]
    library = cache / f"instruction_counter-{digest}.so"
    if library.is_file():
        return library
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "lock"):
        made = library.with_suffix(".partial")
        options = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
        run(
            [program("gcc"), *options, "-o", made, _COUNTER, "-lpthread"],
            doing="compiling the instruction counter",
        )
        made.replace(library)
    return library


@contextmanager
def own_packages() -> Iterator[Path]:
    """A folder with edgeocr and these benchmarks as this process has them, and nothing else.

    The folder that they are installed in may also hold this machine's NumPy.
    """
    with TemporaryDirectory(prefix="edgeocr-packages-") as scratch:
        for package in (edgeocr, edgeocr_benchmarks):
            assert package.__file__ is not None
            home = Path(package.__file__).parent
            (Path(scratch) / home.name).symlink_to(home)
        yield Path(scratch)


def stages_module() -> str:
    """The module that runs on a board."""
    return run_stages.__module__


def net_instructions(counted: Counted, step: MarkedStep) -> tuple[int, ...]:
    """Of every repetition of a step, without what the marks take."""
    (empty,) = (known for known in counted.run.steps if known.step == EMPTY)
    marks = median(counted.regions[region]["instructions"] for region in empty.regions)
    return tuple(
        max(0, round(counted.regions[region]["instructions"] - marks)) for region in step.regions
    )


def _reference(work: StageWork) -> StageRun:
    """The same on this machine's processor: in a process of its own, as on a board."""
    with TemporaryDirectory(prefix="edgeocr-reference-") as scratch, own_packages() as packages:
        folder = Path(scratch)
        write_work(work, folder / "work.json")
        run(
            [sys.executable, "-m", stages_module(), folder / "work.json", folder],
            doing="running the stages on this machine",
            environment={"PYTHONPATH": str(packages)},
        )
        return StageRun.read(folder)


def _board_counts(board: EmulatedBoard, counted: Counted, expected: StageRun) -> BoardCounts:
    steps = tuple(
        StepCount(
            step=step.step,
            shape=step.shape,
            instructions=net_instructions(counted, step),
            mnemonics=_most_frequent(counted.regions[step.regions[0]]["mnemonics"]),
        )
        for step in counted.run.steps
        if step.step != EMPTY
    )
    agreement = tuple(
        agreement_of(name, counted.run.tensors[name], tensor)
        for name, tensor in expected.tensors.items()
        if name in counted.run.tensors
    )
    missing = set(expected.tensors) ^ set(counted.run.tensors)
    if missing:
        raise EmulationError(f"{board.name} ran other steps than this machine: {sorted(missing)}")
    return BoardCounts(
        board=board.name,
        processor=board.model.processor,
        steps=steps,
        agreement=agreement,
        same_text=counted.run.texts == expected.texts,
    )


def agreement_of(name: str, found: NDArray[Any], expected: NDArray[Any]) -> Agreement:
    """Compares a tensor with the same of another processor.

    Args:
        name: tensor and shape, as "rec.output 48x320".
        found: any shape, int8 or float32.
        expected: of the same shape and dtype.
    """
    tensor, _, shape = name.partition(" ")
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    decisions = int((difference != 0).sum())
    if found.shape[-1] > 1:
        decisions = int((found.argmax(axis=-1) != expected.argmax(axis=-1)).sum())
    return Agreement(
        tensor=tensor,
        shape=shape,
        values=found.size,
        different=int((difference != 0).sum()),
        largest_difference=float(difference.max()),
        decisions_different=decisions,
    )


def _most_frequent(mnemonics: Mapping[str, int]) -> dict[str, int]:
    ordered = sorted(mnemonics.items(), key=lambda entry: (-entry[1], entry[0]))
    return dict(ordered[:SHOWN_MNEMONICS])


def _versions() -> dict[str, str]:
    told = run([program(EMULATOR), "--version"], doing="asking for QEMU's version")
    pinned = dict(requirement.split("==") for requirement in REQUIREMENTS)
    return {
        "edgeocr": metadata.version("edgeocr"),
        "emulator": told.splitlines()[0],
        "debian": SUITE,
        **pinned,
    }
