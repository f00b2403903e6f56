"""What a detector may start from, and what is told where it can't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edgeocr_training.errors import CheckpointError, RecipeError
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.edge_detector import edge_detector
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.models.rsefpn import RseFpnConfig

SMALL = edge_detector("small")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "best.pt"
    torch.save({"student": SMALL.build().state_dict()}, path)
    return path


def copy_of(detector: Detector) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in detector.state_dict().items()}


def test_none_leaves_the_weights() -> None:
    detector = SMALL.build()
    before = copy_of(detector)
    InitialWeights().load_into(detector)
    assert all(torch.equal(tensor, before[name]) for name, tensor in detector.state_dict().items())


def test_own_weights_are_loaded_all(own: Path) -> None:
    detector = SMALL.build()
    InitialWeights(own=str(own)).load_into(detector)
    saved = torch.load(own, weights_only=True)["student"]
    assert all(torch.equal(tensor, saved[name]) for name, tensor in detector.state_dict().items())


def test_a_part_of_own_weights_is_loaded(own: Path) -> None:
    detector = DetectorConfig(backbone=SMALL.backbone).build()
    before = copy_of(detector)
    InitialWeights(own=str(own), parts=("backbone",)).load_into(detector)
    saved = torch.load(own, weights_only=True)["student"]
    for name, tensor in detector.state_dict().items():
        source = saved if name.startswith("backbone.") else before
        assert torch.equal(tensor, source[name]), name


def test_official_weights_are_loaded(write_folded: Callable[[Detector], Path]) -> None:
    path = write_folded(DetectorConfig(neck=RseFpnConfig()).build())
    detector = DetectorConfig().build()
    before = copy_of(detector)
    InitialWeights(official=str(path), parts=("backbone",)).load_into(detector)
    changed = {
        name.partition(".")[0]
        for name, tensor in detector.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert changed == {"backbone"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("backbone.stem.conv.weight"), r"has no 'backbone\.stem\.conv\.weight'"),
        (lambda w: w.update(extra=torch.zeros(1)), "the detector has no 'extra'"),
        (
            lambda w: w.update({"backbone.stem.norm.bias": torch.zeros(9)}),
            r"'backbone\.stem\.norm\.bias' has the shape \(9,\), not \(8,\)",
        ),
    ],
    ids=["missing", "unknown", "shape"],
)
def test_a_tensor_that_does_not_fit_is_named(
    own: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    content = torch.load(own, weights_only=True)
    change(content["student"])
    torch.save(content, own)
    detector = SMALL.build()
    before = copy_of(detector)
    with pytest.raises(CheckpointError, match=message):
        InitialWeights(own=str(own)).load_into(detector)
    assert all(torch.equal(tensor, before[name]) for name, tensor in detector.state_dict().items())


@pytest.mark.parametrize(
    "content", [None, b"", b"text", {"teacher": {}}, {"student": [1]}, {"student": {"a": 1}}, 7]
)
def test_a_file_that_holds_no_weights_is_named(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "best.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"best\.pt"):
        InitialWeights(own=str(path)).load_into(SMALL.build())


def test_a_file_can_run_no_code(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    torch.save({"student": Trap(tmp_path / "sprung")}, path)
    with pytest.raises(CheckpointError):
        InitialWeights(own=str(path)).load_into(SMALL.build())
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Unpickled, it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_only_one_file_may_be_named(own: Path) -> None:
    with pytest.raises(RecipeError, match="not from both"):
        InitialWeights(own=str(own), official="det.onnx").load_into(SMALL.build())
