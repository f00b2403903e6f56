"""Looks at everything that reading depends on, and ends by reading.

Made for a report that one can paste into a question: what machine, which runtime, which
bundle, and does it all work.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgeocr.bundle import Bundle
from edgeocr.errors import EdgeOcrError
from edgeocr.ocr import Ocr
from edgeocr.processors import processors
from edgeocr.runtime import runtime
from edgeocr.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """A picture, and what must be read on it."""

    picture: Path
    text: str


PACKAGED_SELF_TEST: Final = SelfTest(
    picture=Path(__file__).parent / "self_test.png", text="edgeocr reads\n0123456789"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    subject: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        return all(finding.passed for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dict with ``healthy`` and ``findings``."""
        return {"healthy": self.healthy, **dataclasses.asdict(self)}

    def __str__(self) -> str:
        width = max(len(finding.subject) for finding in self.findings)
        return "\n".join(
            f"{'ok  ' if finding.passed else 'FAIL'}  {finding.subject:{width}}  {finding.detail}"
            for finding in self.findings
        )


def diagnose(
    bundle: str | os.PathLike[str] | None = None,
    *,
    threads: int | None = None,
    self_test: SelfTest = PACKAGED_SELF_TEST,
) -> Diagnosis:
    """Examines machine, runtime and bundle, and reads a small picture.

    Args:
        bundle: as for :meth:`edgeocr.Ocr.load`.
        threads: as for :meth:`edgeocr.Ocr.load`.
        self_test: what to read in the end.

    Returns:
        What was found; known errors are findings, they are not raised. What needs a part
        that failed is left out.
    """
    findings = [
        Finding(subject="edgeocr", passed=True, detail=__version__),
        Finding(subject="machine", passed=True, detail=_machine()),
        Finding(subject="python", passed=True, detail=_python()),
        Finding(subject="processors", passed=True, detail=_processors(threads)),
    ]

    def examine(subject: str, look: Callable[[], tuple[bool, str]]) -> bool:
        try:
            passed, detail = look()
        except EdgeOcrError as error:
            passed, detail = False, str(error)
        findings.append(Finding(subject=subject, passed=passed, detail=detail))
        return passed

    opened: list[Bundle] = []
    loaded: list[Ocr] = []

    def open_bundle() -> tuple[bool, str]:
        opened.append(Bundle.default() if bundle is None else Bundle.open(bundle))
        return True, _describe(opened[0])

    def load_models() -> tuple[bool, str]:
        loaded.append(Ocr.load(opened[0], threads=threads))
        return _xnnpack(loaded[0])

    has_runtime = examine("runtime", lambda: (True, _runtime()))
    has_bundle = examine("bundle", open_bundle)
    if has_runtime and has_bundle and examine("models", load_models):
        examine("self-test", lambda: _read(loaded[0], self_test))
    return Diagnosis(findings=tuple(findings))


def _machine() -> str:
    system = f"{platform.system()} {platform.release()}"
    return f"{platform.machine()}, {system}, {8 * struct.calcsize('P')}-bit process"


def _python() -> str:
    import cv2
    import numpy as np

    implementation = platform.python_implementation()
    return (
        f"{implementation} {platform.python_version()}, "
        f"numpy {np.__version__}, opencv {cv2.__version__}"
    )


def _processors(threads: int | None) -> str:
    found = processors()
    quota = "none" if found.quota is None else f"{found.quota:g}"
    chosen = f"{found.threads} by default" if threads is None else f"{threads} as asked for"
    return (
        f"{found.machine} in the machine, affinity {found.affinity}, quota {quota}; "
        f"threads: {chosen}"
    )


def _runtime() -> str:
    found = runtime()
    return f"{found.package} {found.version}"


def _describe(bundle: Bundle) -> str:
    return (
        f"{bundle.name} {bundle.version}, {bundle.precision}, {bundle.location}; "
        "sizes and SHA-256 as stated"
    )


def _xnnpack(ocr: Ocr) -> tuple[bool, str]:
    """Without its XNNPACK delegate a runtime works, but many times slower."""
    delegated = {
        stage: model.uses_delegate()
        for stage, model in (
            ("det", ocr.detector),
            ("cls", ocr.classifier),
            ("rec", ocr.recogniser),
        )
    }
    without = [stage for stage, present in delegated.items() if not present]
    if without:
        return False, f"XNNPACK takes no part of: {', '.join(without)}; reading will be slow"
    return True, (
        f"XNNPACK takes part in {', '.join(delegated)}; det runs by LiteRT's {ocr.detector.way()}"
    )


def _read(ocr: Ocr, self_test: SelfTest) -> tuple[bool, str]:
    result = ocr.read(self_test.picture)
    if result.text != self_test.text:
        return False, f"read {result.text!r} where {self_test.text!r} stands"
    return True, f"read {result.text!r} in {result.timings_ms['total']:.0f} ms"
