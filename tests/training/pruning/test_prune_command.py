"""From a trained student to a smaller one, through ``edgeocr-train``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from edgeocr_training.__main__ import main
from edgeocr_training.checkpoint import Weights, load_checkpoint, load_weights, save_weights
from edgeocr_training.compression.pruning.inference import inference_of
from edgeocr_training.compression.pruning.sensitivity import load_sensitivity
from edgeocr_training.recipes import recipe_named
from edgeocr_training.trained_student import trained_student

HALVES = f"{Path(__file__).with_name('small_recipes.py')}:halves"
CPU = ("--device", "cpu")


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command that succeeds prints."""
    assert main(arguments) == 0
    return json.loads(capsys.readouterr().out)


def fault(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that fails says: one line, and nothing on stdout."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("edgeocr-train: ")
    return line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a run and the sensitivity of its student, at two ratios."""
    folder = tmp_path_factory.mktemp("halves")
    assert main(["run", HALVES, "--out", str(folder / "run"), *CPU]) == 0
    arguments = ("--checkpoint", str(folder / "run" / "best.pt"), "--ratios", "0.3,0.6")
    out = ("--out", str(folder / "sensitivity.json"))
    assert main(["sensitivity", HALVES, *arguments, *out, *CPU]) == 0
    return folder


def test_sensitivity_is_json_for_people_with_a_picture(folder: Path) -> None:
    data = json.loads((folder / "sensitivity.json").read_text())
    assert data["recipe"] == "halves"
    assert data["criterion"] == "fpgm"
    assert data["metric"] == "certainty"
    assert data["unpruned"] == pytest.approx(
        load_weights(folder / "run" / "best.pt").metrics["certainty"], abs=1e-4
    )
    layer = data["layers"]["backbone.trunk.stages.3.0.2.conv"]
    assert layer["channels"] == 128
    # The gate behind it goes along.
    assert layer["pruned"] == [
        "backbone.trunk.stages.3.0.2.conv",
        "backbone.trunk.stages.3.1.1.expand",
    ]
    assert layer["certainty"].keys() == {"0.3", "0.6"}
    # Layers of 8 channels can't become narrower.
    assert "backbone.trunk.stem.0.conv" not in data["layers"]
    assert (folder / "sensitivity.png").read_bytes().startswith(b"\x89PNG")


def test_pruned_trained_measured_and_exported(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole road."""
    best, small, out = folder / "run" / "best.pt", tmp_path / "small.pt", tmp_path / "run"
    curves = ("--sensitivity", str(folder / "sensitivity.json"))
    arguments = ("--checkpoint", str(best), "--out", str(small))
    pruned = output(capsys, "prune", HALVES, *arguments, "--flops", "0.4", *curves)
    assert pruned["kept_macs"] <= 0.6 * pruned["macs"]
    assert pruned["kept_parameters"] < pruned["parameters"]
    assert small.stat().st_size < 0.9 * best.stat().st_size
    for had, kept in pruned["layers"].values():
        assert kept < had
        assert kept % 8 == 0

    # Before it is trained further it computes what the command said.
    student = trained_student(recipe_named(HALVES), small)
    assert inference_of(student).macs == pruned["kept_macs"]

    weights = ("--set", f"task.initial_weights.own={small}")
    output(capsys, "run", HALVES, "--out", str(out), *weights, *CPU, "--max-minutes", "1e-9")
    finished = output(capsys, "run", HALVES, "--out", str(out), *weights, *CPU, "--resume")
    assert finished["finished"]
    tuned = out / "best.pt"
    assert tuned.stat().st_size < 0.9 * best.stat().st_size
    assert load_weights(tuned).widths == load_weights(small).widths
    assert load_checkpoint(out / "latest.pt").widths == load_weights(small).widths

    figures = output(capsys, "eval", HALVES, "--checkpoint", str(tuned), *CPU)
    # Channels-last tensors in training are another order of the sums in float32.
    assert figures["certainty"] == pytest.approx(finished["best_metrics"]["certainty"], rel=1e-4)

    exported = tmp_path / "small.onnx"
    assert main(["export", HALVES, "--checkpoint", str(tuned), "--out", str(exported)]) == 0
    sizes = {tuple(item.dims) for item in onnx.load(exported).graph.initializer}
    (narrowed,) = [kept for name, (_, kept) in pruned["layers"].items() if name == "pool.1"]
    assert any(size[:1] == (narrowed,) and len(size) == 4 for size in sizes)

    half = tmp_path / "half.pt"
    output(capsys, "strip", str(tuned), "--out", str(half), "--half")
    assert load_weights(half).widths == load_weights(small).widths


def test_a_pruned_student_is_pruned_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once, twice = tmp_path / "once.pt", tmp_path / "twice.pt"
    best = str(folder / "run" / "best.pt")
    first = output(
        capsys, "prune", HALVES, "--checkpoint", best, "--flops", "0.3", "--out", str(once)
    )
    second = output(
        capsys, "prune", HALVES, "--checkpoint", str(once), "--flops", "0.2", "--out", str(twice)
    )
    assert second["macs"] == first["kept_macs"]
    student = trained_student(recipe_named(HALVES), twice)
    assert inference_of(student).macs == second["kept_macs"]


def test_a_pruned_student_is_quantized_and_not_the_other_way_round(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = str(folder / "run" / "best.pt")
    small, integers = tmp_path / "small.pt", tmp_path / "integers.pt"
    output(capsys, "prune", HALVES, "--checkpoint", best, "--flops", "0.3", "--out", str(small))
    of_small = ("--checkpoint", str(small))
    output(capsys, "quantize", HALVES, *of_small, "--batches", "2", "--out", str(integers), *CPU)
    figures, exact = (
        output(capsys, "eval", HALVES, "--checkpoint", str(weights), *CPU)
        for weights in (integers, small)
    )
    # 8 bits, of a network that two epochs have trained.
    assert figures["certainty"] == pytest.approx(exact["certainty"], abs=0.05)
    arguments = ("--checkpoint", str(integers), "--out", str(tmp_path / "again.pt"))
    line = fault(capsys, "prune", HALVES, *arguments, "--flops", "0.3")
    assert "this classifier is prepared for integers: prune the float one" in line


@pytest.mark.parametrize("criterion", ["fpgm", "l1"])
def test_the_criterion_and_skipped_layers_decide(
    criterion: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = folder / "run" / "best.pt"
    out = tmp_path / "small.pt"
    arguments = ("--checkpoint", str(best), "--out", str(out), "--criterion", criterion)
    pruned = output(capsys, "prune", HALVES, *arguments, "--flops", "0.2", "--skip", "pool")
    assert pruned["layers"]
    assert "pool.1" not in pruned["layers"]
    first = trained_student(recipe_named(HALVES), out).state_dict()
    other = tmp_path / "other.pt"
    otherwise = ("--out", str(other), "--criterion", "l1" if criterion == "fpgm" else "fpgm")
    output(
        capsys,
        *("prune", HALVES, "--checkpoint", str(best), "--flops", "0.2", "--skip", "pool"),
        *otherwise,
    )
    second = trained_student(recipe_named(HALVES), other).state_dict()
    assert {name: value.shape for name, value in first.items()} == {
        name: value.shape for name, value in second.items()
    }
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_a_loss_prunes_what_alone_costs_no_more(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curves = folder / "sensitivity.json"
    out = tmp_path / "small.pt"
    arguments = (
        *("--checkpoint", str(folder / "run" / "best.pt"), "--out", str(out)),
        *("--sensitivity", str(curves)),
    )
    pruned = output(capsys, "prune", HALVES, *arguments, "--max-loss", "0.05")
    sensitivity = load_sensitivity(curves)
    for makers, (had, kept) in pruned["layers"].items():
        ratio = sensitivity.ratio_for_loss(makers.split(", ")[0], 0.05)
        # The nearest multiple of 8.
        assert abs(kept - had * (1 - ratio)) <= 4


def test_a_sensitivity_that_was_ended_goes_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sensitivity.json"
    data = json.loads((folder / "sensitivity.json").read_text())
    removed = data["layers"].pop("pool.1")
    # A figure that no measurement gives shows that it is not measured again.
    name, layer = next(iter(data["layers"].items()))
    layer["certainty"]["0.3"] = 0.125
    path.write_text(json.dumps(data))
    arguments = ("--checkpoint", str(folder / "run" / "best.pt"), "--out", str(path))
    said = output(capsys, "sensitivity", HALVES, *arguments, "--ratios", "0.3,0.6", *CPU)
    again = json.loads(path.read_text())
    assert said["layers"] == len(again["layers"])
    assert said["points"] == 2 * said["layers"]
    assert again["layers"]["pool.1"] == removed
    assert again["layers"][name]["certainty"]["0.3"] == 0.125


@pytest.mark.parametrize("left", [0, 1])
def test_a_sensitivity_that_was_ended_prunes_nothing(
    left: int, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a layer, or of one of its ratios, nothing is known."""
    path = tmp_path / "sensitivity.json"
    data = json.loads((folder / "sensitivity.json").read_text())
    name = "backbone.trunk.stages.3.0.2.conv"
    if left:
        del data["layers"][name]["certainty"]["0.6"]
    else:
        del data["layers"][name]
    path.write_text(json.dumps(data))
    arguments = ("--checkpoint", str(folder / "run" / "best.pt"), "--sensitivity", str(path))
    out = ("--out", str(tmp_path / "small.pt"))
    line = fault(capsys, "prune", HALVES, *arguments, *out, "--flops", "0.3")
    assert name in line
    assert "go on" in line
    assert not (tmp_path / "small.pt").exists()


def test_faults_are_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = str(folder / "run" / "best.pt")
    curves = str(folder / "sensitivity.json")
    text = tmp_path / "text.json"
    text.write_text("no JSON")
    own = tmp_path / "own.pt"
    shutil.copy(best, own)
    of = ("--checkpoint", best)
    out = ("--out", str(tmp_path / "small.pt"))
    new = ("--out", str(tmp_path / "new.json"))
    l1 = ("--criterion", "l1")
    for arguments, words in (
        (["prune", HALVES, *of, *out, "--flops", "1.5"], "flops is 1.5"),
        (["prune", HALVES, *of, *out, "--flops", "nan"], "flops is nan"),
        (["prune", HALVES, *of, *out, "--flops", "0.99"], "can't go: at most"),
        (["prune", HALVES, *of, *out, "--max-loss", "0.1"], "needs a sensitivity"),
        (
            ["prune", HALVES, *of, *out, "--max-loss", "-1", "--sensitivity", curves],
            "max_loss is -1",
        ),
        (["prune", HALVES, *of, *out, "--flops", "0.3", "--skip", "pol"], "no layer 'pol'"),
        (
            ["prune", HALVES, *of, *out, "--flops", "0.3", "--sensitivity", str(text)],
            "text.json is damaged",
        ),
        (
            ["prune", HALVES, *of, *out, "--flops", "0.3", "--sensitivity", "none.json"],
            "no sensitivity none.json",
        ),
        (
            ["prune", HALVES, *of, *out, "--flops", "0.3", "--sensitivity", curves, *l1],
            "another criterion: fpgm, not l1",
        ),
        (["prune", HALVES, "--checkpoint", "none.pt", *out, "--flops", "0.3"], "no checkpoint"),
        (["prune", "det_ic15", *of, *out, "--flops", "0.3"], "of the recipe halves, not det_ic15"),
        (
            ["prune", HALVES, "--checkpoint", str(own), "--out", str(own), "--flops", "0.3"],
            "the checkpoint itself",
        ),
        (["prune", HALVES, *of, "--out", str(text / "x.pt"), "--flops", "0.3"], "Cannot write"),
        (["sensitivity", HALVES, *of, *new, "--ratios", "0.3,1"], "between 0 and 1"),
        (["sensitivity", HALVES, *of, "--out", curves, *l1], "another criterion: fpgm, not l1"),
        (
            ["sensitivity", HALVES, *of, *new, "--set", "evaluation=none"],
            "nothing of an evaluation",
        ),
        (["sensitivity", HALVES, *of, *new, "--set", "evaluation.scale=0"], "nothing to lose"),
        (["sensitivity", HALVES, *of, "--out", str(text)], "text.json is damaged"),
        (["sensitivity", HALVES, *of, "--out", str(text / "x.json")], "text.json"),
    ):
        machine = CPU if arguments[0] == "sensitivity" else ()
        assert words in fault(capsys, *arguments, *machine), arguments
    assert {path.name for path in tmp_path.iterdir()} == {"text.json", "own.pt"}


def test_curves_of_other_weights_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = load_weights(folder / "run" / "best.pt")
    other = tmp_path / "other.pt"
    student = {**weights.student, "classes.bias": weights.student["classes.bias"] + 1}
    save_weights(Weights(recipe="halves", step=1, metrics={}, student=student), other)
    arguments = ("--checkpoint", str(other), "--out", str(tmp_path / "small.pt"))
    curves = ("--sensitivity", str(folder / "sensitivity.json"))
    line = fault(capsys, "prune", HALVES, *arguments, "--flops", "0.3", *curves)
    assert "is of another weights" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["prune", HALVES, "--checkpoint", "a", "--out", "b"],
        ["prune", HALVES, "--checkpoint", "a", "--out", "b", "--flops", "0.3", "--max-loss", "0.1"],
        ["prune", HALVES, "--checkpoint", "a", "--out", "b", "--flops", "some"],
        ["prune", HALVES, "--checkpoint", "a", "--flops", "0.3"],
        ["prune", HALVES, "--checkpoint", "a", "--out", "b", "--flops", "0.3", "--criterion", "l2"],
        ["sensitivity", HALVES, "--checkpoint", "a", "--out", "b", "--ratios", "x"],
    ],
)
def test_arguments_that_do_not_exist_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: edgeocr-train" in capsys.readouterr().err
