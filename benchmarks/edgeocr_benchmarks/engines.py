"""OCR engines as processes: edgeocr and its peers, started, asked and stopped the same way."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

import numpy as np

from edgeocr.bundle import Bundle
from edgeocr_benchmarks import ocr_worker
from edgeocr_benchmarks.detection_metrics import FoundText
from edgeocr_benchmarks.worker_process import WorkerProcess

Task = Literal["page", "line"]
EngineKind = Literal[
    "edgeocr",
    "rapidocr_onnxruntime",
    "rapidocr",
    "rapidocrlite",
    "easyocr",
    "paddleocr",
    "tesseract",
]

ANSWER_TIMEOUT_S: Final = 300.0
"""A process that is silent for longer is stopped and reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What is to be measured, before it is started."""

    name: str
    """As tables and results show it."""
    kind: EngineKind
    python: str
    """Interpreter that it is installed in."""
    bundle: str | None = None
    """Folder of the models, for edgeocr."""
    models: Mapping[str, Any] = field(default_factory=dict)
    """Model files in place of a peer's own, see :mod:`edgeocr_benchmarks.peers`."""
    identity: Mapping[str, Any] = field(default_factory=dict)
    """What a result records of it besides the versions that the process reports."""


def edgeocr_engine(folder: Path) -> Engine:
    """The SDK of this environment with one bundle.

    Raises:
        BundleError: the folder is no intact bundle.
    """
    bundle = Bundle.open(folder)
    identity = {
        "bundle": {
            "name": bundle.name,
            "version": bundle.version,
            "precision": bundle.precision,
            "sha256": bundle_sha256(bundle),
        }
    }
    return Engine(
        name=f"edgeocr {bundle.name} {bundle.precision}",
        kind="edgeocr",
        python=sys.executable,
        bundle=str(folder.resolve()),
        identity=identity,
    )


def bundle_sha256(bundle: Bundle) -> dict[str, str]:
    """Checksums of the files that decide what a bundle reads."""
    return {
        "det": bundle.stages.det.sha256,
        "cls": bundle.stages.cls.sha256,
        "rec": bundle.stages.rec.sha256,
        "charset": bundle.stages.rec.charset_sha256,
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What an engine made of one image."""

    lines: tuple[FoundText, ...]
    """In the engine's own order; of a page with their polygons."""
    ms: float
    """Wall time inside of the engine, from the path to the text, decoding included."""
    peak_bytes: int
    """Largest resident size of the process so far."""
    error: str | None = None
    """What the engine raised; then there are no lines."""

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a running engine says of itself."""

    versions: Mapping[str, str]
    """Of Python and of the packages that matter."""
    runtime: str


class EngineProcess:
    """A running engine; a context manager that stops it.

    The process starts at once and loads its models while the caller goes on; what fails there
    is told by the first question.

    Args:
        engine: what to start.
        threads: for inference; None leaves the engine its own default.
        cores: CPUs that the process may use; None for all.

    Raises:
        EngineError: the interpreter can't be started.
    """

    def __init__(
        self, engine: Engine, *, threads: int | None = None, cores: Sequence[int] | None = None
    ) -> None:
        config = {
            "engine": engine.kind,
            "threads": threads,
            "cores": None if cores is None else list(cores),
            "bundle": engine.bundle,
            "models": dict(engine.models),
        }
        command = [engine.python, "-I", ocr_worker.__file__, json.dumps(config)]
        self._worker = WorkerProcess(command, name=engine.name)

    def describe(self) -> Description:
        """Versions and runtime, as the process itself finds them.

        Raises:
            EngineError: the engine could not be started, with the last rows that it wrote.
        """
        answer = self._ask({"task": "describe"})
        return Description(versions=answer["versions"], runtime=answer["runtime"])

    def read(self, image: Path, task: Task) -> Reading:
        """Reads one image: a whole page, or a line that is already cut out.

        What the engine itself raises for this image becomes the reading's ``error``.

        Raises:
            EngineError: the process could not be started, died, or was silent for too long.
        """
        answer = self._ask({"task": task, "image": str(image.resolve())})
        lines = tuple(
            FoundText(
                text=line["text"],
                polygon=np.asarray(line["box"] or np.zeros((4, 2)), dtype=np.float64),
            )
            for line in answer.get("lines", ())
        )
        return Reading(
            lines=lines,
            ms=answer["ms"],
            peak_bytes=answer["peak_bytes"],
            error=answer.get("error"),
        )

    @property
    def pid(self) -> int:
        return self._worker.pid

    def elapsed_ms(self) -> float:
        """Since the process was started."""
        return self._worker.elapsed_ms()

    def close(self) -> None:
        """Ends the process and waits for it."""
        self._worker.close()

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, request: Mapping[str, str]) -> dict[str, Any]:
        return self._worker.ask(request, timeout_s=ANSWER_TIMEOUT_S)
