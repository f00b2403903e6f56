import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper

from edgeocr_conversion.__main__ import main
from edgeocr_conversion.flatbuffer import Model
from edgeocr_conversion.rendered_text import TextImage
from edgeocr_conversion.sensitivity import (
    Fidelity,
    OperatorSensitivity,
    Question,
    Sensitivity,
    run_model,
)

node = helper.make_node


@pytest.fixture(scope="module")
def uneven_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sees red text as the tiny bundle's detector does, through a layer that integers hate.

    That layer holds red - blue in one channel and a thousand times as much green in another,
    which nothing reads but by a weight of zero. The rectifier keeps the channels from being
    scaled to each other.
    """
    wide = np.zeros((2, 3, 1, 1), np.float32)
    wide[0, :, 0, 0] = (-0.5, 0, 0.5)
    wide[1, 1] = 1000
    narrow = np.zeros((1, 2, 1, 1), np.float32)
    narrow[0, 0] = 1
    shape = ["n", "c", "height", "width"]
    graph = helper.make_graph(
        [
            node("Conv", ["x", "wide"], ["both"]),
            node("Relu", ["both"], ["positive"]),
            node("Conv", ["positive", "narrow"], ["y"]),
        ],
        "det",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, *shape[2:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(wide, "wide"), numpy_helper.from_array(narrow, "narrow")],
    )
    path = tmp_path_factory.mktemp("onnx") / "det.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, pages: list[TextImage]) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for i, page in enumerate(pages):
        cv2.imwrite(str(folder / f"{i}.png"), page.pixels)
    return folder


def _measured(
    model: Path, stage: str, into: Path, images: Path, out: Path, *options: str
) -> dict[str, object]:
    arguments = ["sensitivity", str(model), "--stage", stage, "--into", str(into)]
    arguments += ["--calibration", str(images), "--threads", "1", "--json", str(out), *options]
    assert main(arguments) == 0
    document: dict[str, object] = json.loads(out.read_text("utf-8"))
    return document


def test_the_layer_that_integers_hate_is_found(
    uneven_detector: Path,
    tiny_bundle: Callable[[str], Path],
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = (uneven_detector, "det", tiny_bundle("int8"), images, tmp_path / "found.json")
    found = _measured(*arguments, "--shape", "192x256", "--samples", "2")
    assert (found["stage"], found["question"], found["samples"]) == ("det", "alone", 2)
    operators = found["operators"]
    assert isinstance(operators, list)
    # The layer's output is the input of the one behind it: both have it in integers.
    assert [operator["kind"] for operator in operators] == ["CONV_2D", "CONV_2D", "INPUT"]
    agreements = [operator["fidelity"]["agreement"] for operator in operators]
    assert agreements == sorted(agreements)
    assert agreements[1] < 0.9
    assert agreements[2] > 0.95
    assert [1, 192, 256, 2] in [operator["output_shape"] for operator in operators]
    printed = capsys.readouterr().out
    assert "det on 2 samples, each operator quantized alone:" in printed
    assert "the whole model in integers" in printed


@pytest.mark.parametrize(
    ("stage", "measure", "question"),
    [("cls", "same label", "spared"), ("rec", "same best class", "alone")],
)
def test_other_stages_are_measured_by_their_classes(
    stage: str,
    measure: str,
    question: Question,
    tiny_onnx: dict[str, Path],
    tiny_bundle: Callable[[str], Path],
    images: Path,
    tmp_path: Path,
) -> None:
    arguments = (tiny_onnx[stage], stage, tiny_bundle("int8"), images, tmp_path / "found.json")
    found = _measured(*arguments, *(["--spared"] if question == "spared" else []))
    assert (found["measure"], found["question"]) == (measure, question)
    operators, whole = found["operators"], found["quantized"]
    assert isinstance(operators, list)
    assert isinstance(whole, dict)
    assert {"INPUT", "CONV_2D"} <= {operator["kind"] for operator in operators}
    # These models lose nothing in integers: their figures are those of the parity tests.
    assert all(operator["fidelity"]["agreement"] == 1 for operator in operators)
    errors = [operator["fidelity"]["mean_squared_error"] for operator in operators]
    # The costliest first if quantized alone, the least that is left if spared.
    assert errors == sorted(errors, reverse=question == "alone")
    assert errors[0] > 0
    if question == "spared":
        assert errors[0] <= whole["mean_squared_error"]


def _sensitivity(question: Question) -> Sensitivity:
    return Sensitivity(
        stage="rec",
        question=question,
        samples=3,
        measure="same best class",
        quantized=Fidelity(agreement=0.5, mean_squared_error=2.0),
        operators=tuple(
            OperatorSensitivity(
                kind="CONV_2D",
                name=f"layer {i}",
                output_shape=(1, 2, i),
                fidelity=Fidelity(agreement=i / 10, mean_squared_error=0.125),
            )
            for i in range(5)
        ),
    )


def test_the_table_has_a_row_for_each_operator_and_an_end() -> None:
    text = _sensitivity("alone").to_text(limit=2)
    lines = text.splitlines()
    assert lines[0] == "rec on 3 samples, each operator quantized alone:"
    assert " ".join(lines[1].split()) == "same best class mean sq. error operator output name"
    assert " ".join(lines[2].split()) == "0.5000 2 all the whole model in integers"
    assert " ".join(lines[4].split()) == "0.1000 0.125 CONV_2D 1x2x1 layer 1"
    assert lines[5] == "  and 3 more"
    assert "all quantized but one operator" in _sensitivity("spared").to_text()
    assert json.loads(json.dumps(_sensitivity("alone").to_dict()))["operators"][3] == {
        "kind": "CONV_2D",
        "name": "layer 3",
        "output_shape": [1, 2, 3],
        "fidelity": {"agreement": 0.3, "mean_squared_error": 0.125},
    }


def test_a_model_runs_at_the_size_of_each_sample(make_tflite: Callable[..., Model]) -> None:
    model = make_tflite(
        {"x": (1, 4, 4, 3), "two": np.array([2], np.float32), "y": (1, 4, 4, 3)},
        [("MUL", ["x", "two"], "y", schema.MulOptionsT())],
    )
    samples = [np.full((1, 4, width, 3), width, np.float32) for width in (4, 8, 8, 6)]
    for sample, output in zip(samples, run_model(model, samples, threads=1), strict=True):
        np.testing.assert_array_equal(output, sample * 2)
