"""That an exported detector is the detector, at every size, and that nothing else is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from torch import Tensor, nn

from edgeocr_training.errors import ExportError
from edgeocr_training.models.complexity import count_parameters
from edgeocr_training.models.db_head import DbHead, MapBranch
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.edge_backbone import EdgeBackboneConfig
from edgeocr_training.models.edge_detector import edge_detector
from edgeocr_training.models.onnx_export import INPUT, OPSET, PROBABILITY, export_onnx
from edgeocr_training.models.rsefpn import RseFpnConfig


class ExportedWrong(nn.Module):
    """Computes something else while it is exported."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = MapBranch(channels)

    def forward(self, feature_BCHW: Tensor) -> Tensor:
        probability_B1HW: Tensor = self.branch(feature_BCHW)
        return probability_B1HW / 2 if torch.compiler.is_exporting() else probability_B1HW


def tiny_detector(branch: type[nn.Module] = MapBranch) -> Detector:
    """As few layers as have every operator of the published detectors, and both activations."""
    torch.manual_seed(3)
    backbone = EdgeBackboneConfig(stem=4, channels=(4, 4, 4, 4), residuals=(0, 0, 0, 0)).build()
    detector = Detector(
        backbone=backbone,
        neck=RseFpnConfig(channels=16).build(backbone.out_channels),
        head=DbHead(lambda: branch(16)),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    with torch.no_grad():
        for _ in range(3):
            detector(torch.randn(2, 3, 64, 64))
    return detector


@pytest.fixture(scope="module")
def detector() -> Detector:
    return tiny_detector()


@pytest.fixture(scope="module")
def exported(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "det.onnx"
    detector.train()
    export_onnx(detector, path, shape=(64, 96))
    return path


@pytest.mark.parametrize("shape", [(64, 96), (32, 32), (160, 64), (64, 320)])
def test_onnx_runtime_computes_the_same_map_at_every_size(
    detector: Detector, exported: Path, shape: tuple[int, int]
) -> None:
    image = torch.randn(1, 3, *shape)
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    (actual,) = session.run([PROBABILITY], {INPUT: image.numpy()})
    was_training = detector.training
    detector.eval()
    with torch.inference_mode():
        expected = detector.probability(image).numpy()
    detector.train(was_training)
    # Sums in another order, and normalisation folded into the weights.
    assert np.abs(actual - expected).max() <= 1e-4
    assert expected.std() > 1e-2, "a flat map proves little"


def test_the_graph_is_what_converters_take(detector: Detector, exported: Path) -> None:
    model = onnx.load(str(exported))
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [OPSET]
    assert [value.name for value in model.graph.input] == [INPUT]
    assert [value.name for value in model.graph.output] == [PROBABILITY]
    kinds = {node.op_type for node in model.graph.node}
    assert {"GlobalAveragePool", "HardSwish", "ConvTranspose", "Resize"} <= kinds
    # Normalisation is folded; nothing computes a shape.
    assert kinds.isdisjoint({"BatchNormalization", "ReduceMean", "Shape", "Gather", "Reshape"})


def test_the_threshold_branch_stays_behind(detector: Detector, exported: Path) -> None:
    model = onnx.load(str(exported))
    assert sum(node.op_type == "ConvTranspose" for node in model.graph.node) == 2
    weights = sum(int(np.prod(item.dims)) for item in model.graph.initializer)
    assert weights < count_parameters(detector.probability_only()) + 100


def test_a_file_says_nothing_of_the_machine(exported: Path) -> None:
    content = exported.read_bytes()
    assert b".py" not in content
    assert b"edgeocr_training" not in content


def test_the_student_is_left_as_it_was(detector: Detector, exported: Path) -> None:
    assert exported.is_file()
    assert detector.training
    assert all(module.training for module in detector.modules())


def test_another_map_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "det.onnx"
    path.write_bytes(b"what was there")
    with pytest.raises(ExportError, match="computes another probability at 64x64"):
        export_onnx(tiny_detector(ExportedWrong), path, shape=(64, 64))
    assert path.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("shape", [(64, 100), (32, 64), (64, 16384), (0, 64), (-64, 64)])
def test_shapes_that_no_detector_takes_are_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    with pytest.raises(ExportError, match="multiples of 32 from 64 to 8192"):
        export_onnx(edge_detector("small").build(), tmp_path / "x", shape=shape)
    assert not list(tmp_path.iterdir())


def test_only_detectors_are_exported(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="a Linear is no detector, recogniser or classifier"):
        export_onnx(nn.Linear(1, 1), tmp_path / "x", shape=(64, 64))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere/det.onnx"
    with pytest.raises(ExportError, match="nowhere"):
        export_onnx(edge_detector("small").build(), path, shape=(64, 64))
