"""Whole runs of a tiny recipe: replayed, interrupted, killed, distributed, and gone wrong."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgeocr_training.checkpoint import (
    load_checkpoint,
    load_weights,
    put_into,
    save_checkpoint,
)
from edgeocr_training.errors import CheckpointError, DataError, DivergenceError
from edgeocr_training.loop import RunResult, train
from edgeocr_training.metric_log import Row, rows_of
from edgeocr_training.recipe import Recipe
from edgeocr_training.settings import with_settings

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
STEPS = 18
"""Of the tiny recipe: 3 epochs of 6."""

EVERYTHING = (
    # What a checkpoint has to carry, or a step to redraw.
    "task.dropout=0.3",
    "task.normed=true",
    "ema_decay=0.9",
    "checkpoint_minutes=1e-9",
)


def run(recipe: Recipe, folder: Path, **options: Any) -> RunResult:
    return train(recipe, folder, device=CPU, **options)


def rows(folder: Path, kind: str) -> list[Row]:
    return [row for row in rows_of(folder / "metrics.jsonl") if row["kind"] == kind]


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in rows(folder, "update")]


def without_times(folder: Path) -> list[Row]:
    return [
        {name: value for name, value in row.items() if not name.endswith("seconds")}
        for row in rows_of(folder / "metrics.jsonl")
    ]


@pytest.fixture(scope="module")
def everything(tiny: Recipe) -> Recipe:
    return with_settings(tiny, EVERYTHING)


@pytest.fixture(scope="module")
def uninterrupted(everything: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a whole run of :data:`EVERYTHING`."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(everything, folder)
    return folder


STORED_LOSSES = [0.722774, 0.913765, 0.985914, 0.33119, 0.183849, 0.077037]


def test_the_stored_losses_are_reproduced(tiny: Recipe, tmp_path: Path) -> None:
    """Data, initial weights, optimiser and schedule together are what they were."""
    run(with_settings(tiny, ["epochs=1"]), tmp_path)
    # float32 sums may be ordered otherwise by another processor's kernels.
    assert losses(tmp_path) == pytest.approx(STORED_LOSSES, rel=1e-4)


def test_a_run_leaves_all_its_files(uninterrupted: Path, everything: Recipe) -> None:
    names = {path.name for path in uninterrupted.iterdir()}
    assert names == {
        "recipe.json",
        "latest.pt",
        "best.pt",
        "metrics.jsonl",
        "metrics.csv",
        "curves.png",
        "tensorboard",
    }
    assert json.loads((uninterrupted / "recipe.json").read_text())["task"]["dropout"] == 0.3
    updates = rows(uninterrupted, "update")
    assert [row["step"] for row in updates] == list(range(1, STEPS + 1))
    assert [row["epoch"] for row in updates] == [1] * 6 + [2] * 6 + [3] * 6
    assert [row["step"] for row in rows(uninterrupted, "evaluation")] == [6, 12, 18]
    assert updates[-1]["loss"] < updates[0]["loss"] / 2
    assert updates[-1]["images"] == everything.batch_size


def test_the_best_weights_are_kept(uninterrupted: Path, everything: Recipe) -> None:
    figures = [row["nearness"] for row in rows(uninterrupted, "evaluation")]
    best = load_weights(uninterrupted / "best.pt")
    assert best.metrics == {"nearness": max(figures)}
    assert best.step == 6 * (1 + figures.index(max(figures)))
    student = everything.task.build().student
    put_into(student, best.student, source="best.pt")
    assert everything.evaluation is not None
    figures_again = everything.evaluation.build().evaluate(student, device=CPU)
    # In training the tensors are channels-last, which is another order of the sums in float32.
    assert figures_again["nearness"] == pytest.approx(max(figures), rel=1e-5)


def test_a_worse_evaluation_leaves_the_best_weights(tiny: Recipe, tmp_path: Path) -> None:
    """With a learning rate that overshoots at the end of its warm-up."""
    recipe = with_settings(
        tiny,
        [
            "schedule.kind=piecewise",
            "schedule.boundaries=1",
            "schedule.factor=200",
            "optimizer.clip_norm=none",
        ],
    )
    result = run(recipe, tmp_path)
    figures = [row["nearness"] for row in rows(tmp_path, "evaluation")]
    assert max(figures) == figures[0] > figures[-1]
    assert load_weights(tmp_path / "best.pt").step == 6
    assert result.best_metrics == {"nearness": figures[0]}
    assert result.metrics == {"nearness": figures[-1]}


def test_the_average_is_what_is_kept(uninterrupted: Path) -> None:
    checkpoint = load_checkpoint(uninterrupted / "latest.pt")
    task = {name.removeprefix("_network."): tensor for name, tensor in checkpoint.task.items()}
    assert task.keys() == checkpoint.student.keys()
    assert not torch.equal(task["6.weight"], checkpoint.student["6.weight"])


@pytest.mark.parametrize(
    ("sample", "settings"),
    [
        pytest.param(14, (), id="in the middle of an epoch"),
        pytest.param(21, (), id="at the end of an epoch"),
        pytest.param(1, (), id="in the first step"),
    ],
)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    everything: Recipe,
    uninterrupted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sample: int,
    settings: tuple[str, ...],
) -> None:
    monkeypatch.setenv("TINY_SIGNAL", f"SIGINT@{sample}")
    handler = signal.getsignal(signal.SIGINT)
    stopped = run(everything, tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler
    assert stopped.stopped_by == signal.SIGINT
    assert stopped.step == -(-sample // 4), "the step is ended, and no other begun"
    assert not stopped.finished
    monkeypatch.delenv("TINY_SIGNAL")
    assert run(everything, tmp_path, resume=True).finished
    assert without_times(tmp_path) == without_times(uninterrupted)


def test_a_killed_run_loses_the_steps_since_the_last_checkpoint_alone(
    everything: Recipe, uninterrupted: Path, tiny_name: str, tmp_path: Path
) -> None:
    """The kill comes in the 10th step, and the last checkpoint is that of the first epoch."""
    arguments = ["run", tiny_name, "--out", str(tmp_path), "--device", "cpu", "--threads", "1"]
    for setting in (*EVERYTHING, "checkpoint_minutes=5"):
        arguments += ["--set", setting]
    killed = subprocess.run(
        [sys.executable, "-m", "edgeocr_training", *arguments],
        env={**os.environ, **PATHS, "TINY_SIGNAL": "SIGKILL@38"},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert load_checkpoint(tmp_path / "latest.pt").step == 6
    assert len(losses(tmp_path)) == 9
    with (tmp_path / "metrics.jsonl").open("a") as log:
        log.write('{"kind": "update", "step": 10, "ep')
    (tmp_path / ".latest.pt.123").write_bytes(b"half a checkpoint")
    assert run(everything, tmp_path, resume=True).finished
    assert without_times(tmp_path) == without_times(uninterrupted)
    assert not list(tmp_path.glob(".*"))


PATHS = {
    "PYTHONPATH": os.pathsep.join(
        str(ROOT / folder) for folder in ("sdk", "training", "benchmarks")
    ),
    "OMP_NUM_THREADS": "1",
}


def test_a_finished_run_stays_as_it_is(everything: Recipe, uninterrupted: Path) -> None:
    before = without_times(uninterrupted)
    result = run(everything, uninterrupted, resume=True)
    assert result.finished
    assert result.metrics == {"nearness": before[-1]["nearness"]}
    assert without_times(uninterrupted) == before


def test_time_that_is_over_stops_a_run_with_a_checkpoint(tiny: Recipe, tmp_path: Path) -> None:
    result = run(tiny, tmp_path, max_minutes=1e-9)
    assert (result.step, result.steps, result.finished) == (0, STEPS, False)
    assert result.stopped_by is None
    assert load_checkpoint(tmp_path / "latest.pt").step == 0
    assert run(tiny, tmp_path, resume=True, max_minutes=60).finished


def test_accumulated_batches_are_one_large_batch(tiny: Recipe, tmp_path: Path) -> None:
    """Epochs of 22 samples: 3 batches of 8, or 6 of 4, of which the last is filled up alike."""
    large, small = (with_settings(tiny, ["epochs=2", setting]) for setting in LARGE_AND_SMALL)
    run(large, tmp_path / "large")
    run(small, tmp_path / "small")
    # A mean of two means against one mean: the order of the sums in float32.
    assert losses(tmp_path / "small") == pytest.approx(losses(tmp_path / "large"), rel=1e-4)


LARGE_AND_SMALL = ("batch_size=8", "accumulate=2")


def test_two_processes_are_one_with_the_double_batch(
    tiny: Recipe, tiny_name: str, tmp_path: Path
) -> None:
    run(with_settings(tiny, ["epochs=2", "batch_size=8"]), tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["run", tiny_name, "--out", str(tmp_path / "two"), "--set", "epochs=2"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "edgeocr_training", *command, "--device", "cpu"],
            env={
                **os.environ,
                **PATHS,
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "WORLD_SIZE": "2",
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert json.loads(outputs[0][0])["finished"]
    assert outputs[1][0] == "", "the first process speaks for both"
    # The mean over processes is another order of the sums in float32.
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    one, two = (rows(tmp_path / name, "evaluation")[-1] for name in ("one", "two"))
    assert two["nearness"] == pytest.approx(one["nearness"], rel=1e-3)
    with pytest.raises(CheckpointError, match="2 processes, not 1"):
        run(with_settings(tiny, ["epochs=2"]), tmp_path / "two", resume=True)


def test_a_loss_that_is_no_number_stops_before_the_update(tiny: Recipe, tmp_path: Path) -> None:
    recipe = with_settings(tiny, ["data.poisoned=3", "checkpoint_minutes=1e-9"])
    with pytest.raises(DivergenceError, match=r"loss is nan in step \d+ .*noise 3[,.].*latest\.pt"):
        run(recipe, tmp_path)
    checkpoint = load_checkpoint(tmp_path / "latest.pt")
    assert checkpoint.step == len(losses(tmp_path)), "the step before is the last one"
    assert all(bool(tensor.isfinite().all()) for tensor in checkpoint.task.values())


def test_broken_samples_are_named_in_the_log(
    tiny: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = with_settings(tiny, ["data.broken=3,5", "tolerated_broken_samples=2"])
    assert run(recipe, tmp_path).finished
    named = [fault for row in rows(tmp_path, "broken") for fault in row["samples"]]
    assert sorted(named) == ["noise 3: broken", "noise 5: broken"]
    assert capsys.readouterr().err.count("skipped: noise 3: broken") == 1


def test_too_many_broken_samples_end_the_run(tiny: Recipe, tmp_path: Path) -> None:
    recipe = with_settings(tiny, ["data.broken=3,5", "tolerated_broken_samples=1"])
    with pytest.raises(DataError, match="tolerated_broken_samples"):
        run(recipe, tmp_path)


def test_no_data_at_all_is_an_error(tiny: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="empty"):
        run(with_settings(tiny, ["data.count=0"]), tmp_path)


def test_a_run_is_not_overwritten(tiny: Recipe, uninterrupted: Path) -> None:
    before = (uninterrupted / "latest.pt").read_bytes()
    with pytest.raises(CheckpointError, match="go on with --resume"):
        run(tiny, uninterrupted)
    assert (uninterrupted / "latest.pt").read_bytes() == before


def test_only_a_run_of_the_same_recipe_is_resumed(
    everything: Recipe, uninterrupted: Path, tmp_path: Path
) -> None:
    other = with_settings(everything, ["task.channels=6", "seed=3"])
    with pytest.raises(
        CheckpointError, match=r"another recipe: task.channels: 4, not 6; seed: 0, not 3"
    ):
        run(other, uninterrupted, resume=True)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        run(everything, tmp_path, resume=True)


def test_what_decides_no_weights_may_change_in_a_run(
    everything: Recipe, uninterrupted: Path
) -> None:
    changed = with_settings(everything, ["checkpoint_minutes=3", "tolerated_broken_samples=1"])
    assert run(changed, uninterrupted, resume=True).finished


def test_a_damaged_checkpoint_is_an_error(
    everything: Recipe, uninterrupted: Path, tmp_path: Path
) -> None:
    content = (uninterrupted / "latest.pt").read_bytes()
    (tmp_path / "latest.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        run(everything, tmp_path, resume=True)


def test_a_checkpoint_whose_network_has_changed_is_an_error(
    everything: Recipe, uninterrupted: Path, tmp_path: Path
) -> None:
    """The recipe is the same, and the code behind it another."""
    checkpoint = load_checkpoint(uninterrupted / "latest.pt")
    tensors = {f"before.{name}": tensor for name, tensor in checkpoint.task.items()}
    save_checkpoint(replace(checkpoint, task=tensors), tmp_path / "latest.pt")
    with pytest.raises(CheckpointError, match="another network"):
        run(everything, tmp_path, resume=True)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As a full disk: bytes beyond are refused by the system."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_loses_nothing(
    everything: Recipe,
    uninterrupted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TINY_SIGNAL", "SIGTERM@14")
    assert run(everything, tmp_path).stopped_by == signal.SIGTERM
    monkeypatch.delenv("TINY_SIGNAL")
    before = (tmp_path / "latest.pt").read_bytes()
    with files_of_at_most(len(before) // 2), pytest.raises(CheckpointError, match="Cannot write"):
        run(everything, tmp_path, resume=True)
    assert (tmp_path / "latest.pt").read_bytes() == before
    assert run(everything, tmp_path, resume=True).finished
    assert without_times(tmp_path) == without_times(uninterrupted)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_to_the_whole_group_leaves_the_workers_at_work(
    name: str,
    everything: Recipe,
    uninterrupted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here it reaches the worker alone, which makes its next batches all the same."""
    monkeypatch.setenv("TINY_SIGNAL", f"{name}@14")
    assert run(replace(everything, workers=1), tmp_path).finished
    assert without_times(tmp_path) == without_times(uninterrupted)
