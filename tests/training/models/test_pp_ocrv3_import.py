"""That an ONNX file of PP-OCRv3's detector becomes our detector, and starts others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from edgeocr_training.errors import CheckpointError
from edgeocr_training.importers.onnx_layers import read_layers
from edgeocr_training.importers.pp_ocrv3_det import (
    initialise_from_pp_ocrv3,
    load_pp_ocrv3_detector,
)
from edgeocr_training.models.db_head import MapBranch
from edgeocr_training.models.dbfpn import DbFpn, DbFpnConfig
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.edge_detector import edge_detector
from edgeocr_training.models.mobilenet_v3 import MobileNetV3Config
from edgeocr_training.models.rsefpn import RseFpnConfig

PP_OCRV3 = DetectorConfig(neck=RseFpnConfig())


def trained_a_little(config: DetectorConfig) -> Detector:
    """A detector whose normalisations have seen something, so that folding them is no trifle."""
    torch.manual_seed(5)
    detector = config.build()
    with torch.no_grad():
        for _ in range(3):
            detector(torch.randn(2, 3, 64, 64))
        for module in detector.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.2, 0.2)
        assert isinstance(detector.head.probability_branch, MapBranch)
        # Logits of hundreds, as random layers make them, would enlarge every rounding.
        detector.head.probability_branch.emit.weight.mul_(0.1)
    return detector.eval()


@pytest.fixture
def folded(write_folded: Callable[[Detector], Path]) -> Path:
    return write_folded(trained_a_little(PP_OCRV3))


def test_the_official_file_gives_what_onnx_runtime_makes_of_it(
    official_detector: Path, page_images: list[NDArray[np.uint8]]
) -> None:
    """On a receipt and a page, and on photographs and a form where they are.

    The graph as it is written: with the layers that ONNX Runtime's optimiser fuses, its map lies
    up to 6e-4 from one computed in float64 (on scanned forms), ours 5e-5.
    """
    detector = load_pp_ocrv3_detector(official_detector)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(official_detector), options)
    text = 0.0
    for number, pixels in enumerate(page_images):
        pixels_BHW3 = np.asarray(cv2.resize(pixels, (512, 384)))[None]
        image = detector.normalise(torch.from_numpy(pixels_BHW3)).contiguous()
        with torch.inference_mode():
            actual = detector.probability(image).numpy()
        (expected,) = session.run(None, {"x": image.numpy()})
        assert np.abs(actual - expected).max() <= 1e-4, number
        text += float((expected > 0.5).mean())
    assert text > 0.01, "maps without text prove little"


def test_a_folded_file_gives_the_same_detector(folded: Path) -> None:
    """Normalisation that is in the weights of the file is none in ours."""
    original = trained_a_little(PP_OCRV3)
    imported = load_pp_ocrv3_detector(folded)
    image = torch.randn(1, 3, 96, 64)
    with torch.inference_mode():
        torch.testing.assert_close(
            imported.probability(image), original.probability(image), atol=1e-4, rtol=0
        )
    assert any(layer.norm is None and layer.bias is not None for layer in read_layers(folded))


def test_pp_ocrv2s_student_starts_from_it(official_detector: Path) -> None:
    official = load_pp_ocrv3_detector(official_detector)
    student = DetectorConfig().build()
    threshold = {
        name: tensor.clone()
        for name, tensor in student.state_dict().items()
        if "threshold_branch" in name
    }
    initialise_from_pp_ocrv3(student, official_detector)
    state, source = student.state_dict(), official.state_dict()
    for name, tensor in state.items():
        if name in threshold:
            assert torch.equal(tensor, threshold[name])
        elif not name.startswith("neck."):
            assert torch.equal(tensor, source[name]), name
    assert isinstance(student.neck, DbFpn)
    for group in ("lateral", "smooth"):
        for level in range(4):
            gated = source[f"neck.{group}.{level}.conv.weight"]
            torch.testing.assert_close(state[f"neck.{group}.{level}.weight"], gated * 1.4)


def test_a_started_student_sees_text_already(
    official_detector: Path, page_images: list[NDArray[np.uint8]]
) -> None:
    """Of a receipt's text pixels it finds most, untrained: the neck fits the head."""
    official = load_pp_ocrv3_detector(official_detector)
    student = DetectorConfig().build().eval()
    initialise_from_pp_ocrv3(student, official_detector)
    pixels_BHW3 = np.asarray(cv2.resize(page_images[0], (480, 640)))[None]
    image = student.normalise(torch.from_numpy(pixels_BHW3))
    with torch.inference_mode():
        ours = student.probability(image) > 0.3
        theirs = official.probability(image) > 0.3
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.3


