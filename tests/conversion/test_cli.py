import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeocr_conversion.__main__ import main

TinyBundle = Callable[[str], Path]


def test_a_report_of_a_bundle(tiny_bundle: TinyBundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tiny_bundle("int8"))]) == 0
    shown = capsys.readouterr().out
    for line in ("det.tflite: ", "cls.tflite: ", "rec.tflite: ", "h192w256  1x192x256x3"):
        assert line in shown


def test_a_report_as_json_with_times(
    tiny_bundle: TinyBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny_bundle("int8") / "rec.tflite"
    assert main(["report", str(path), "--json", "--times"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert report["bytes"] == path.stat().st_size
    # One convolution over (16, 32): 8 steps, 6 classes, 16 x 4 x 3 products each.
    assert report["signatures"][0]["macs"] == 8 * 6 * 16 * 4 * 3
    assert {entry["kind"] for entry in report["times"]} == {"CONV_2D", "RESHAPE"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "nowhere.tflite"], "nowhere.tflite cannot be read"),
        (["report", "."], "is no bundle: it has no bundle.json"),
        (["onnx", "m.onnx", "--stage", "rec", "--into", "nowhere", "--out", "o"], "nowhere"),
        (["sensitivity", "m.onnx", "--stage", "rec"], "is no official bundle (ppocrv4, "),
        (["sensitivity", "m.onnx", "--stage", "rec", "--into", "nowhere"], "nowhere"),
        (
            ["sensitivity", "ppocrv4", "--stage", "det", "--shape", "32x32", "--charset", "c"],
            "--charset, --shape: not for an official bundle",
        ),
        (["sensitivity", "ppocrv4", "--stage", "det", "--json", "no/where"], "no such folder"),
    ],
)
def test_known_errors_are_one_line_and_status_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["official", "ppocrv9", "--out", "o"],
        ["official", "ppocrv4"],
        ["official", "ppocrv4", "--out", "o", "--max-loss", "-1"],
        ["official", "ppocrv4", "--out", "o", "--threads", "0"],
        ["onnx", "m.onnx", "--stage", "rec", "--into", "b", "--out", "o", "--shape", "48"],
        ["sensitivity", "ppocrv4"],
        ["sensitivity", "ppocrv4", "--stage", "rec", "--samples", "0"],
    ],
)
def test_wrong_arguments_are_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2


def test_help_and_report_load_no_converter(tiny_bundle: TinyBundle) -> None:
    """They must answer at once; and conversion needs neither torch nor tensorflow at all."""
    program = (
        "import sys\n"
        "from edgeocr_conversion.__main__ import main\n"
        f"assert main(['report', {str(tiny_bundle('int8'))!r}]) == 0\n"
        "heavy = {'onnx', 'onnxruntime', 'ai_edge_quantizer', 'onnx2tf', 'torch', 'tensorflow'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.parametrize("absent", ["onnx", "ai_edge_litert", "PIL"])
def test_without_the_extra_the_command_that_installs_it_is_named(
    absent: str, tmp_path: Path
) -> None:
    """In a fresh interpreter: here, the libraries are loaded already."""
    program = (
        "import sys\n"
        f"sys.modules[{absent!r}] = None\n"
        "from edgeocr_conversion.__main__ import main\n"
        "sys.exit(main(['official', 'ppocrv4', '--out', 'out']))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert result.returncode == 2
    assert "pip install 'edgeocr[convert]'" in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
