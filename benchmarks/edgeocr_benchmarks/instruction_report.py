"""Tables of recorded instruction counts, for Markdown and the HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from edgeocr_benchmarks.instruction_results import BoardCounts, InstructionResult, StepCount
from edgeocr_benchmarks.tables import Row, Table, markdown

# What the kernels of XNNPACK multiply with: by processor, the first that it has.
_MULTIPLICATIONS: Final = ("sdot", "smull", "smull2", "smlal", "smlal2", "fmla")


def instruction_report(results: Sequence[InstructionResult]) -> str:
    """One section a result: counts, multiplications and agreement, board beside board.

    Then, of every two results that follow each other, what the first takes of the second.
    """
    parts = []
    for result in results:
        parts += [f"## {instruction_heading(result)}", setting(result)]
        parts += [markdown(table) for table in instruction_tables(result)]
    parts += [markdown(table) for table in ratio_tables(results)]
    return "\n\n".join(parts) + "\n"


def instruction_heading(result: InstructionResult) -> str:
    """Whose instructions were counted."""
    return f"{bundle_name(result)}: instructions on emulated boards"


def bundle_name(result: InstructionResult) -> str:
    """Name and precision of the bundle."""
    return f"{result.bundle['name']} {result.bundle['precision']}"


def setting(result: InstructionResult) -> str:
    """What was read with what, in a sentence or two."""
    page = result.page
    boards = ", ".join(f"{board.board} is a {board.processor}" for board in result.boards)
    return (
        f"{page.name}, {page.width}x{page.height}, {page.lines} lines; "
        f"LiteRT {result.versions['ai-edge-litert']}; {boards}. Counts, not times: emulation has "
        "no cache and no pipeline."
    )


def instruction_tables(result: InstructionResult) -> Iterator[Table]:
    """All tables of one result."""
    boards = result.boards
    titles = [board.board for board in boards]
    yield Table(
        title="Millions of instructions, one thread",
        header=("step", "input", *titles),
        rows=list(_count_rows(boards)),
    )
    yield Table(
        title="Multiplications of the networks, by mnemonic, of all instructions",
        header=("network", "input", *titles),
        rows=list(_multiplication_rows(boards)),
    )
    texts = ", ".join(
        f"{board.board} {'the same' if board.same_text else 'DIFFERENT'}" for board in boards
    )
    yield Table(
        title=f"Values that differ from {result.reference}'s (decisions that differ)",
        header=("tensor", "input", *titles),
        rows=list(_agreement_rows(boards)),
        notes=[f"Text of the page: {texts}."],
    )


def ratio_tables(results: Sequence[InstructionResult]) -> Iterator[Table]:
    """What the networks of every result take of those of the next one, where both are counted."""
    for one, other in pairwise(results):
        counted = {board.board: counts_by_step(board) for board in other.boards}
        boards = [board for board in one.boards if board.board in counted]
        shares = {
            board.board: {
                key: instructions / counted[board.board][key]
                for key, instructions in counts_by_step(board).items()
                if key[0].endswith(".inference") and key in counted[board.board]
            }
            for board in boards
        }
        common = (
            [key for key in counts_by_step(boards[0]) if all(key in s for s in shares.values())]
            if boards
            else []
        )
        if common:
            yield Table(
                title=f"Instructions of {bundle_name(one)} over those of {bundle_name(other)}",
                header=("network", "input", *(board.board for board in boards)),
                rows=[
                    (
                        step.removesuffix(".inference"),
                        shape,
                        *(f"{shares[board.board][step, shape]:.2f}" for board in boards),
                    )
                    for step, shape in common
                ],
            )


def counts_by_step(board: BoardCounts) -> dict[tuple[str, str], float]:
    """Median of the instructions by step and shape."""
    return {(step.step, step.shape): float(median(step.instructions)) for step in board.steps}


def _count_rows(boards: Sequence[BoardCounts]) -> Iterable[Row]:
    for steps in zip(*(board.steps for board in boards), strict=True):
        counts = [millions(median(step.instructions)) for step in steps]
        yield (steps[0].step, steps[0].shape, *counts)


def millions(instructions: float) -> str:
    """As tables have it: 1,613 or 13.42."""
    digits = 2 if instructions < 1e8 else 0
    return f"{instructions / 1e6:,.{digits}f}"


def _multiplication_rows(boards: Sequence[BoardCounts]) -> Iterable[Row]:
    for steps in zip(*(board.steps for board in boards), strict=True):
        stage, _, part = steps[0].step.partition(".")
        if part == "inference":
            yield (stage, steps[0].shape, *map(_multiplications, steps))


def _multiplications(step: StepCount) -> str:
    """The one that ran most often, and its share of all instructions."""
    known = {name: step.mnemonics[name] for name in _MULTIPLICATIONS if name in step.mnemonics}
    if not known:
        return "none"
    name = max(known, key=lambda name: known[name])
    return f"{name} {known[name] / step.instructions[0]:.1%}"


def _agreement_rows(boards: Sequence[BoardCounts]) -> Iterable[Row]:
    for tensors in zip(*(board.agreement for board in boards), strict=True):
        cells = [
            "0"
            if not tensor.different
            else f"{tensor.different / tensor.values:.3%} ({tensor.decisions_different})"
            for tensor in tensors
        ]
        yield (tensors[0].tensor, tensors[0].shape, *cells)
