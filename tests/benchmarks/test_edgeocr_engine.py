"""The commands on edgeocr itself, with the tiny bundles that read a picture language."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgeocr
from edgeocr_benchmarks.__main__ import main
from edgeocr_benchmarks.results import AccuracyResult, SpeedResult, read_result

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
INT8, FP32 = str(GOLDEN / "tiny-int8"), str(GOLDEN / "tiny-fp32")

WriteLabels = Callable[..., Path]


def paint(text: str) -> Image.Image:
    """A line in the picture language of tests/golden/make_tiny_bundle.py: red, RGB."""
    line = np.zeros((32, 16 * (2 * len(text) + 1), 3), dtype=np.uint8)
    line[..., 0] = 255
    for i, character in enumerate(text):
        row = "abcd".index(character)
        line[row * 8 : row * 8 + 8, 16 * (2 * i + 1) : 16 * (2 * i + 2), 1] = 255
    line[28:, :, 0] = 160
    return Image.fromarray(line)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page that says "abc" above "dab"."""
    path = tmp_path / "set" / "page.png"
    path.parent.mkdir()
    picture = Image.new("RGB", (250, 180), "white")
    picture.paste(paint("abc"), (20, 20))
    picture.paste(paint("dab"), (20, 100))
    picture.save(path)
    return path


def test_accuracy_of_two_bundles(
    page: Path, write_labels: WriteLabels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint("badd").save(page.with_name("word.png"))
    right, bottom = 20 + paint("abc").width, 52
    upper = [[20, 20], [right, 20], [right, bottom], [20, bottom]]
    lower = [[x, y + 80] for x, y in upper]
    pages = write_labels([("page.png", [("abc", upper), ("dab", lower)])], "pages.txt")
    words = write_labels([("word.png", "badd")], "words.txt")
    out = tmp_path / "result.json"
    labels = ["--labels", str(pages), "--labels", str(words)]
    bundles = ["--bundle", INT8, "--bundle", FP32]
    assert main(["accuracy", *bundles, *labels, "--threads", "1", "--out", str(out)]) == 0
    report = capsys.readouterr().out
    for name in ("edgeocr tiny int8", "edgeocr tiny fp32"):
        assert f"| {name} | 100.00 | 100.00 | 0.00 |" in report  # the word
        assert f"| {name} |{' 100.00 |' * 9}" in report  # the page

    result = read_result(out)
    assert isinstance(result, AccuracyResult)
    engine = result.engines[0]
    assert engine.versions["edgeocr"] == edgeocr.__version__
    assert engine.runtime == "ai_edge_litert"
    det = edgeocr.Bundle.open(INT8).stages.det
    assert engine.identity["bundle"]["sha256"]["det"] == det.sha256


def test_speed_of_a_bundle(page: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    rounds = ["--rounds", "2", "--cold-rounds", "1"]
    command = ["speed", "--bundle", INT8, "--image", str(page), *rounds, "--out", str(out)]
    assert main(command) == 0
    result = read_result(out)
    assert isinstance(result, SpeedResult)
    assert result.runs[0].engines[0].engine.name == "edgeocr tiny int8"
    assert result.page.name == "page.png"


def test_bundles_of_one_name_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed", "--bundle", INT8, "--bundle", INT8]) == 2
    assert "two of the engines are both 'edgeocr tiny int8'" in capsys.readouterr().err
