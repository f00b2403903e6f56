"""Tables of recorded instruction counts, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from edgeocr_benchmarks.instruction_results import BoardCounts, InstructionResult, StepCount

# What the int8 kernels of XNNPACK multiply with: by processor, the first that it has.
_MULTIPLICATIONS: Final = ("sdot", "smull", "smull2", "smlal", "smlal2", "fmla")


def instruction_report(results: Sequence[InstructionResult]) -> str:
    """One section a result: counts, multiplications and agreement, board beside board."""
    return "\n".join(_section(result) for result in results)


def _section(result: InstructionResult) -> str:
    bundle, page = result.bundle, result.page
    titles = [f"{board.board} ({board.processor})" for board in result.boards]
    rows = [
        f"### {bundle['name']} {bundle['precision']}: millions of instructions, one thread",
        "",
        f"{page.name}, {page.width}x{page.height}, {page.lines} lines; "
        f"LiteRT {result.versions['ai-edge-litert']}. Counts, not times: emulation has no cache "
        "and no pipeline.",
        "",
        *_table(["step", "input", *titles], _count_rows(result.boards)),
        "",
        "Multiplications of the networks, by mnemonic:",
        "",
        *_table(["network", "input", *titles], _multiplication_rows(result.boards)),
        "",
        f"Against {result.reference}, values that differ (decisions that differ):",
        "",
        *_table(["tensor", "input", *titles], _agreement_rows(result.boards)),
        "",
        "Text of the page: "
        + ", ".join(
            f"{board.board} {'the same' if board.same_text else 'DIFFERENT'}"
            for board in result.boards
        ),
        "",
    ]
    return "\n".join(rows)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    alignment = [":--", ":--", *["--:" for _ in titles[2:]]]
    return [f"| {' | '.join(cells)} |" for cells in (titles, alignment, *rows)]


def _count_rows(boards: Sequence[BoardCounts]) -> Iterable[list[str]]:
    for steps in zip(*(board.steps for board in boards), strict=True):
        counts = [_millions(median(step.instructions)) for step in steps]
        yield [steps[0].step, steps[0].shape, *counts]


def _millions(count: float) -> str:
    return f"{count / 1e6:,.2f}" if count < 1e8 else f"{count / 1e6:,.0f}"


def _multiplication_rows(boards: Sequence[BoardCounts]) -> Iterable[list[str]]:
    for steps in zip(*(board.steps for board in boards), strict=True):
        stage, _, part = steps[0].step.partition(".")
        if part == "inference":
            yield [stage, steps[0].shape, *map(_multiplications, steps)]


def _multiplications(step: StepCount) -> str:
    """The one that ran most often, and its share of all instructions."""
    known = {name: step.mnemonics[name] for name in _MULTIPLICATIONS if name in step.mnemonics}
    if not known:
        return "none"
    name = max(known, key=lambda name: known[name])
    return f"{name} {known[name] / step.instructions[0]:.1%}"


def _agreement_rows(boards: Sequence[BoardCounts]) -> Iterable[list[str]]:
    for tensors in zip(*(board.agreement for board in boards), strict=True):
        cells = [
            "0"
            if not tensor.different
            else f"{tensor.different / tensor.values:.3%} ({tensor.decisions_different})"
            for tensor in tensors
        ]
        yield [tensors[0].tensor, tensors[0].shape, *cells]
