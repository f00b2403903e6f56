"""Plots of recorded instruction counts: all results in one, so that precisions can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeocr_benchmarks.device_results import PARTS, STAGES
from edgeocr_benchmarks.instruction_report import bundle_name, counts_by_step, millions
from edgeocr_benchmarks.instruction_results import BoardCounts, InstructionResult
from edgeocr_benchmarks.plots import COLOURS, Bar, Plot, Series, lines, stacked_bars


def instruction_plots(results: Sequence[InstructionResult]) -> Iterator[Plot]:
    """A plot for every network, and one for the whole page."""
    names = dict.fromkeys(board.board for result in results for board in result.boards)
    # What is to be compared stands side by side: all results of one board.
    boards = [
        (result, board)
        for name in names
        for result in results
        for board in result.boards
        if board.board == name
    ]
    for stage in STAGES:
        shapes = {
            shape
            for _, board in boards
            for step, shape in counts_by_step(board)
            if step == f"{stage}.inference"
        }
        if len(shapes) == 1:
            yield _stage_instructions(boards, stage, shapes.pop())
        elif shapes:
            yield _width_instructions(boards, stage)
    rows = [
        Bar(
            label=_board_label(result, board),
            parts=[("other", "all of it", count / 1e6)],
            total=f"{millions(count)} M",
        )
        for result, board in boards
        for (step, _), count in counts_by_step(board).items()
        if step == "total"
    ]
    if rows:
        yield Plot(
            title="A whole page, from its file to its text",
            summary="Instructions of one read, the first of that page.",
            draw=stacked_bars(rows, unit="M"),
            note="Python and OpenCV included; memory is allocated, and weights are packed, at "
            "the first read of a shape.",
        )


def _stage_instructions(
    boards: Sequence[tuple[InstructionResult, BoardCounts]], stage: str, shape: str
) -> Plot:
    """Bars of what is before, in and behind a network."""
    rows = []
    for result, board in boards:
        counts = counts_by_step(board)
        parts = [
            (f"{stage}{i}", part, counts.get((f"{stage}.{part}", shape), 0.0) / 1e6)
            for i, part in enumerate(PARTS)
        ]
        whole = sum(value for _, _, value in parts)
        rows.append(
            Bar(
                label=_board_label(result, board),
                parts=parts,
                total=f"{millions(1e6 * whole)} M",
            )
        )
    return Plot(
        title=f"Instructions of {stage} at {shape}",
        summary="Millions of instructions before, in and behind the network, by board.",
        draw=stacked_bars(rows, unit="M"),
        legend=[(f"{stage}{i}", part) for i, part in enumerate(PARTS)],
    )


def _width_instructions(
    boards: Sequence[tuple[InstructionResult, BoardCounts]], stage: str
) -> Plot:
    """Lines of a network that was counted at several widths."""
    series = []
    for i, (result, board) in enumerate(boards):
        points = sorted(
            (float(shape.partition("x")[2]), count / 1e6)
            for (step, shape), count in counts_by_step(board).items()
            if step == f"{stage}.inference"
        )
        if points:
            series.append(
                Series(label=_board_label(result, board), colour=f"c{i % COLOURS}", points=points)
            )
    return Plot(
        title=f"Instructions of {stage} by the width of its input",
        summary="Millions of instructions of the network, a line for every board.",
        draw=lines(series, x_title="pixels wide", y_title="millions of instructions"),
        legend=[(one.colour, one.label) for one in series],
    )


def _board_label(result: InstructionResult, board: BoardCounts) -> str:
    return f"{board.board} ({board.processor}), {bundle_name(result)}"
