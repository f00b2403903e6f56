"""Checkpoints and weights as files."""

from __future__ import annotations

import pickle
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgeocr_training.checkpoint import (
    Checkpoint,
    Weights,
    halved,
    load_checkpoint,
    load_weights,
    put_into,
    save_checkpoint,
    save_weights,
)
from edgeocr_training.errors import CheckpointError


@pytest.fixture
def checkpoint() -> Checkpoint:
    """Of a linear layer after a step of Adam."""
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return Checkpoint(
        recipe={"name": "line", "epochs": 3},
        fingerprint="abc",
        world_size=1,
        step=1,
        evaluated_step=1,
        metrics={"hmean": 0.5},
        best_metrics={"hmean": 0.6},
        task=layer.state_dict(),
        optimizer=optimizer.state_dict(),
        student=layer.state_dict(),
    )


@pytest.fixture
def weights(checkpoint: Checkpoint) -> Weights:
    return Weights(recipe="line", step=1, metrics={"hmean": 0.5}, student=checkpoint.student)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other) and one.dtype == other.dtype
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_a_checkpoint_comes_back_as_it_was(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "new" / "latest.pt"
    save_checkpoint(checkpoint, path)
    loaded = load_checkpoint(path)
    for field in fields(Checkpoint):
        assert same(getattr(loaded, field.name), getattr(checkpoint, field.name)), field.name
    assert list(path.parent.iterdir()) == [path]


def test_weights_come_from_weights_and_from_a_checkpoint(
    checkpoint: Checkpoint, weights: Weights, tmp_path: Path
) -> None:
    save_checkpoint(checkpoint, tmp_path / "latest.pt")
    save_weights(weights, tmp_path / "best.pt")
    for name in ("latest.pt", "best.pt"):
        loaded = load_weights(tmp_path / name)
        assert (loaded.recipe, loaded.step, loaded.metrics) == ("line", 1, {"hmean": 0.5})
        assert same(loaded.student, weights.student)


def test_metrics_of_an_earlier_step_are_not_those_of_the_weights(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    save_checkpoint(replace(checkpoint, step=2), tmp_path / "latest.pt")
    assert load_weights(tmp_path / "latest.pt").metrics == {}


def test_halved_weights_fit_the_network_and_are_near(weights: Weights, tmp_path: Path) -> None:
    counted = replace(weights, student={**weights.student, "count": torch.tensor(2**20)})
    save_weights(halved(counted), tmp_path / "half.pt")
    tensors = dict(load_weights(tmp_path / "half.pt").student)
    assert tensors["weight"].dtype == torch.float16
    assert int(tensors.pop("count")) == 2**20, "a counter is no weight"
    layer = nn.Linear(3, 2)
    put_into(layer, tensors, source="half.pt")
    assert layer.weight.dtype == torch.float32
    # float16 has 11 bits.
    torch.testing.assert_close(layer.weight.data, weights.student["weight"], rtol=2**-11, atol=0)


def test_what_float16_cannot_hold_is_refused(weights: Weights) -> None:
    large = replace(weights, student={"weight": torch.tensor([1e5])})
    with pytest.raises(CheckpointError, match="weight has values that float16 cannot hold"):
        halved(large)


@given(share=st.floats(0, 0.999))
def test_a_file_that_was_cut_off_is_refused(
    share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / "best.pt"
    save_weights(Weights(recipe="r", step=1, metrics={}, student={"w": torch.ones(9)}), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"best\.pt is damaged, or no checkpoint"):
        load_weights(path)


class Malicious:
    """Says when it is made from a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a file of weights ran its own code",)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    for name, write in (
        ("zip.pt", lambda path: torch.save({"kind": Malicious()}, path)),
        ("pickle.pt", lambda path: path.write_bytes(pickle.dumps(Malicious()))),
    ):
        write(tmp_path / name)
        with pytest.raises(CheckpointError, match=name):
            load_weights(tmp_path / name)


@pytest.mark.parametrize(
    "content", [{"state_dict": {}}, [1, 2], {"version": 1}, {"version": 2, "kind": "Weights"}]
)
def test_another_file_of_torch_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"other\.pt"):
        load_weights(tmp_path / "other.pt")


def test_weights_are_no_checkpoint_to_go_on_from(weights: Weights, tmp_path: Path) -> None:
    save_weights(weights, tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match="no checkpoint file of a training run"):
        load_checkpoint(tmp_path / "best.pt")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(tmp_path / "nowhere.pt")
    with pytest.raises(CheckpointError, match="Cannot read"):
        load_checkpoint(tmp_path)


def test_weights_of_another_network_are_refused(weights: Weights) -> None:
    for network in (
        nn.Linear(3, 4),
        nn.Conv1d(3, 2, 1, bias=False),
        nn.Sequential(nn.Linear(3, 2)),
    ):
        with pytest.raises(CheckpointError, match=r"best\.pt is of another network"):
            put_into(network, weights.student, source="best.pt")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As a full disk: bytes beyond are refused by the system."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_file_before_it(weights: Weights, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    save_weights(weights, path)
    before = path.read_bytes()
    later = replace(weights, step=2, student={"weight": torch.ones(10_000)})
    with (
        files_of_at_most(10_000),
        pytest.raises(CheckpointError, match=r"Cannot write .*best\.pt: .* is untouched"),
    ):
        save_weights(later, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
