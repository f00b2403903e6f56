"""Holds the instructions of networks to a recorded result.

Only networks are held: what surrounds them is Python and OpenCV, whose counts move with their
versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgeocr_benchmarks.errors import ResultFileError
from edgeocr_benchmarks.instruction_results import InstructionResult

TOLERANCE: Final = 0.01
"""Repetitions of small networks differ by a fifth of it: in what Python does around them."""


def over_ceilings(result: InstructionResult, ceilings: InstructionResult) -> list[str]:
    """The networks that take over 1 % more instructions than recorded, a sentence each.

    Raises:
        ResultFileError: nothing is recorded for a network, an input size or a board.
    """
    recorded = dict(_networks(ceilings))
    sentences = []
    for network, count in _networks(result):
        if network not in recorded:
            raise ResultFileError(f"the recorded result has no ceiling for {network}")
        excess = count / recorded[network] - 1
        if excess > TOLERANCE:
            sentences.append(f"{network}: {excess:+.1%} ({recorded[network]:,} -> {count:,})")
    return sentences


def _networks(result: InstructionResult) -> Iterator[tuple[str, int]]:
    for counts in result.boards:
        for step in counts.steps:
            stage, _, part = step.step.partition(".")
            if part == "inference":
                yield f"{stage} {step.shape} on {counts.board}", min(step.instructions)
