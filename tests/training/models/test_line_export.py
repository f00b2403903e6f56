"""That exported recognisers and classifiers are what they were, at every width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from torch import Tensor, nn

from edgeocr_conversion.sources import charset_of
from edgeocr_training.errors import ExportError
from edgeocr_training.models.bilstm_neck import BiLstmConfig
from edgeocr_training.models.classifier import Classifier, ClassifierConfig
from edgeocr_training.models.convolution import ConvNorm
from edgeocr_training.models.ctc_head import CtcHead, CtcHeadConfig
from edgeocr_training.models.edge_line_backbone import EdgeLineBackboneConfig
from edgeocr_training.models.edge_line_neck import EdgeLineNeck, EdgeLineNeckConfig
from edgeocr_training.models.normalisation import HALF
from edgeocr_training.models.onnx_export import INPUT, LOGITS, export_onnx
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.models.text_line import FeatureBackbone, SequenceNeck

CHARACTERS = ("a", "#", "\u2028", " ")
CLASSES = 5


class BothNecks(SequenceNeck):
    """One export takes its time; this has the operators of both."""

    def __init__(self) -> None:
        super().__init__()
        self.edge: EdgeLineNeck = EdgeLineNeckConfig(channels=6, kernels=(5,)).build(8)
        self.recurrent = BiLstmConfig(hidden=3).build(6)
        self.out_channels = 6

    def forward(self, feature_BC1T: Tensor) -> Tensor:
        sequence_BTC = self.edge(feature_BC1T)
        recurrent_BTC: Tensor = self.recurrent(sequence_BTC.transpose(1, 2).unsqueeze(2))
        return recurrent_BTC


class OneLayer(FeatureBackbone):
    def __init__(self) -> None:
        super().__init__()
        self.out_channels = 4
        self.layer = ConvNorm(3, 4, kernel=3, stride=(4, 2), activation="hard_swish")

    def forward(self, image_B3HW: Tensor) -> Tensor:
        feature_BCHW: Tensor = self.layer(image_B3HW)
        return feature_BCHW


class OneLayerConfig:
    def build(self) -> FeatureBackbone:
        return OneLayer()


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    torch.manual_seed(3)
    backbone = EdgeLineBackboneConfig(
        stem=4, channels=(4, 4), residuals=(0, 0), line_channels=8, line_kernels=(5,)
    ).build()
    network = Recogniser(
        backbone=backbone,
        neck=BothNecks(),
        head=CtcHead(6, CtcHeadConfig(mid_channels=4, classes=CLASSES)),
        mean=HALF,
        std=HALF,
    )
    network(torch.randn(2, 3, 32, 16))
    return network


@pytest.fixture(scope="module")
def exported(recogniser: Recogniser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "rec.onnx"
    recogniser.train()
    export_onnx(recogniser, path, shape=(32, 64), characters=CHARACTERS)
    return path


def run(path: Path, image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (output,) = session.run([LOGITS], {INPUT: image.numpy()})
    return np.asarray(output)


def inferred(network: nn.Module, image: Tensor) -> Tensor:
    network.eval()
    with torch.inference_mode():
        logits: Tensor = network(image)
    return logits


def test_the_file_names_its_characters_as_the_converter_wants_them(
    recogniser: Recogniser, exported: Path, tmp_path: Path
) -> None:
    assert charset_of(exported, None) == CHARACTERS
    with pytest.raises(ExportError, match=f"{CLASSES} classes, and there are {CLASSES} characters"):
        export_onnx(recogniser, tmp_path / "x", shape=(32, 64), characters=(*CHARACTERS, "é"))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("width", [4, 64, 100, 320])
def test_a_line_of_every_width_is_read_alike(
    recogniser: Recogniser, exported: Path, width: int
) -> None:
    image = torch.randn(1, 3, 32, width)
    actual = run(exported, image)
    assert actual.shape == (1, width // 4, CLASSES)
    # float32 sums in another order, with normalisation folded into the weights.
    expected = inferred(recogniser.logits_only(), image).numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert expected.std() > 1e-2, "flat logits prove little"


def test_the_graph_says_what_varies(exported: Path) -> None:
    """An example's number of steps that stays in the graph breaks engines at other widths."""
    graph = onnx.load(str(exported)).graph
    (image,), (logits,) = graph.input, graph.output
    sizes = image.type.tensor_type.shape.dim
    assert [sizes[i].dim_value for i in range(3)] == [1, 3, 32]
    assert sizes[3].dim_param
    steps = logits.type.tensor_type.shape.dim
    assert (steps[0].dim_value, steps[1].dim_param, steps[2].dim_value) == (1, "steps", CLASSES)
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("LSTM") == 2
    assert "GlobalAveragePool" in kinds
    assert "BatchNormalization" not in kinds


def test_a_file_says_nothing_of_the_machine(exported: Path) -> None:
    content = exported.read_bytes()
    assert b".py" not in content
    assert b"edgeocr_training" not in content


def test_a_classifier_is_exported_for_its_size(tmp_path: Path) -> None:
    torch.manual_seed(3)
    classifier: Classifier = ClassifierConfig(
        backbone=OneLayerConfig(), height=32, width=40, wide_channels=6
    ).build()
    classifier(torch.randn(2, 3, 32, 40))
    path = tmp_path / "cls.onnx"
    export_onnx(classifier, path)
    image = torch.randn(1, 3, 32, 40)
    actual = run(path, image)
    assert actual.shape == (1, 2)
    np.testing.assert_allclose(actual, inferred(classifier, image).numpy(), atol=1e-4)


@pytest.mark.parametrize("shape", [(48, 320), (32, 322), (32, 4), (32, 0), (32, 8196)])
def test_shapes_that_no_recogniser_takes_are_refused(
    recogniser: Recogniser, tmp_path: Path, shape: tuple[int, int]
) -> None:
    with pytest.raises(ExportError, match="height is 32, its width a multiple of 4"):
        export_onnx(recogniser, tmp_path / "x", shape=shape)
    assert not list(tmp_path.iterdir())


def test_a_classifier_is_not_exported_for_another_size(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"32x100 is no shape to export for: .* is 48x192"):
        export_onnx(ClassifierConfig().build(), tmp_path / "x", shape=(32, 100))
    assert not list(tmp_path.iterdir())
