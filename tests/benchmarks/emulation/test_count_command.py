"""Contract: ``edgeocr-bench emulate count``, its record and its tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgeocr_benchmarks.__main__ import main
from edgeocr_benchmarks.emulation import EmulatedBoard
from edgeocr_benchmarks.errors import ResultFileError
from edgeocr_benchmarks.instruction_ceilings import over_ceilings
from edgeocr_benchmarks.instruction_report import instruction_report, ratio_tables
from edgeocr_benchmarks.instruction_results import (
    Agreement,
    BoardCounts,
    CountedPage,
    InstructionResult,
    StepCount,
)
from edgeocr_benchmarks.results import read_result, write_result

PrepareBoard = Callable[[str], EmulatedBoard]

SPEED = Path(__file__).resolve().parents[1] / "recorded_speed.json"
BUNDLE = Path(__file__).resolve().parents[2] / "golden/tiny-int8"


def board_counts(board: str, *, instructions: int, multiplication: str, same: bool) -> BoardCounts:
    return BoardCounts(
        board=board,
        processor="cortex-a7x",
        steps=(
            StepCount(
                step="det.pre",
                shape="64x64",
                instructions=(1_500_000, 1_530_000, 1_510_000),
                mnemonics={"ldr": 9},
            ),
            StepCount(
                step="det.inference",
                shape="64x64",
                instructions=(instructions,),
                mnemonics={"ldr": 9, multiplication: instructions // 4},
            ),
        ),
        agreement=(
            Agreement(
                tensor="rec.output",
                shape="48x320",
                values=1000,
                different=0 if same else 5,
                largest_difference=0 if same else 2,
                decisions_different=0 if same else 1,
            ),
        ),
        same_text=same,
    )


@pytest.fixture
def result() -> InstructionResult:
    return InstructionResult(
        created="2026-01-01T00:00:00Z",
        command=("edgeocr-bench", "emulate", "count"),
        reference="x86_64",
        versions={"ai-edge-litert": "2.3.0"},
        bundle={"name": "tiny", "precision": "int8", "sha256": {"det": "0"}},
        page=CountedPage(name="page.png", width=64, height=64, sha256="0", lines=3),
        boards=(
            board_counts("pi4", instructions=970_400_000, multiplication="smull", same=True),
            board_counts("pi5", instructions=539_000_000, multiplication="sdot", same=False),
        ),
    )


def test_tables_put_boards_side_by_side(result: InstructionResult) -> None:
    rows = instruction_report([result]).splitlines()
    assert rows[0] == "## tiny int8: instructions on emulated boards"
    assert "pi4 is a cortex-a7x, pi5 is a cortex-a7x. Counts, not times" in rows[2]
    assert "| step | input | pi4 | pi5 |" in rows
    assert "| det.pre | 64x64 | 1.51 | 1.51 |" in rows
    assert "| det.inference | 64x64 | 970 | 539 |" in rows
    assert "| det | 64x64 | smull 25.0% | sdot 25.0% |" in rows
    assert "| rec.output | 48x320 | 0 | 0.500% (1) |" in rows
    assert "- Text of the page: pi4 the same, pi5 DIFFERENT." in rows
    assert not [row for row in rows if " ms" in row]


def test_networks_of_two_results_are_set_against_each_other(result: InstructionResult) -> None:
    slower = replace(
        result,
        bundle={**result.bundle, "precision": "fp32"},
        boards=(
            board_counts("pi5", instructions=2 * 539_000_000, multiplication="fmla", same=True),
        ),
    )
    (table,) = ratio_tables([result, slower])
    assert table.title == "Instructions of tiny int8 over those of tiny fp32"
    assert table.header == ("network", "input", "pi5")  # The other board is in one of them only.
    assert [tuple(row) for row in table.rows] == [("det", "64x64", "0.50")]
    assert "| det | 64x64 | 0.50 |" in instruction_report([result, slower]).splitlines()
    elsewhere = replace(slower, boards=(replace(slower.boards[0], board="pi3"),))
    assert list(ratio_tables([result, elsewhere])) == []


def test_a_result_is_read_as_it_was_written(
    result: InstructionResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "result.json"
    write_result(result, path)
    assert read_result(path) == result
    assert main(["show", str(path)]) == 0
    assert capsys.readouterr().out == instruction_report([result])


def test_stages_are_counted_and_recorded(
    board: PrepareBoard,
    result: InstructionResult,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    board("pi5")
    # Recorded is one instruction for the detector, and more than enough for the others.
    networks = {("det", "192x256"): 1, ("cls", "16x64"): 10**9}
    networks |= {("rec", "16x64"): 10**9, ("rec", "16x256"): 10**9}
    recorded = tuple(
        StepCount(step=f"{stage}.inference", shape=shape, instructions=(most,), mnemonics={})
        for (stage, shape), most in networks.items()
    )
    ceilings = tmp_path / "ceilings.json"
    write_result(replace(result, boards=(replace(result.boards[1], steps=recorded),)), ceilings)

    out = tmp_path / "result.json"
    options = ["--board", "pi5", "--page", "160x120x2", "--width", "64", "--width", "9999"]
    options += ["--ceilings", str(ceilings), "--out", str(out)]
    command = ["emulate", "count", "--bundle", str(BUNDLE), *options]
    assert main(command) == 2
    captured = capsys.readouterr()
    assert f"over {ceilings}: det 192x256 on pi5: +" in captured.err
    assert "cls" not in captured.err
    counted = read_result(out)
    assert isinstance(counted, InstructionResult)
    assert captured.out == instruction_report([counted])
    assert counted.command == ("edgeocr-bench", *command)
    assert counted.versions["emulator"].startswith("qemu-aarch64 version ")
    assert counted.bundle["name"] == "tiny"
    (counts,) = counted.boards
    assert counts.same_text
    steps = {(step.step, step.shape): min(step.instructions) for step in counts.steps}
    assert steps.keys() >= {
        ("load", "120x160"),
        *((f"det.{part}", "192x256") for part in ("pre", "inference", "post")),
        *((f"cls.{part}", "16x64") for part in ("pre", "inference", "post")),
        # A width that no input has becomes the widest.
        *(
            (f"rec.{part}", shape)
            for shape in ("16x64", "16x256")
            for part in ("pre", "inference", "post")
        ),
        ("total", "120x160"),
    }
    assert min(steps.values()) > 10_000
    assert {tensor.different for tensor in counts.agreement} == {0}


def test_networks_are_held_to_a_recorded_result(result: InstructionResult) -> None:
    lower, higher = (
        replace(
            result,
            boards=tuple(
                board_counts(
                    counts.board,
                    instructions=round(counts.steps[1].instructions[0] * factor),
                    multiplication="sdot",
                    same=True,
                )
                for counts in result.boards
            ),
        )
        for factor in (0.992, 1 / 0.97)
    )
    assert over_ceilings(result, result) == []
    assert over_ceilings(result, lower) == []  # 0.8 % more is within what counts as equal.
    assert over_ceilings(result, higher) == []
    assert over_ceilings(higher, result) == [
        "det 64x64 on pi4: +3.1% (970,400,000 -> 1,000,412,371)",
        "det 64x64 on pi5: +3.1% (539,000,000 -> 555,670,103)",
    ]
    with pytest.raises(ResultFileError, match="no ceiling for det 64x64 on pi5"):
        over_ceilings(result, replace(result, boards=result.boards[:1]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bundle", "gone"], "gone"),
        (["--bundle", str(BUNDLE), "--side", "0"], "--side is 0"),
        (["--bundle", str(BUNDLE), "--width", "64", "--width", "-1"], "--width is -1"),
        (["--bundle", str(BUNDLE), "--repeats", "0"], "--repeats is 0"),
        (["--bundle", str(BUNDLE), "--page", "3x3"], "the page is '3x3'"),
        (["--bundle", str(BUNDLE), "--ceilings", str(SPEED)], "records no instructions"),
        (["--bundle", str(BUNDLE), "--out", "/proc/no/result.json"], "can't write"),
    ],
)
def test_known_errors_are_one_line(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["emulate", "count", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
