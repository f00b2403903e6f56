"""Contract: which checkpoints become models of a bundle, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from edgeocr_conversion.__main__ import main
from edgeocr_conversion.checkpoints import checkpoint_model, stage_settings
from edgeocr_conversion.sources import DetectionSettings, OrientationSettings
from edgeocr_training.checkpoint import Weights, save_weights
from edgeocr_training.compression.quantization.activation_quantizer import (
    QuantizationConfig,
    quantizers,
)
from edgeocr_training.compression.quantization.preparation import prepare
from edgeocr_training.evaluation.detection import DetectionEvaluatorConfig
from edgeocr_training.recipes import recipe_named

DIRECTIONS = (
    f"{Path(__file__).parents[1] / 'training' / 'quantization' / 'tiny_directions.py'}:halves"
)
TinyBundle = Callable[[str], Path]


@pytest.fixture
def write_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Writes a classifier's weights: float, prepared, or prepared and with ranges."""

    def write(name: str, *, prepared: bool = True, ranges: bool = True) -> Path:
        torch.manual_seed(0)
        student: nn.Module = recipe_named(DIRECTIONS).task.build_student()
        if prepared:
            prepare(student, QuantizationConfig())
            for _, quantizer in quantizers(student):
                if ranges:
                    quantizer.set_range(-1.0, 2.0)
        path = tmp_path / name
        weights = Weights(recipe="halves", step=7, metrics={}, student=student.state_dict())
        save_weights(weights, path)
        return path

    return write


def test_a_checkpoint_says_what_it_is(
    write_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    loaded = checkpoint_model(write_checkpoint("cls.pt"), tmp_path, recipe_name=DIRECTIONS)
    assert loaded.stage == "cls"
    assert loaded.charset is None
    assert loaded.model.origin["title"] == "halves, step 7"
    settings = loaded.model.settings
    assert isinstance(settings, OrientationSettings)
    assert settings.shapes == ((32, 32),)
    assert settings.mean == (128 / 255,) * 3
    assert loaded.model.trained is not None
    assert loaded.model.trained.activations["x"].zero_point == 0


def test_a_detector_is_used_as_it_was_measured() -> None:
    recipe = recipe_named("det_lines_slim")
    assert isinstance(recipe.evaluation, DetectionEvaluatorConfig)
    evaluation = replace(recipe.evaluation, unclip_ratio=1.25, dilation=True, max_side=1280)
    stage, settings = stage_settings(
        recipe.task.build_student(), ((640, 640),), evaluation=evaluation
    )
    assert stage == "det"
    assert isinstance(settings, DetectionSettings)
    assert settings.shapes == ((640, 640),)
    assert (settings.unclip_ratio, settings.dilation, settings.max_side) == (1.25, True, 1280)
    assert (settings.threshold, settings.box_threshold) == (0.3, 0.65)


def test_a_float_checkpoint_is_left_to_be_calibrated(
    write_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint = write_checkpoint("cls.pt", prepared=False)
    loaded = checkpoint_model(checkpoint, tmp_path, recipe_name=DIRECTIONS, calibrate=True)
    assert loaded.stage == "cls"
    assert loaded.model.trained is None
    assert onnx.load(loaded.model.path).graph.input[0].name == "x"


@pytest.mark.parametrize(
    ("kind", "options", "fault"),
    [
        ({"prepared": False}, [], "cls.pt was not prepared for integers: train it by a recipe"),
        ({"ranges": False}, [], "backbone.stem.conv.argument has no range: train the prepared"),
        ({}, [], "there is no model for det and rec: name a checkpoint of it too"),
        ({}, ["--shape", "48x96"], "the classifier takes 32x32 alone: no --shape"),
        ({}, ["--charset", "c.txt"], "--charset is for recognisers, and none is among"),
    ],
)
def test_what_cannot_be_converted(
    kind: dict[str, bool],
    options: list[str],
    fault: str,
    write_checkpoint: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_checkpoint("cls.pt", **kind)
    out = tmp_path / "bundle"
    arguments = ["checkpoint", str(path), "--recipe", DIRECTIONS, "--out", str(out), *options]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert fault in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_an_int8_stage_goes_into_an_int8_bundle_alone(
    write_checkpoint: Callable[..., Path],
    tiny_bundle: TinyBundle,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["checkpoint", str(write_checkpoint("cls.pt")), "--recipe", DIRECTIONS]
    arguments += ["--into", str(tiny_bundle("fp32")), "--out", str(tmp_path / "bundle")]
    assert main(arguments) == 2
    assert "is fp32: a stage of int8 cannot go into it" in capsys.readouterr().err


def test_two_models_for_one_stage(
    write_checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(write_checkpoint(name)) for name in ("a.pt", "b.pt")]
    arguments = ["checkpoint", *paths, "--recipe", DIRECTIONS, "--out", str(tmp_path / "bundle")]
    assert main(arguments) == 2
    assert "--shape and --recipe are for a single checkpoint" in capsys.readouterr().err


def test_a_checkpoint_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", str(tmp_path / "no.pt"), "--out", str(tmp_path / "bundle")]) == 2
    assert "There is no checkpoint" in capsys.readouterr().err
