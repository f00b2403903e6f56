"""Golden: instructions a network takes. Parity: every processor computes the same."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgeocr_benchmarks.emulation import BOARDS, EmulatedBoard
from edgeocr_benchmarks.emulation.counting import (
    Counted,
    agreement_of,
    build_counter,
    run_on_board,
)
from edgeocr_benchmarks.emulation.stages import EMPTY, StageRun, StageWork, run_stages
from edgeocr_benchmarks.instruction_report import counts_by_step, millions
from edgeocr_benchmarks.instruction_results import InstructionResult
from edgeocr_benchmarks.results import read_result

PrepareBoard = Callable[[str], EmulatedBoard]
Count = Callable[[str], Counted]

TOLERANCE = 0.01
"""Repetitions differ by up to a fifth of it; another kernel, or one more copy of a tensor,
by more. Python around the networks runs some 100,000 instructions, by addresses and hashes a
few thousand more or less."""


@pytest.fixture(scope="module")
def work(sample_stages: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> StageWork:
    made: StageWork = sample_stages.write_work(tmp_path_factory.mktemp("sample"))
    return made


@pytest.fixture(scope="module")
def counted(board: PrepareBoard, work: StageWork) -> Count:
    """What a board did; once a board."""
    return cache(lambda name: run_on_board(board(name), work))


@pytest.fixture(scope="module")
def reference(work: StageWork) -> StageRun:
    return run_stages(work)


@pytest.mark.parametrize("name", BOARDS)
def test_networks_take_the_recorded_number_of_instructions(
    counted: Count, sample_stages: ModuleType, name: str
) -> None:
    ceilings = json.loads(sample_stages.CEILINGS.read_text(encoding="ascii"))[name]
    counts = sample_stages.held_counts(counted(name))
    assert counts.keys() == ceilings.keys()
    for step, ceiling in ceilings.items():
        assert counts[step] == pytest.approx(ceiling, rel=TOLERANCE), (
            f"{step} on {name}: {counts[step]} instead of {ceiling}; where that is meant, "
            "python tests/benchmarks/emulation/sample_stages.py records it"
        )


@pytest.mark.parametrize("name", BOARDS)
def test_outputs_are_those_of_this_machine(counted: Count, reference: StageRun, name: str) -> None:
    found = counted(name).run
    assert found.tensors.keys() == reference.tensors.keys()
    for tensor, expected in reference.tensors.items():
        assert len(np.unique(expected)) > 1, f"{tensor} says nothing"
        if tensor.startswith("rec.output"):
            np.testing.assert_array_equal(found.tensors[tensor].argmax(-1), expected.argmax(-1))
        else:
            np.testing.assert_array_equal(found.tensors[tensor], expected)
    assert found.texts == reference.texts


@pytest.mark.parametrize("name", BOARDS)
def test_only_the_cortex_a76_has_dot_products(counted: Count, name: str) -> None:
    observed = counted(name)
    for step in observed.run.steps:
        mnemonics = observed.regions[step.regions[0]]["mnemonics"]
        if step.step in ("det.inference", "rec.inference"):
            assert ("sdot" in mnemonics) is (name == "pi5"), (step, mnemonics)
            if name != "pi5":
                assert mnemonics.keys() & {"smull", "smlal", "smull2", "smlal2"}
        assert "udot" not in mnemonics or name == "pi5"


def test_repetitions_and_mnemonics_add_up(counted: Count) -> None:
    observed = counted("pi5")
    for step in observed.run.steps:
        for region in step.regions:
            row = observed.regions[region]
            assert sum(row["mnemonics"].values()) == row["instructions"]
    (empty,) = (step for step in observed.run.steps if step.step == EMPTY)
    # The marks themselves are far below the smallest network.
    assert max(observed.regions[region]["instructions"] for region in empty.regions) < 20_000


LOOPS = 100_000
KNOWN = f"""
#include <unistd.h>
int main(void) {{
    unsigned long left = {LOOPS};
    getpgid(0x0ED60000 + 2 * 5);
    __asm__ volatile("1: .inst 0x4e829420;"  /* sdot v0.4s, v1.16b, v2.16b */
                     "add v3.4s, v3.4s, v0.4s; subs %0, %0, #1; b.ne 1b"
                     : "+r"(left) : : "v0", "v1", "v2", "v3", "cc");
    getpgid(0x0ED60000 + 2 * 5 + 1);
    return 0;
}}
"""
"""Runs four instructions LOOPS times between its marks."""


def test_a_loop_of_known_length_is_counted_exactly(
    board: PrepareBoard, cross_compiler: str, tmp_path: Path
) -> None:
    emulated = board("pi5")
    source, program, rows = tmp_path / "known.c", tmp_path / "known", tmp_path / "rows"
    source.write_text(KNOWN, encoding="ascii")
    subprocess.run([cross_compiler, "-O1", "-o", program, source], check=True)
    plugin = f"{build_counter(emulated.root.parents[1])},out={rows}"
    subprocess.run(emulated.command(program, plugin=plugin), check=True)
    (row,) = rows.read_text(encoding="ascii").splitlines()
    counted = json.loads(row)
    assert counted["region"] == 5
    assert counted["mnemonics"]["sdot"] == LOOPS
    # Around the loop: two calls of a system call's wrapper.
    assert 4 * LOOPS < counted["instructions"] < 4 * LOOPS + 100


def test_agreement_counts_values_and_decisions() -> None:
    expected = np.array([[[1, 5, 2], [9, 0, 0]]], dtype=np.int8)
    found = expected.copy()
    found[0, 0] = [1, 4, 6]
    seen = agreement_of("rec.output 48x320", found, expected)
    assert (seen.tensor, seen.shape, seen.values) == ("rec.output", "48x320", 6)
    assert (seen.different, seen.largest_difference, seen.decisions_different) == (2, 4, 1)
    map_1HW1 = np.zeros((1, 2, 2, 1), dtype=np.float32)
    moved = map_1HW1.copy()
    moved[0, 1, 1, 0] = 0.25
    seen = agreement_of("det.output 2x2", moved, map_1HW1)
    assert (seen.different, seen.largest_difference, seen.decisions_different) == (1, 0.25, 1)


RESULTS = sorted(
    (Path(__file__).resolve().parents[3] / "benchmarks/results").glob("instructions-*.json")
)


def test_networks_of_real_bundles_are_recorded() -> None:
    assert RESULTS


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_recorded_networks_decide_the_same_on_every_board(path: Path) -> None:
    result = read_result(path)
    assert isinstance(result, InstructionResult)
    assert [counts.board for counts in result.boards] == list(BOARDS)
    int8 = result.bundle["precision"] == "int8"
    for counts in result.boards:
        assert counts.same_text, counts.board
        for tensor in counts.agreement:
            if tensor.tensor.endswith(".input") or (int8 and tensor.tensor != "rec.output"):
                assert tensor.different == 0, tensor
            if tensor.tensor != "det.output":  # Of a float map, no value is a decision.
                assert tensor.decisions_different == 0, tensor
        for step in counts.steps:
            if step.step in ("det.inference", "rec.inference"):
                assert ("sdot" in step.mnemonics) is (int8 and counts.board == "pi5"), step


def test_the_readme_has_the_recorded_counts() -> None:
    """Its table: three rows for every network, INT8, FP32 and the first over the second."""
    folder = Path(__file__).resolve().parents[3] / "benchmarks"
    bundles = {"embedded": "ppocrv2-embedded", "PP-OCRv4": "ppocrv4"}
    stages = {"detector": "det", "classifier": "cls", "recogniser": "rec"}
    rows = re.findall(
        r"^\| (embedded|PP-OCRv4) \| (\w+) \| (\w+) \| (.+?) \| (.+) \|$",
        (folder / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(rows) == 3 * len(stages) * len(bundles)
    for bundle, network, shape, kind, cells in rows:
        key = f"{stages[network]}.inference", shape
        counts = {}
        for precision in ("int8", "fp32"):
            path = folder / f"results/instructions-{bundles[bundle]}-{precision}.json"
            result = read_result(path)
            assert isinstance(result, InstructionResult)
            counts[precision] = [counts_by_step(board)[key] for board in result.boards]
        shown = (
            [millions(count) for count in counts[kind.lower()]]
            if kind.lower() in counts
            else [f"{a / b:.2f}" for a, b in zip(counts["int8"], counts["fp32"], strict=True)]
        )
        assert cells.split(" | ") == shown, (bundle, network, kind)