def test_parts_are_taken_alone(folded: Path) -> None:
    student = DetectorConfig(neck=DbFpnConfig(channels=256)).build()
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    initialise_from_pp_ocrv3(student, folded, parts=("backbone",))
    changed = {
        name.partition(".")[0]
        for name, tensor in student.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert changed == {"backbone"}


def test_gates_that_the_file_lacks_stay_random(folded: Path) -> None:
    gated = DetectorConfig(backbone=MobileNetV3Config(squeeze_excite=True)).build()
    before = {name: tensor.clone() for name, tensor in gated.state_dict().items()}
    initialise_from_pp_ocrv3(gated, folded, parts=("backbone",))
    after = gated.state_dict()
    assert all(torch.equal(after[n], before[n]) for n in after if ".gate." in n)
    assert not torch.equal(after["backbone.stem.conv.weight"], before["backbone.stem.conv.weight"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DetectorConfig(backbone=MobileNetV3Config(scale=1.0)), r"backbone\.stem\.conv has"),
        (DetectorConfig(neck=DbFpnConfig(channels=256)), r"neck\.lateral\.3 has"),
        (edge_detector("small"), "of another kind"),
    ],
    ids=["scale", "channels", "edge"],
)
def test_a_detector_of_another_shape_is_told_which_tensor(
    folded: Path, config: DetectorConfig, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        initialise_from_pp_ocrv3(config.build(), folded)


def test_a_file_of_another_network_is_refused(write_folded: Callable[[Detector], Path]) -> None:
    path = write_folded(edge_detector("small").build())
    with pytest.raises(CheckpointError, match="convolutions; PP-OCRv3's mobile detector has 74"):
        load_pp_ocrv3_detector(path)


def test_layers_in_another_order_are_noticed(folded: Path) -> None:
    """The 3x3 convolutions of the neck have one shape, so do their gates: only the map tells."""
    model = onnx.load(str(folded))
    nodes = list(model.graph.node)
    smooth = {layer.name for layer in read_layers(folded) if layer.weight.shape == (24, 96, 3, 3)}
    first, second, third, *_ = (
        i for i, node in enumerate(nodes) if node.op_type == "Conv" and node.input[1] in smooth
    )
    swapped = [*nodes[:first], *nodes[second:third], *nodes[first:second], *nodes[third:]]
    del model.graph.node[:]
    model.graph.node.extend(swapped)
    onnx.save(model, str(folded))
    with pytest.raises(CheckpointError, match="its output differs"):
        load_pp_ocrv3_detector(folded)


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "det.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"det\.onnx"):
        load_pp_ocrv3_detector(path)


def test_weights_that_are_computed_are_refused(folded: Path) -> None:
    model = onnx.load(str(folded))
    (stem,) = (node for node in model.graph.node if node.op_type == "Conv" and "x" in node.input)
    for item in model.graph.initializer:
        if item.name == stem.input[1]:
            values = numpy_helper.to_array(item)
            model.graph.initializer.remove(item)
            break
    model.graph.node.insert(0, onnx.helper.make_node("ConstantOfShape", ["shape"], [stem.input[1]]))
    model.graph.initializer.append(
        numpy_helper.from_array(np.array(values.shape, np.int64), "shape")
    )
    onnx.save(model, str(folded))
    with pytest.raises(CheckpointError, match="are no constants"):
        load_pp_ocrv3_detector(folded)
