"""That an ONNX file of PP-OCRv2's recogniser becomes our recogniser, and starts others."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from numpy.typing import NDArray

from edgeocr_training.errors import CheckpointError
from edgeocr_training.importers.pp_ocrv2_rec import (
    initialise_from_pp_ocrv2,
    load_pp_ocrv2_recogniser,
)
from edgeocr_training.models.bilstm_neck import BiLstmConfig
from edgeocr_training.models.ctc_head import CtcHeadConfig
from edgeocr_training.models.mobilenet_v1_enhance import MobileNetV1EnhanceConfig
from edgeocr_training.models.recogniser import Recogniser, RecogniserConfig

PP_OCRV2 = RecogniserConfig()


def trained_a_little(config: RecogniserConfig) -> Recogniser:
    """A recogniser whose normalisations have seen something, so that folding them is no trifle."""
    torch.manual_seed(5)
    recogniser = config.build()
    with torch.no_grad():
        recogniser(torch.randn(2, 3, 32, 32))
        for module in recogniser.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.2, 0.2)
        # Logits that lie close together make 6,625 like probabilities, whatever came before.
        recogniser.head.classes.weight.mul_(100)
    return recogniser.eval()


class Probabilities(torch.nn.Module):
    """As the official file ends."""

    def __init__(self, recogniser: Recogniser) -> None:
        super().__init__()
        self.logits = recogniser.logits_only()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.logits(image)
        return logits.softmax(-1)


@pytest.fixture(scope="module")
def original() -> Recogniser:
    return trained_a_little(PP_OCRV2)


@pytest.fixture(scope="module")
def folded(original: Recogniser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another exporter's file: normalisation is in the weights, those of an LSTM are joined."""
    path = tmp_path_factory.mktemp("folded") / "rec.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an exporter that will go, and of LSTMs and batches
        torch.onnx.export(
            Probabilities(original).eval(),
            (torch.zeros(1, 3, 32, 100),),
            str(path),
            dynamo=False,
            input_names=["x"],
            opset_version=17,
            dynamic_axes={"x": {3: "width"}},
        )
    return path


def test_the_official_file_gives_what_onnx_runtime_makes_of_it(
    official_recogniser: Path, word_images: list[NDArray[np.uint8]]
) -> None:
    """On words of street scenes and of magazines, each at the width that it asks for."""
    recogniser = load_pp_ocrv2_recogniser(official_recogniser)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(official_recogniser), options)
    read = 0
    for pixels in word_images:
        width = max(1, round(pixels.shape[1] * 8 / pixels.shape[0])) * 4
        line_HW3 = np.asarray(cv2.resize(pixels, (width, 32)))
        image = recogniser.normalise(torch.from_numpy(line_HW3[None])).contiguous()
        with torch.inference_mode():
            actual = recogniser(image).logits_BTK.softmax(-1).numpy()
        (expected,) = session.run(None, {"x": image.numpy()})
        # float32 sums in another order, through two recurrent layers.
        assert np.abs(actual - expected).max() <= 1e-4
        read += int((expected[0, :, 1:].max(-1) > 0.5).sum())
    assert read > len(word_images), "lines without text prove little"


def test_a_folded_file_gives_the_same_recogniser(original: Recogniser, folded: Path) -> None:
    imported = load_pp_ocrv2_recogniser(folded)
    image = torch.randn(1, 3, 32, 64)
    with torch.inference_mode():
        actual, expected = imported(image), original(image)
    for name in ("logits_BTK", "features_BTC", "backbone_BCHW"):
        torch.testing.assert_close(
            getattr(actual, name), getattr(expected, name), atol=1e-4, rtol=1e-4
        )


def test_another_alphabet_starts_from_all_but_the_head(original: Recogniser, folded: Path) -> None:
    english = replace(PP_OCRV2, head=CtcHeadConfig(classes=96)).build()
    before = {name: tensor.clone() for name, tensor in english.head.state_dict().items()}
    initialise_from_pp_ocrv2(english, folded, parts=("backbone", "neck"))
    assert all(torch.equal(t, before[name]) for name, t in english.head.state_dict().items())
    for ours, theirs in zip(english.neck.parameters(), original.neck.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    image = torch.randn(1, 3, 32, 40)
    with torch.inference_mode():
        torch.testing.assert_close(
            english.eval().backbone(image), original.backbone(image), atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            replace(PP_OCRV2, backbone=MobileNetV1EnhanceConfig(scale=0.5)),
            r"backbone\.trunk\.stem\.0\.conv has",
        ),
        (
            replace(PP_OCRV2, backbone=MobileNetV1EnhanceConfig(gated_blocks=0)),
            "has 31 convolutions where the network has 27",
        ),
        (replace(PP_OCRV2, neck=BiLstmConfig(hidden=48)), r"neck\.lstm\.weight_ih_l0 has"),
        (replace(PP_OCRV2, neck=BiLstmConfig(layers=1)), "2 layers of LSTM"),
        (replace(PP_OCRV2, head=CtcHeadConfig(classes=96)), r"head\.classes\.weight has"),
        (
            replace(PP_OCRV2, head=CtcHeadConfig(mid_channels=None)),
            "2 linear layers; the recogniser's head has 1",
        ),
    ],
    ids=["scale", "gates", "hidden", "layers", "classes", "head"],
)
def test_a_recogniser_of_another_shape_is_told_which_tensor(
    folded: Path, config: RecogniserConfig, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        initialise_from_pp_ocrv2(config.build(), folded)


def test_a_file_that_computes_something_else_is_noticed(folded: Path, tmp_path: Path) -> None:
    """All its weights fit; only its output tells."""
    model = onnx.load(str(folded))
    (pool,) = (node for node in model.graph.node if node.op_type == "MaxPool")
    kernel = [a for a in pool.attribute if a.name in ("kernel_shape", "strides")]
    other = onnx.helper.make_node("AveragePool", pool.input, pool.output)
    other.attribute.extend(kernel)
    pool.CopyFrom(other)
    path = tmp_path / "rec.onnx"
    onnx.save(model, str(path))
    with pytest.raises(CheckpointError, match="its output differs"):
        load_pp_ocrv2_recogniser(path)


def test_an_lstm_of_one_direction_is_refused(folded: Path, tmp_path: Path) -> None:
    model = onnx.load(str(folded))
    for node in model.graph.node:
        if node.op_type == "LSTM":
            kept = [a for a in node.attribute if a.name != "direction"]
            del node.attribute[:]
            node.attribute.extend(kept)
    path = tmp_path / "rec.onnx"
    onnx.save(model, str(path))
    with pytest.raises(CheckpointError, match="reads forward only"):
        load_pp_ocrv2_recogniser(path)


def test_weights_that_depend_on_the_image_are_refused(folded: Path, tmp_path: Path) -> None:
    model = onnx.load(str(folded))
    lstm = next(node for node in model.graph.node if node.op_type == "LSTM")
    lstm.input[1] = "x"
    path = tmp_path / "rec.onnx"
    onnx.save(model, str(path))
    with pytest.raises(CheckpointError, match="'x' are no constants"):
        load_pp_ocrv2_recogniser(path)


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "rec.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"rec\.onnx"):
        load_pp_ocrv2_recogniser(path)
