"""Training and calibration for integers, through the commands and beside a teacher."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from edgeocr_training.__main__ import main
from edgeocr_training.checkpoint import load_weights
from edgeocr_training.compression.quantization.activation_quantizer import (
    QuantizationConfig,
    quantizers,
)
from edgeocr_training.compression.quantization.export import table_path
from edgeocr_training.compression.quantization.preparation import is_prepared
from edgeocr_training.compression.quantization.range_table import RangeTable
from edgeocr_training.errors import QuantizationError
from edgeocr_training.models.dbfpn import DbFpnConfig
from edgeocr_training.models.detector import DetectorConfig
from edgeocr_training.models.mobilenet_v3 import MobileNetV3Config
from edgeocr_training.recipes import recipe_functions, recipe_named
from edgeocr_training.tasks.cml_detection import CmlDetectionConfig
from edgeocr_training.tasks.distill_detection import DistillDetectionConfig
from edgeocr_training.tasks.quantized import QuantizedTaskConfig
from edgeocr_training.tasks.task import TaskConfig

RECIPES = Path(__file__).with_name("tiny_directions.py")
FLOAT, PACT = f"{RECIPES}:halves", f"{RECIPES}:halves_pact"
CPU = ("--device", "cpu")


def done(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The JSON that a command prints."""
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    figures: dict[str, Any] = json.loads(printed) if printed else {}
    return figures


@pytest.fixture(scope="module")
def float_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "halves"
    assert main(["run", FLOAT, "--out", str(folder), *CPU]) == 0
    return folder


@pytest.fixture(scope="module")
def pact_run(float_run: Path) -> Path:
    folder = float_run.with_name("halves_pact")
    assert main(["run", PACT, "--data-root", str(float_run), "--out", str(folder), *CPU]) == 0
    return folder


