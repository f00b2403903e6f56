"""What a target tells of itself before anything is carried there."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Final

from edgeocr.doctor import Finding
from edgeocr_benchmarks.errors import TargetError
from edgeocr_benchmarks.json_records import MalformedRecordError, parse_record

OLDEST_PYTHON: Final = (3, 10)
OLDEST_GLIBC: Final = (2, 34)
"""Of LiteRT's libraries, though its wheels are marked for older ones: Debian 12 has 2.36."""
MACHINES: Final = ("aarch64", "x86_64")
"""LiteRT has wheels for these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """As :mod:`.lifeline` tells them."""

    folder: str
    """New, on the target, for this run."""
    system: str
    machine: str
    bits: int
    """Of the Python there: a 64-bit kernel may carry a 32-bit system."""
    implementation: str
    python: str
    abiflags: str
    """"t" for a build without the global lock."""
    libc: str
    """Name and version; empty where it is neither glibc nor known."""
    model: str
    """Of the board; may be empty."""
    free_bytes: int
    """Where the folder is."""
    modules: tuple[str, ...]
    """Of edgeocr's dependencies, those that the Python there can import."""

    @classmethod
    def parse(cls, text: str) -> TargetFacts:
        """Reads the row of JSON.

        Raises:
            TargetError: it is none.
        """
        try:
            return parse_record(cls, json.loads(text))
        except (ValueError, MalformedRecordError) as error:
            raise TargetError(f"the target tells no facts but {text!r:.80}: {error}") from error

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @property
    def python_minor(self) -> str:
        return ".".join(self.python.split(".")[:2])

    @property
    def glibc(self) -> tuple[int, int]:
        """Major and minor version; (0, 0) for another C library."""
        name, _, version = self.libc.partition(" ")
        major, _, minor = version.partition(".")
        digits = major.isdecimal() and minor.isdecimal()
        return (int(major), int(minor)) if name == "glibc" and digits else (0, 0)

    def findings(self, *, carried: bool) -> tuple[Finding, ...]:
        """Whether edgeocr's wheels run there; where they are not carried, what it is."""
        described = f"{self.model or 'unnamed'}, {self.system} {self.machine}, {self.bits}-bit"
        python = f"{self.implementation} {self.python}"
        version = tuple(int(part) for part in self.python_minor.split("."))
        return (
            judged(
                "machine",
                not carried
                or (self.system == "Linux" and self.machine in MACHINES and self.bits == 64),
                described,
                f"LiteRT has wheels only for 64-bit Linux on {' and '.join(MACHINES)}; on a "
                "Raspberry Pi install the 64-bit system",
            ),
            judged(
                "python",
                self.implementation == "CPython" and version >= OLDEST_PYTHON,
                python,
                "edgeocr needs CPython 3.10 or newer; --python names another one there",
            ),
            judged(
                "C library",
                not carried or self.glibc >= OLDEST_GLIBC,
                self.libc or "not glibc",
                "LiteRT needs glibc 2.34 or newer, such as Raspberry Pi OS Bookworm has",
            ),
        )


def judged(subject: str, passed: bool, detail: str, remedy: str) -> Finding:
    """A finding that says what to do where it is a bad one."""
    return Finding(
        subject=subject, passed=passed, detail=detail if passed else f"{detail}: {remedy}"
    )


ASSUMED_BOARD: Final = TargetFacts(
    folder="/var/tmp/edgeocr-bench-dryrun00",
    system="Linux",
    machine="aarch64",
    bits=64,
    implementation="CPython",
    python="3.11.2",
    abiflags="",
    libc="glibc 2.36",
    model="Raspberry Pi 5 Model B Rev 1.0",
    free_bytes=20_000_000_000,
    modules=(),
)
"""What a dry run takes for a board that nobody asked: Raspberry Pi OS Bookworm, 64-bit."""
