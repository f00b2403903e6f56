"""The bundle that the package carries: small, whole in integers, and it reads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from edgeocr import Bundle, Ocr
from edgeocr.__main__ import main
from edgeocr.bundle import EMBEDDED_BUNDLES

ROOT = Path(__file__).resolve().parents[2]
RECEIPT = ROOT / "docs/samples/receipt.jpg"


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEOCR_BUNDLE", raising=False)


def test_there_is_one_and_it_is_small() -> None:
    (folder,) = (path for path in EMBEDDED_BUNDLES.iterdir() if path.is_dir())
    bundle = Bundle.default()
    assert bundle.location == folder
    assert bundle.name == folder.name == "ppocrv2-int8"
    assert bundle.precision == "int8"
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 3_500_000
    assert bundle.stages.det.bytes <= 500_000
    assert bundle.stages.cls.bytes <= 202_000


def test_it_is_made_of_the_weights_in_this_repository() -> None:
    bundle = Bundle.default()
    for stage in ("det", "cls", "rec"):
        origin = bundle.origin[stage]
        weights = ROOT / "training/weights" / origin["file"]
        assert hashlib.sha256(weights.read_bytes()).hexdigest() == origin["sha256"], weights
        assert bundle.quantization[stage] == {"ranges": "trained"}
    keys = (ROOT / "training/weights/ppocr_keys_v1.txt").read_text("utf-8").split("\n")
    assert bundle.charset() == (*keys, " ")


def test_it_reads_a_photographed_receipt() -> None:
    lines = {line.text for line in Ocr.load(threads=2).read(RECEIPT)}
    assert len(lines) >= 24
    assert {"Lantern Tea House", "茉莉绿茶", "32.18"} <= lines


def test_the_command_needs_no_bundle_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["read", str(RECEIPT), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["lines"]) >= 24
