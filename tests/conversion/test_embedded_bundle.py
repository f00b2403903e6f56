"""`make bundle` gives the bundle that is embedded, byte for byte."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from edgeocr import Bundle
from edgeocr.bundle import EMBEDDED_BUNDLES
from edgeocr_conversion.__main__ import main
from edgeocr_conversion.delegation import delegation_report

ROOT = Path(__file__).resolve().parents[2]
(EMBEDDED,) = (folder for folder in EMBEDDED_BUNDLES.iterdir() if folder.is_dir())


def _recipe_of_make() -> list[str]:
    """The arguments of edgeocr-convert in the Makefile's target."""
    makefile = (ROOT / "Makefile").read_text()
    command = re.search(r"^bundle: .*\n\t((?:.*\\\n)*.*)\n", makefile, re.MULTILINE)
    assert command is not None
    text = command.group(1).replace("\\\n", " ")
    for name, value in re.findall(r"^(\w+) := (.*)$", makefile, re.MULTILINE):
        listed = re.fullmatch(r"\$\(addprefix ([^,]+),(.*)\)", value)
        if listed is not None:
            value = " ".join(listed.group(1) + item for item in listed.group(2).split())
        text = text.replace(f"$({name})", value)
    program, *arguments = shlex.split(text)
    assert program.endswith("/edgeocr-convert")
    return arguments


def test_the_weights_in_the_repository_give_it_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    arguments = _recipe_of_make()
    target = arguments.index("--out") + 1
    assert ROOT / arguments[target] == EMBEDDED
    arguments[target] = str(tmp_path / "bundle")
    assert main(arguments) == 0
    for name in ("det.tflite", "cls.tflite", "rec.tflite", "charset.txt"):
        assert (tmp_path / "bundle" / name).read_bytes() == (EMBEDDED / name).read_bytes(), name
    made, embedded = Bundle.open(tmp_path / "bundle"), Bundle.open(EMBEDDED)
    assert made.stages == embedded.stages
    assert made.origin == embedded.origin


@pytest.mark.parametrize("stage", ["det", "cls"])
def test_xnnpack_takes_detector_and_classifier_whole(stage: str) -> None:
    for signature in delegation_report(EMBEDDED / f"{stage}.tflite").signatures:
        assert signature.partitions == 1
        assert not signature.outside
        assert not signature.float_operators
        assert signature.transposes == 0


def test_of_the_recogniser_the_lstm_alone_is_float() -> None:
    (signature,) = delegation_report(EMBEDDED / "rec.tflite").signatures
    kinds = {operator.kind for operator in signature.outside}
    # DEQUANTIZE restores the LSTM's weights once, from float16.
    assert kinds == {"BIDIRECTIONAL_SEQUENCE_LSTM", "DEQUANTIZE"}
    assert set(signature.float_operators) <= {"BIDIRECTIONAL_SEQUENCE_LSTM", "RESHAPE"}
    assert signature.transposes == 0
