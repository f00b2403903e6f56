"""Ways to make a network small: what is made, measured and written, and what is refused."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeocr_conversion import compression
from edgeocr_conversion.__main__ import main
from edgeocr_conversion.compression import (
    RECORD,
    TABLE,
    CompressionConfig,
    compare_compression,
    time_in_turns,
)
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import read_model, tensor_shape, type_name
from edgeocr_training.checkpoint import Weights, save_weights
from edgeocr_training.compression.table import PRUNING_ROWS, CompressedRow, markdown
from edgeocr_training.loop import RunResult
from edgeocr_training.recipes import recipe_named

WAYS = ("mse", "equalised", "pact")
CPU = torch.device("cpu")
DIRECTIONS = (
    f"{Path(__file__).parents[1] / 'training' / 'quantization' / 'tiny_directions.py'}:halves"
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a classifier that has learnt nothing."""
    torch.manual_seed(0)
    student = recipe_named(DIRECTIONS).task.build_student()
    path = tmp_path_factory.mktemp("float") / "best.pt"
    save_weights(Weights(recipe="halves", step=7, metrics={}, student=student.state_dict()), path)
    return path


@pytest.fixture(scope="module")
def compared(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compression")
    arguments = ["compression", DIRECTIONS, "--checkpoint", str(checkpoint), "--epochs", "1"]
    arguments += ["--ways", "pact,mse,equalised"]
    assert main([*arguments, "--rounds", "3", "--device", "cpu", "--out", str(folder)]) == 0
    return folder


def test_every_way_is_made_measured_and_timed(compared: Path) -> None:
    rows = {row["name"]: row for row in json.loads((compared / RECORD).read_text("utf-8"))["rows"]}
    assert list(rows) == ["float", *WAYS]
    for name, row in rows.items():
        assert row["bytes"] == (compared / f"{name}.tflite").stat().st_size
        assert len(row["milliseconds"]) == 3
        assert 0 <= row["figures"]["accuracy"] <= 1
    assert all(row["bytes"] < rows["float"]["bytes"] for row in list(rows.values())[1:])
    # Ranges and weights differ, so the margins of the integers do.
    assert len({row["figures"]["margin"] for row in rows.values()}) == len(rows)


@pytest.mark.parametrize("name", ["float", *WAYS])
def test_files_are_in_floats_or_in_integers_throughout(compared: Path, name: str) -> None:
    model = read_model(compared / f"{name}.tflite")
    subgraph = model.subgraphs[0]
    assert tensor_shape(subgraph.tensors[subgraph.inputs[0]]) == (1, 32, 32, 3)
    types = {type_name(subgraph.tensors[index]) for index in subgraph.inputs}
    assert types == ({"FLOAT32"} if name == "float" else {"INT8"})


def test_the_table_has_a_line_for_each(compared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = (compared / TABLE).read_text("utf-8")
    assert table.startswith("# Compression of halves\n")
    assert "3 runs in turns at 32x32 on 1 thread of" in table
    assert "[" not in table
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(lines) == 1 + 1 + len(WAYS)
    assert lines[1].endswith("| 94.03 | 0.85 | 3.21 |")


def test_called_again_nothing_is_made_anew(
    compared: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "train", None)
    monkeypatch.setattr(compression, "write_student_tflite", None)
    config = CompressionConfig(
        recipe=DIRECTIONS, checkpoint=checkpoint, epochs=1, rounds=2, ways=WAYS
    )
    before = json.loads((compared / RECORD).read_text("utf-8"))["rows"]
    assert compare_compression(config, compared, device=CPU) is None
    after = json.loads((compared / RECORD).read_text("utf-8"))["rows"]
    assert [{**row, "milliseconds": 0} for row in after] == [
        {**row, "milliseconds": 0} for row in before
    ]
    assert all(len(row["milliseconds"]) == 2 for row in after)


def test_a_stopped_run_is_told_and_can_go_on(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped(*arguments: object, **options: object) -> RunResult:
        return RunResult(step=1, steps=2, metrics={}, best_metrics={}, stopped_by=signal.SIGTERM)

    monkeypatch.setattr(compression, "train", stopped)
    out = ["--out", str(tmp_path), "--device", "cpu", "--ways", "pact_symmetric"]
    with pytest.raises(SystemExit) as left:
        main(["compression", DIRECTIONS, "--checkpoint", str(checkpoint), "--epochs", "1", *out])
    assert left.value.code == 128 + signal.SIGTERM
    assert "SIGTERM: call it again to go on" in capsys.readouterr().err
    names = [row["name"] for row in json.loads((tmp_path / RECORD).read_text("utf-8"))["rows"]]
    assert names == ["float"]


def test_an_interruption_between_runs_is_told_alike(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compression, "compare_compression", interrupted)
    out = ["--out", str(tmp_path), "--device", "cpu"]
    with pytest.raises(SystemExit) as left:
        main(["compression", DIRECTIONS, "--checkpoint", str(checkpoint), "--epochs", "1", *out])
    assert left.value.code == 128 + signal.SIGINT
    assert "SIGINT: call it again to go on" in capsys.readouterr().err


def test_another_network_needs_another_folder(
    compared: Path, checkpoint: Path, tmp_path: Path
) -> None:
    config = CompressionConfig(recipe=DIRECTIONS, checkpoint=checkpoint, epochs=2)
    with pytest.raises(ConversionError, match="choose another folder"):
        compare_compression(config, compared, device=CPU)
    with pytest.raises(
        ConversionError, match="no way 'pruned'; there are: minmax, kl, mse, equalised"
    ):
        compare_compression(replace(config, ways=("pruned",)), tmp_path, device=CPU)
    with pytest.raises(ConversionError, match="two rounds at least"):
        compare_compression(replace(config, rounds=1), tmp_path, device=CPU)
    with pytest.raises(ConversionError, match=r"none\.pt cannot be read"):
        compare_compression(replace(config, checkpoint=tmp_path / "none.pt"), tmp_path, device=CPU)
    (tmp_path / RECORD).write_text("{}")
    with pytest.raises(ConversionError, match="damaged"):
        compare_compression(config, tmp_path, device=CPU)


def test_points_and_times_are_against_the_first_row() -> None:
    def row(name: str, hmean: float, milliseconds: float) -> CompressedRow:
        times = tuple(milliseconds * factor for factor in (0.9, 1.0, 1.1))
        return CompressedRow(name=name, figures={"hmean": hmean}, bytes=1234567, milliseconds=times)

    measured = {
        "float": row("float", 0.9, 20),
        "pruned": row("pruned", 0.895, 10),
        "pact": row("pact", 0.9, 5),
        "pruned_pact": row("pruned_pact", 0.89, 4),
    }
    lines = markdown(PRUNING_ROWS, measured, stage="det", metric="hmean").splitlines()
    assert lines[0] == "|  | hmean | points | bytes | ms | of float32 | paper hmean | paper ms |"
    assert lines[2] == "| float32 | 90.00 |  | 1,234,567 | 20.00 |  | 61.70 | 224 |"
    assert lines[3] == (
        "| pruned (FPGM) | 89.50 | -0.50 | 1,234,567 | 10.00 | 0.50 (0.50 to 0.50) | 61.57 | 138 |"
    )
    assert lines[5].startswith("| pruned (FPGM), PACT | 89.00 | -1.00 | 1,234,567 | 4.00 | 0.20 ")


def test_models_are_timed_in_turns(compared: Path) -> None:
    models = {name: compared / f"{name}.tflite" for name in ("float", "pact")}
    told: list[tuple[str, int, int]] = []
    samples = time_in_turns(models, rounds=4, threads=1, progress=lambda *what: told.append(what))
    assert {name: len(times) for name, times in samples.items()} == {"float": 4, "pact": 4}
    assert np.all(np.concatenate(list(samples.values())) > 0)
    assert told[0] == ("Timing", 0, 7)
    assert told[-1] == ("Timing", 7, 7)