def test_a_run_with_pact_learns_and_is_measured_in_integers(
    pact_run: Path, float_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = str(pact_run / "best.pt")
    figures = done(
        capsys, "eval", PACT, "--data-root", str(float_run), "--checkpoint", checkpoint, *CPU
    )
    assert figures["accuracy"] == 1.0
    # The run chose by what `eval` gives, and that is computed in integers.
    assert load_weights(pact_run / "best.pt").metrics == figures
    rows = [json.loads(line) for line in (pact_run / "metrics.jsonl").read_text().splitlines()]
    updates = [row for row in rows if row["kind"] == "update"]
    # PACT's penalty is a part of the loss, and falls with the clips.
    assert all(0 < row["clips"] < row["loss"] for row in updates)
    assert updates[-1]["clips"] < updates[0]["clips"]


def test_a_student_is_exported_with_its_table(
    pact_run: Path, float_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "halves.onnx"
    arguments = ("export", PACT, "--data-root", str(float_run), "--checkpoint")
    done(capsys, *arguments, str(pact_run / "best.pt"), "--out", str(out))
    table = RangeTable.from_json(table_path(out).read_bytes())
    assert "classes" in table.activations
    assert out.stat().st_size > 100_000
    asked = ("--out", str(out), "--shape", "32x32")
    assert main([*arguments, str(pact_run / "best.pt"), *asked]) == 2
    assert "--shape: a student for integers" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["minmax", "mse"])
def test_calibration_after_training(
    method: str, float_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "calibrated.pt"
    best = str(float_run / "best.pt")
    figures = done(
        capsys, "quantize", FLOAT, "--checkpoint", best, "--method", method,
        "--batches", "2", "--out", str(out), *CPU,
    )  # fmt: skip
    assert figures["method"] == method
    assert figures["ranges"] > 80
    measured = done(capsys, "eval", FLOAT, "--checkpoint", str(out), *CPU)
    before = done(capsys, "eval", FLOAT, "--checkpoint", best, *CPU)
    assert measured["accuracy"] == 1.0
    # 8 bits are not the same, but near.
    assert measured["margin"] != before["margin"]
    assert measured["margin"] == pytest.approx(before["margin"], rel=0.25)


def test_training_begins_at_the_ranges_that_are_there(
    float_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrated, symmetric = tmp_path / "calibrated.pt", tmp_path / "symmetric.pt"
    for out, options in ((calibrated, ("--equalise",)), (symmetric, ("--symmetric",))):
        done(
            capsys, "quantize", FLOAT, "--checkpoint", str(float_run / "best.pt"), *options,
            "--batches", "2", "--out", str(out), *CPU,
        )  # fmt: skip
    recipe = recipe_named(PACT, data_root=str(float_run))
    assert isinstance(recipe.task, QuantizedTaskConfig)
    begun = replace(recipe.task, weights=str(calibrated)).build().student
    tensors = load_weights(calibrated).student
    assert all(torch.equal(begun.state_dict()[name], tensors[name]) for name in tensors)
    assert all(
        float(q.alpha.detach()) == pytest.approx(max(float(q.high), 0.0))
        for _, q in quantizers(begun)
    )
    with pytest.raises(QuantizationError, match="has symmetric ranges, and training wants asymm"):
        replace(recipe.task, weights=str(symmetric)).build()


def test_symmetric_calibration_is_read_back_as_such(
    float_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "symmetric.pt"
    done(
        capsys, "quantize", FLOAT, "--checkpoint", str(float_run / "best.pt"), "--symmetric",
        "--batches", "1", "--out", str(out), *CPU,
    )  # fmt: skip
    done(capsys, "export", FLOAT, "--checkpoint", str(out), "--out", str(tmp_path / "m.onnx"))
    table = RangeTable.from_json(table_path(tmp_path / "m.onnx").read_bytes())
    assert table.activations["classes"].zero_point == 0


@pytest.mark.parametrize(
    ("again", "fault"),
    [(True, "is quantized already"), (False, "is the checkpoint itself")],
)
def test_what_cannot_be_calibrated(
    again: bool,
    fault: str,
    float_run: Path,
    pact_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint = (pact_run if again else float_run) / "best.pt"
    kept = checkpoint.read_bytes()
    arguments = ["quantize", PACT if again else FLOAT, "--data-root", str(float_run)]
    out = tmp_path / "out.pt" if again else checkpoint
    assert main([*arguments, "--checkpoint", str(checkpoint), "--out", str(out), *CPU]) == 2
    assert fault in capsys.readouterr().err
    assert checkpoint.read_bytes() == kept
    assert not (tmp_path / "out.pt").exists()


TINY = DetectorConfig(
    backbone=MobileNetV3Config(size="small", scale=0.35), neck=DbFpnConfig(channels=16)
)


def _batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 90, (2, 64, 64, 3), dtype=torch.uint8, generator=generator)
    image[:, 20:40, 8:56] += 120
    text = torch.zeros(2, 64, 64, dtype=torch.uint8)
    text[:, 26:34, 14:50] = 1
    return {
        "image": image,
        "shrink_map": text,
        "shrink_mask": torch.ones_like(text),
        "threshold_map": 77 + 100 * text,
        "threshold_mask": torch.ones_like(text),
        "teacher_map": 200 * text,
    }


@pytest.mark.parametrize(
    "config",
    [DistillDetectionConfig(detector=TINY), CmlDetectionConfig(detector=TINY)],
    ids=["distill", "cml"],
)
def test_a_student_learns_integers_from_a_teacher(config: TaskConfig, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = config.build_student()
    torch.save({"student": weights.state_dict()}, tmp_path / "float.pt")
    wrapped = QuantizedTaskConfig(
        task=config,
        weights=str(tmp_path / "float.pt"),
        quantization=QuantizationConfig(initial_clip=3.0),
    )
    task = wrapped.build().train()
    assert is_prepared(task.student)
    assert task.student.state_dict().keys() == wrapped.build_student().state_dict().keys()
    tensors = _batch()
    optimizer = torch.optim.Adam((p for p in task.parameters() if p.requires_grad), lr=1e-2)
    before = losses = task(tensors)
    for _ in range(15):
        losses = task(tensors)
        optimizer.zero_grad()
        torch.autograd.backward(losses["loss"])
        optimizer.step()
    assert losses["loss"] < before["loss"]
    assert losses["distillation"] < before["distillation"]
    assert any(float(q.alpha.detach()) != 3.0 for _, q in quantizers(task.student))


def test_a_pruned_student_keeps_its_widths(float_run: Path, tmp_path: Path) -> None:
    """What is trained after pruning is built again with the channels that were left."""
    pruned, out = tmp_path / "pruned.pt", tmp_path / "run"
    best = str(float_run / "best.pt")
    assert main(["prune", FLOAT, "--checkpoint", best, "--flops", "0.3", "--out", str(pruned)]) == 0
    named = (
        "--set",
        f"task.weights={pruned}",
        "--set",
        "epochs=1",
        "--set",
        "schedule.warm_up_epochs=0",
    )
    assert main(["run", PACT, "--out", str(out), *named, *CPU]) == 0
    assert load_weights(out / "best.pt").widths
    assert main(["eval", PACT, "--checkpoint", str(out / "best.pt"), *CPU]) == 0


def test_every_recipe_for_integers_has_its_float_one() -> None:
    functions = recipe_functions()
    suffixes = ("_pact", "_qat", "_pact_symmetric")
    named = [name for name in functions if name.endswith(suffixes)]
    assert {"cls_pact", "det_lines_edge_pact", "rec_ch_edge_pact"} <= set(named)
    for name in named:
        recipe = functions[name](data_root="somewhere")
        assert isinstance(recipe.task, QuantizedTaskConfig)
        base = Path(recipe.task.weights).parent.name
        assert base in functions
        assert recipe.task.task == functions[base](data_root="somewhere").task
        assert recipe.task.quantization.clip != name.endswith("_qat")
