import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeocr import Ocr
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import constant_value, read_model, write_model
from edgeocr_conversion.parity import (
    DetectionParity,
    OrientationParity,
    RecognitionParity,
    check_losses,
    edit_distance,
    measure_parity,
    quad_iou,
)
from edgeocr_conversion.rendered_text import TextImage
from edgeocr_conversion.sources import Stage

TinyBundle = Callable[[str], Path]


def _measure(
    stage: Stage, tiny_bundle: TinyBundle, judged: Path, onnx: Path, pages: list[TextImage]
) -> DetectionParity | OrientationParity | RecognitionParity:
    return measure_parity(
        stage,
        Ocr.load(tiny_bundle("fp32"), threads=1),
        Ocr.load(judged, threads=1),
        onnx_model=onnx,
        images=pages,
    )


def test_a_float_bundle_equals_its_originals(
    tiny_bundle: TinyBundle, tiny_onnx: dict[str, Path], pages: list[TextImage]
) -> None:
    folder = tiny_bundle("fp32")
    det = _measure("det", tiny_bundle, folder, tiny_onnx["det"], pages)
    assert isinstance(det, DetectionParity)
    assert det.max_error < 1e-5  # the same sums, in another order
    assert det.mask_iou == 1
    assert det.hmean == det.hmean_onnx > 0.9
    cls = _measure("cls", tiny_bundle, folder, tiny_onnx["cls"], pages)
    assert isinstance(cls, OrientationParity)
    assert cls.max_error < 1e-4
    assert cls.agreement == 1
    rec = _measure("rec", tiny_bundle, folder, tiny_onnx["rec"], pages)
    assert isinstance(rec, RecognitionParity)
    assert rec.max_error < 1e-4
    assert rec.argmax_agreement == 1
    assert rec.cer == rec.cer_onnx < 0.05
    assert rec.lines == 3 * len(pages)


def test_integers_differ_a_little_and_lose_nothing(
    tiny_bundle: TinyBundle, tiny_onnx: dict[str, Path], pages: list[TextImage]
) -> None:
    for stage in ("det", "cls", "rec"):
        parity = _measure(stage, tiny_bundle, tiny_bundle("int8"), tiny_onnx[stage], pages)
        # One step of the outputs is 1/256 (det) or a logit of 0.25; the steps of the
        # inputs come on top.
        assert 0 < parity.max_error < 0.2
        assert parity.loss == 0


def _with_other_weights(source: Path, folder: Path, stage: str) -> Path:
    """A copy of a bundle whose ``stage`` has its weights upside down."""
    shutil.copytree(source, folder)
    path = folder / f"{stage}.tflite"
    model = read_model(path)
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            value = constant_value(model, tensor)
            if value is not None and value.ndim == 4:
                flipped = np.ascontiguousarray(value[::-1])
                model.buffers[tensor.buffer].data = np.frombuffer(flipped.tobytes(), np.uint8)
        break  # the subgraphs share their weights
    write_model(model, path)
    manifest = json.loads((folder / "bundle.json").read_text("utf-8"))
    content = path.read_bytes()
    manifest["stages"][stage] |= {
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
    }
    (folder / "bundle.json").write_text(json.dumps(manifest), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("stage", "complaint"),
    [("cls", "the classifier judges 100.00 %"), ("rec", "the recogniser loses")],
)
def test_a_broken_model_is_found_out(
    tiny_bundle: TinyBundle,
    tiny_onnx: dict[str, Path],
    pages: list[TextImage],
    tmp_path: Path,
    stage: Stage,
    complaint: str,
) -> None:
    broken = _with_other_weights(tiny_bundle("fp32"), tmp_path / "broken", stage)
    parity = _measure(stage, tiny_bundle, broken, tiny_onnx[stage], pages)
    assert parity.loss > 50
    with pytest.raises(ConversionError, match=f"nothing was written: {complaint}"):
        check_losses({stage: parity}, 1.0)
    check_losses({stage: parity}, 1000.0)


def test_what_nobody_knows_is_held_against_onnx_runtime(
    tiny_bundle: TinyBundle, tiny_onnx: dict[str, Path], pages: list[TextImage]
) -> None:
    unknown = [TextImage(pixels=p.pixels, quads=p.quads, texts=None) for p in pages]
    rec = _measure("rec", tiny_bundle, tiny_bundle("int8"), tiny_onnx["rec"], unknown)
    assert isinstance(rec, RecognitionParity)
    assert rec.cer_onnx == 0
    det = _measure("det", tiny_bundle, tiny_bundle("int8"), tiny_onnx["det"], unknown)
    assert isinstance(det, DetectionParity)
    assert det.hmean_onnx == 1


def test_pages_without_lines_prove_nothing(
    tiny_bundle: TinyBundle, tiny_onnx: dict[str, Path], pages: list[TextImage]
) -> None:
    empty = [TextImage(pixels=pages[0].pixels, quads=np.empty((0, 4, 2), np.float32), texts=())]
    with pytest.raises(ConversionError, match="no line of text"):
        _measure("rec", tiny_bundle, tiny_bundle("fp32"), tiny_onnx["rec"], empty)


TEXTS = st.text("ab ", max_size=12)


@given(TEXTS, TEXTS, TEXTS)
def test_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert edit_distance(a, a) == 0
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("中文", "中 文", 1), ("ab", "ba", 2)],
)
def test_edit_distance_of_known_pairs(one: str, other: str, edits: int) -> None:
    assert edit_distance(one, other) == edits


def test_iou_of_known_quads() -> None:
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32)
    assert quad_iou(square, square) == pytest.approx(1)
    assert quad_iou(square, square + np.float32(5)) == pytest.approx(25 / 175)
    assert quad_iou(square, square + np.float32(20)) == 0
    diamond = np.array([[5, 0], [10, 5], [5, 10], [0, 5]], np.float32)
    assert quad_iou(square, diamond) == pytest.approx(0.5)
