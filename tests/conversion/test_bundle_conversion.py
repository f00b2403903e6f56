"""From ONNX to a bundle that reads, through the command and every tool behind it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgeocr import Bundle, Ocr
from edgeocr_conversion.__main__ import main
from edgeocr_conversion.rendered_text import TextImage

TinyBundle = Callable[[str], Path]


SHAPES = {"det": "192x256", "cls": "16x64", "rec": "16x256"}
"""One for each stage: every shape is a conversion of its own and takes seconds."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, pages: list[TextImage]) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for i, page in enumerate(pages):
        cv2.imwrite(str(folder / f"{i}.png"), page.pixels)
    return folder


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("stage", ["det", "cls", "rec"])
def test_a_model_of_ones_own_goes_into_a_copy_of_a_bundle(
    stage: str,
    precision: str,
    tiny_bundle: TinyBundle,
    tiny_onnx: dict[str, Path],
    images: Path,
    pages: list[TextImage],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = tiny_onnx[stage].read_bytes()
    out = tmp_path / "out"
    arguments = ["onnx", str(tiny_onnx[stage]), "--stage", stage, "--out", str(out)]
    arguments += ["--shape", SHAPES[stage]]
    arguments += ["--into", str(tiny_bundle(precision)), "--calibration", str(images)]
    assert main([*arguments, "--threads", "1"]) == 0
    assert tiny_onnx[stage].read_bytes() == before, "the user's file must not change"

    printed = capsys.readouterr().out
    assert f"{stage} on " in printed
    base, bundle = Bundle.open(tiny_bundle(precision)), Bundle.open(out)
    assert bundle.precision == precision
    assert bundle.origin[stage]["file"] == f"{stage}.onnx"
    assert set(bundle.parity) == {stage}
    for other in {"det", "cls", "rec"} - {stage}:
        assert getattr(bundle.stages, other) == getattr(base.stages, other)
    if precision == "int8":
        assert bundle.quantization[stage]["calibration"]["images"] == 6

    ocr, expected = Ocr.load(out, threads=1), Ocr.load(tiny_bundle("fp32"), threads=1)
    for page in pages[:3]:
        assert page.texts is not None
        assert [line.text for line in ocr.read(page.pixels)] == [
            line.text for line in expected.read(page.pixels)
        ]
        assert [line.text for line in ocr.read(page.pixels)] == list(page.texts)


def test_a_bundle_that_loses_too_much_is_not_written(
    tiny_bundle: TinyBundle,
    tiny_onnx: dict[str, Path],
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One class far below the others takes all of the integers' range: argmax sees nothing."""
    model = onnx.load(str(tiny_onnx["rec"]))
    bias = np.array([0, 0, 0, 0, 0, -10_000], np.float32)
    model.graph.initializer.append(numpy_helper.from_array(bias, "far"))
    convolution = model.graph.node[0]
    convolution.input.append("far")
    (tmp_path / "in").mkdir()
    onnx.save(model, str(tmp_path / "in/rec.onnx"))
    arguments = ["onnx", str(tmp_path / "in/rec.onnx"), "--stage", "rec", "--shape", SHAPES["rec"]]
    arguments += ["--calibration", str(images), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--into", str(tiny_bundle("int8"))]) == 2
    message = capsys.readouterr().err
    assert "nothing was written: the recogniser loses" in message
    assert "--max-loss allows 1" in message
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    # In float the same model is as good as its original.
    assert main([*arguments, "--into", str(tiny_bundle("fp32"))]) == 0


def test_torch_and_tensorflow_are_not_needed(
    tiny_bundle: TinyBundle, tiny_onnx: dict[str, Path], images: Path, tmp_path: Path
) -> None:
    traps = tmp_path / "traps"
    for name in ("torch", "tensorflow"):
        (traps / name).mkdir(parents=True)
        (traps / name / "__init__.py").write_text(f"raise ImportError('{name} is a trap')\n")
    command = [sys.executable, "-m", "edgeocr_conversion", "onnx", str(tiny_onnx["cls"])]
    command += ["--stage", "cls", "--into", str(tiny_bundle("int8")), "--out"]
    command += [str(tmp_path / "out"), "--calibration", str(images)]
    path = os.pathsep.join([str(traps), *filter(None, sys.path)])
    result = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "%|" not in result.stderr, "no progress bar where stderr is no terminal"
    Bundle.open(tmp_path / "out")


def test_what_is_no_model_is_refused(
    tiny_bundle: TinyBundle, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.onnx"
    arguments = ["onnx", str(model), "--stage", "cls", "--out", str(tmp_path / "out")]
    arguments += ["--into", str(tiny_bundle("int8")), "--calibration", str(images)]
    assert main(arguments) == 2
    assert "model.onnx cannot be read" in capsys.readouterr().err
    model.write_bytes(b"not ONNX")
    assert main(arguments) == 2
    assert "model.onnx" in capsys.readouterr().err

    assert main([*arguments, "--charset", "keys.txt"]) == 2
    assert "--stage rec only" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx"}
