"""How many instructions the stages take on emulated boards, and whether they compute the same.

An instruction count has no cache and no pipeline in it: it compares two builds on one board, and
says nothing of milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SCHEMA: Literal[1] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCount:
    """One step of one stage, after it had run once before."""

    step: str
    """As "det.pre", "det.inference", "rec.post"; "load" decodes the image, "total" reads it whole,
    without a run before."""
    shape: str
    """Height x width of the network's input, as "640x640"; of the image for "load" and "total"."""
    instructions: tuple[int, ...]
    """Of the emulated processor, every repetition."""
    mnemonics: Mapping[str, int]
    """The most frequent of the first repetition, and how often they ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The input or output of one network against the same on this machine's processor."""

    tensor: str
    """As "det.input" or "rec.output"."""
    shape: str
    """Height x width of the network's input."""
    values: int
    different: int
    """Values that are not equal in every bit."""
    largest_difference: float
    """In the tensor's own numbers: steps of its scale where it is int8."""
    decisions_different: int
    """Of the argmaxes along the last axis; of the values, where that axis is 1 long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardCounts:
    board: str
    processor: str
    """As QEMU names it."""
    steps: tuple[StepCount, ...]
    agreement: tuple[Agreement, ...]
    same_text: bool
    """Whether the page was read as on this machine's processor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedPage:
    """The image that the stages worked on."""

    name: str
    width: int
    height: int
    sha256: str
    """Of the file."""
    lines: int
    """That were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionResult:
    """A run of ``edgeocr-bench emulate count``."""

    created: str
    """UTC, ISO 8601."""
    command: tuple[str, ...]
    reference: str
    """The processor architecture that outputs are compared with."""
    versions: Mapping[str, str]
    """Of the emulator, of what the boards run, and of edgeocr."""
    bundle: Mapping[str, Any]
    """Name, version, precision and checksums."""
    page: CountedPage
    boards: tuple[BoardCounts, ...]
    benchmark: Literal["instructions"] = "instructions"
    schema: int = SCHEMA
