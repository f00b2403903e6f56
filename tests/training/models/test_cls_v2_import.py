"""That an ONNX file of PP-OCR's classifier becomes our classifier, and starts others."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from numpy.typing import NDArray

from edgeocr_training.errors import CheckpointError
from edgeocr_training.importers.cls_v2 import initialise_from_cls_v2, load_cls_v2
from edgeocr_training.models.classifier import Classifier, ClassifierConfig
from edgeocr_training.models.line_mobilenet_v3 import LineMobileNetV3Config
from edgeocr_training.models.line_pp_lcnet import LinePpLcNetConfig

PP_OCR = ClassifierConfig()


@pytest.fixture(scope="module")
def original() -> Classifier:
    """Its normalisations have seen something, so that folding them is no trifle."""
    torch.manual_seed(5)
    classifier = PP_OCR.build()
    with torch.no_grad():
        classifier(torch.randn(2, 3, 48, 192))
        for module in classifier.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.2, 0.2)
    return classifier.eval()


@pytest.fixture(scope="module")
def folded(original: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another exporter's file: normalisation is in the weights."""
    path = tmp_path_factory.mktemp("folded") / "cls.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an exporter that will go, and of the fixed size
        torch.onnx.export(
            torch.nn.Sequential(original, torch.nn.Softmax(-1)).eval(),
            (torch.zeros(1, 3, 48, 192),),
            str(path),
            dynamo=False,
            input_names=["x"],
            opset_version=17,
            dynamic_axes={"x": {0: "batch"}},
        )
    return path


def test_the_official_file_gives_what_onnx_runtime_makes_of_it(
    official_classifier: Path, word_images: list[NDArray[np.uint8]]
) -> None:
    """On words that stand upright and on their head."""
    classifier = load_cls_v2(official_classifier)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(official_classifier), options)
    turned: list[float] = []
    for pixels in word_images:
        line_HW3 = np.zeros((48, 192, 3), np.uint8)
        width = min(192, round(pixels.shape[1] * 48 / pixels.shape[0]))
        line_HW3[:, :width] = cv2.resize(pixels, (width, 48))
        turned_HW3 = line_HW3.copy()
        turned_HW3[:, :width] = line_HW3[::-1, :width][:, ::-1]
        both = torch.from_numpy(np.stack([line_HW3, turned_HW3]))
        image = classifier.normalise(both).contiguous()
        with torch.inference_mode():
            actual = classifier(image).softmax(-1).numpy()
        (expected,) = session.run(None, {"x": image.numpy()})
        # float32 sums in another order.
        assert np.abs(actual - expected).max() <= 1e-4
        turned += actual[:, 1].tolist()
    assert min(turned) < 0.1, "a classifier that always says the same proves little"
    assert max(turned) > 0.9


def test_a_folded_file_gives_the_same_classifier(original: Classifier, folded: Path) -> None:
    imported = load_cls_v2(folded)
    image = torch.randn(2, 3, 48, 192)
    with torch.inference_mode():
        torch.testing.assert_close(imported(image), original(image), atol=1e-4, rtol=1e-4)


def test_smaller_images_start_from_it(original: Classifier, folded: Path) -> None:
    small = ClassifierConfig(height=32, width=100).build()
    initialise_from_cls_v2(small, folded)
    torch.testing.assert_close(small.classes.weight, original.classes.weight)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            ClassifierConfig(backbone=LineMobileNetV3Config(row_strides=(2, 2, 2, 2))),
            r"backbone\.residuals\.\d+\.\w+\.conv has",
        ),
        (ClassifierConfig(backbone=LinePpLcNetConfig()), "of another kind"),
    ],
    ids=["scale", "lcnet"],
)
def test_a_classifier_of_another_shape_is_told_why(
    folded: Path, config: ClassifierConfig, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        initialise_from_cls_v2(config.build(), folded)


def test_a_file_of_another_network_is_refused(official_recogniser: Path) -> None:
    with pytest.raises(CheckpointError, match="2 linear layers"):
        load_cls_v2(official_recogniser)


def test_a_file_that_computes_something_else_is_noticed(folded: Path, tmp_path: Path) -> None:
    """All its weights fit; only its output tells."""
    model = onnx.load(str(folded))
    (pool,) = (node for node in model.graph.node if node.op_type == "MaxPool")
    kept = [a for a in pool.attribute if a.name in ("kernel_shape", "strides")]
    other = onnx.helper.make_node("AveragePool", pool.input, pool.output)
    other.attribute.extend(kept)
    pool.CopyFrom(other)
    path = tmp_path / "cls.onnx"
    onnx.save(model, str(path))
    with pytest.raises(CheckpointError, match="its output differs"):
        load_cls_v2(path)


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cls.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cls\.onnx"):
        load_cls_v2(path)
