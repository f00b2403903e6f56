"""The embedded bundle computes what was trained, integer by integer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeocr.bundle import EMBEDDED_BUNDLES
from edgeocr_conversion.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "training/weights"
EMBEDDED = str(EMBEDDED_BUNDLES / "ppocrv2-int8")
SAMPLES = ROOT / "docs/samples"


def test_the_embedded_bundle_computes_what_was_trained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoints = [str(WEIGHTS / f"{name}_int8.pt") for name in ("det_lines", "cls", "rec_ch")]
    picture = str(SAMPLES / "receipt.jpg")
    asked = ["equality", EMBEDDED, *checkpoints, "--images", picture, "--lines", "8", "--json"]
    asked += ["--count", "100"]
    assert main(asked) == 0
    found = {
        (entry["stage"], entry["form"]): entry for entry in json.loads(capsys.readouterr().out)
    }
    assert len(found) == 6
    for stage in ("det", "cls"):
        assert found[stage, "integers"]["integers"] == 1.0
        assert found[stage, "integers"]["decisions"] == 1.0
    # LSTM layers are summed in floats, each side in its own order.
    read = found["rec", "integers"]
    assert read["integers"] >= 0.98
    assert read["decisions"] >= 0.999
    assert read["texts"] == 1.0
    # Training simulates in floats: an integer that is nearly between two may be the other one.
    assert found["det", "simulation"]["integers"] >= 0.97
    assert found["cls", "simulation"]["decisions"] == 1.0
    assert found["rec", "simulation"]["decisions"] >= 0.98


def test_what_cannot_be_compared(
    tiny_bundle: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cls, rec = str(WEIGHTS / "cls_int8.pt"), str(WEIGHTS / "rec_ch_int8.pt")
    receipt = ["--images", str(SAMPLES / "receipt.jpg"), "--lines", "2"]

    def fault(*arguments: str) -> str:
        assert main(["equality", *arguments]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        return told

    assert "there is no such file or folder" in fault(
        EMBEDDED, cls, "--images", str(tmp_path / "x")
    )
    assert "there is no image in" in fault(EMBEDDED, cls, "--images", str(tmp_path))
    assert "is fp32: its values are no integers" in fault(str(tiny_bundle("fp32")), cls, *receipt)
    assert "is a second network for cls" in fault(EMBEDDED, cls, cls, *receipt)
    # Its detector knows the picture language of the tests alone.
    assert "no line of text was found" in fault(str(tiny_bundle("int8")), rec, *receipt)
    assert "was not prepared for integers" in fault(
        EMBEDDED, str(WEIGHTS / "det_lines_pruned.pt"), *receipt
    )
