"""The command ``edgeocr-train``, through its entry point."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from edgeocr_training.__main__ import main
from edgeocr_training.checkpoint import Weights, load_checkpoint, load_weights, save_weights
from edgeocr_training.recipe import Recipe
from edgeocr_training.recipes import recipe_functions, recipe_named

ROOT = Path(__file__).resolve().parents[2]

CPU = ("--device", "cpu")


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that succeeds prints."""
    assert main(arguments) == 0
    return capsys.readouterr().out


def fault(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that fails says: one line, and nothing on stdout."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("edgeocr-train: ")
    return line


@pytest.fixture(scope="module")
def finished(tiny_name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with a setting."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["run", tiny_name, "--out", str(folder), *WIDER, *CPU]) == 0
    return folder


WIDER = ("--set", "task.channels=5")


def test_list_names_every_recipe_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "list").splitlines()
    descriptions = dict(line.split(maxsplit=1) for line in lines)
    assert descriptions.keys() == recipe_functions().keys()
    assert descriptions["det_ic15"] == recipe_named("det_ic15").description


def test_show_prints_the_recipe_with_its_settings(
    tiny_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = json.loads(output(capsys, "show", tiny_name, *WIDER))
    assert shown["name"] == "tiny"
    assert shown["task"] == {
        "type": "RegressionConfig",
        "channels": 5,
        "dropout": 0.0,
        "normed": False,
    }


def test_show_puts_the_data_root_before_the_paths(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output(capsys, "show", "det_ic15", "--data-root", "/somewhere")
    assert "/somewhere/icdar2015/train.txt" in json.loads(shown)["data"]["labels"]


def test_run_stops_in_time_and_resumes(
    tiny_name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("run", tiny_name, "--out", str(tmp_path), *CPU)
    stopped = json.loads(output(capsys, *arguments, "--max-minutes", "1e-9"))
    assert stopped == {
        "finished": False,
        "step": 0,
        "steps": 18,
        "metrics": {},
        "best_metrics": {},
    }
    assert "--resume" in fault(capsys, *arguments)
    finished = json.loads(output(capsys, *arguments, "--resume"))
    assert finished["finished"]
    assert finished["best_metrics"]["nearness"] >= finished["metrics"]["nearness"]


def test_a_signal_is_the_exit_status(
    tiny_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TINY_SIGNAL", "SIGTERM@5")
    assert main(["run", tiny_name, "--out", str(tmp_path), *CPU]) == 128 + 15
    captured = capsys.readouterr()
    assert json.loads(captured.out)["step"] == 2
    assert "SIGTERM: stopping after this step" in captured.err


def test_eval_measures_the_best_weights(
    finished: Path, tiny_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = finished / "best.pt"
    figures = json.loads(
        output(capsys, "eval", tiny_name, "--checkpoint", str(weights), *WIDER, *CPU)
    )
    # Channels-last tensors in training are another order of the sums in float32.
    assert figures == pytest.approx(dict(load_weights(weights).metrics), rel=1e-5)


def test_strip_keeps_the_weights_alone(
    finished: Path, tiny_name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    latest = finished / "latest.pt"
    whole, half = tmp_path / "whole.pt", tmp_path / "half.pt"
    said = json.loads(output(capsys, "strip", str(latest), "--out", str(whole)))
    assert said["recipe"] == "tiny"
    assert said["step"] == 18
    output(capsys, "strip", str(whole), "--out", str(half), "--half")
    assert half.stat().st_size < whole.stat().st_size < latest.stat().st_size
    assert load_weights(half).student["6.weight"].dtype == torch.float16
    arguments = ("eval", tiny_name, *WIDER, *CPU, "--checkpoint")
    exact, near = (
        json.loads(output(capsys, *arguments, str(weights)))["nearness"]
        for weights in (whole, half)
    )
    assert exact == pytest.approx(said["metrics"]["nearness"], rel=1e-5)
    # float16 rounds every weight by up to 2^-11.
    assert near == pytest.approx(exact, abs=5e-3)


def test_export_is_of_the_detector_in_the_shape_that_is_asked_for(
    finished: Path, tiny_name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is written is tested beside the export itself, which takes its time."""
    recipe = recipe_named("det_lines_edge")
    student = recipe.task.build().student.state_dict()
    trained, exported = tmp_path / "best.pt", tmp_path / "det.onnx"
    save_weights(Weights(recipe=recipe.name, step=1, metrics={}, student=student), trained)
    ends = ("--out", str(exported), "--shape", "64x95")
    arguments = ("export", recipe.name, "--checkpoint", str(trained), *ends)
    assert "64x95 is no shape" in fault(capsys, *arguments)
    others = ("export", tiny_name, "--checkpoint", str(finished / "best.pt"), *WIDER, *ends)
    assert "a Sequential is no detector" in fault(capsys, *others)
    assert not exported.exists()


def test_a_fault_is_one_line(
    finished: Path, tiny_name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = str(finished / "best.pt")
    text = tmp_path / "text.txt"
    text.write_text("no checkpoint")
    for arguments, words in (
        (["show", "det_ic16"], "no recipe 'det_ic16'"),
        (["show", tiny_name, "--set", "epoch=1"], "Did you mean epochs?"),
        (["run", tiny_name, "--device", "tpu"], "cpu, cuda"),
        (["run", tiny_name, "--device", "cuda:7"], "0 CUDA devices")
        if not torch.cuda.is_available()
        else (["run", tiny_name, "--device", "cuda:77"], "CUDA devices"),
        (["run", tiny_name, "--out", str(text), *CPU], "text.txt"),
        (["run", tiny_name, "--out", str(tmp_path), "--resume", *CPU], "no checkpoint"),
        (["run", "det_ic15", "--data-root", str(tmp_path), "--out", str(tmp_path / "r")], "icdar"),
        (["eval", tiny_name, "--checkpoint", best, *CPU], "another network"),
        (["eval", "det_ic15", "--checkpoint", best, *CPU], "of the recipe tiny, not det_ic15"),
        (["eval", tiny_name, "--checkpoint", best, "--set", "evaluation=none"], "evaluation"),
        (["strip", str(text), "--out", str(tmp_path / "w.pt")], "no checkpoint"),
        (["strip", best, "--out", str(text / "w.pt")], "Cannot write"),
    ):
        assert words in fault(capsys, *arguments), arguments
    assert {path.name for path in tmp_path.iterdir()} == {"text.txt"}


def test_a_disk_that_fills_up_is_one_line_and_leaves_the_last_checkpoint(
    tiny_name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        arguments = ("run", tiny_name, "--out", str(tmp_path), *CPU)
        line = fault(capsys, *arguments, "--set", "epochs=50", "--set", "evaluation=none")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert line == "edgeocr-train: cannot write: File too large"
    assert load_checkpoint(tmp_path / "latest.pt").step == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "tiny", "--max-minutes", "0"],
        ["run", "tiny", "--threads", "0"],
        ["run", "tiny", "--epochs", "3"],
        ["export", "tiny", "--checkpoint", "a", "--out", "b", "--shape", "640"],
        ["eval", "tiny"],
        ["strip", "a"],
        [],
    ],
)
def test_arguments_that_do_not_exist_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: edgeocr-train" in capsys.readouterr().err


def test_help_needs_no_torch() -> None:
    program = (
        "import sys; from edgeocr_training.__main__ import main\n"
        "try: main(['run', '--help'])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("sdk", "training", "benchmarks"))
    fresh = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert fresh.stdout.splitlines()[-1] == "False", fresh.stderr


def test_the_recipe_is_the_one_that_is_trained(finished: Path, tiny: Recipe) -> None:
    shown = json.loads((finished / "recipe.json").read_text())
    assert shown["task"]["channels"] == 5
    assert shown["epochs"] == tiny.epochs
