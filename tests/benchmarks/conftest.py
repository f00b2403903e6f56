"""A stand-in for the peers' packages: same calls, same results, answers from a file."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

# Written from the documented calls of both versions. Beside an image, IMAGE.json holds the lines
# that it "reads", or {"raise": message}, {"exit": status}, {"sleep": seconds}.
_COMMON = """
import json, os, pathlib, sys, time
print("banner on stdout")

def answer(path):
    content = json.loads(pathlib.Path(path + ".json").read_text(encoding="utf-8"))
    if isinstance(content, dict):
        if "exit" in content:
            print("going down", file=sys.stderr, flush=True)
            os._exit(content["exit"])
        if "sleep" in content:
            time.sleep(content["sleep"])
        raise ValueError(content.get("raise", ""))
    return content

def log(**call):
    with open(pathlib.Path(__file__).with_name("calls.jsonl"), "a", encoding="utf-8") as file:
        file.write(json.dumps(call) + "\\n")
"""

_RAPIDOCR_1 = (
    _COMMON
    + """
class Detector:
    mean = std = [0.5, 0.5, 0.5]

class RapidOCR:
    def __init__(self, config_path=None, **options):
        if options.get("rec_keys_path") == "/broken":
            raise RuntimeError("no such keys")
        log(options=options)
        self.text_det = Detector()

    def __call__(self, path, use_det=None, use_cls=None, use_rec=None):
        lines = answer(path)
        det = self.text_det
        log(use_det=use_det, use_cls=use_cls, use_rec=use_rec, mean=det.mean, std=det.std)
        if use_det is False:
            return [[line["text"], line["score"]] for line in lines], [0.1]
        if not lines:
            return None, None
        return [[line["box"], line["text"], line["score"]] for line in lines], [0.1, 0.1, 0.1]
"""
)

_RAPIDOCR_3 = (
    _COMMON
    + """
class Output:
    boxes = txts = scores = None

class RapidOCR:
    def __init__(self, config_path=None, params=None):
        log(options=params)

    def __call__(self, path, use_det=None, use_cls=None, use_rec=None):
        lines = answer(path)
        log(use_det=use_det, use_cls=use_cls, use_rec=use_rec)
        output = Output()
        if lines:
            output.txts = tuple(line["text"] for line in lines)
            output.scores = tuple(line["score"] for line in lines)
            if use_det:
                output.boxes = [line["box"] for line in lines]
        return output
"""
)


@dataclass(frozen=True)
class StandIn:
    """An interpreter in which the stand-ins are installed."""

    python: Path
    packages: Path

    def calls(self, package: str) -> list[dict[str, Any]]:
        """How the package was called, oldest first."""
        rows = (self.packages / package / "calls.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(row) for row in rows]


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    if shutil.which("sh") is None:
        pytest.skip("needs a POSIX shell")
    packages = tmp_path / "packages"
    for name, source in (("rapidocr_onnxruntime", _RAPIDOCR_1), ("rapidocr", _RAPIDOCR_3)):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").write_text(source, encoding="utf-8")
    python = tmp_path / "python"
    # Drops the -I that it is started with, since that ignores PYTHONPATH.
    python.write_text(
        f'#!/bin/sh\nshift\nPYTHONPATH="{packages}" exec "{sys.executable}" "$@"\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    return StandIn(python=python, packages=packages)


MakeImage = Callable[..., Path]


@pytest.fixture
def make_image(tmp_path: Path) -> MakeImage:
    """Makes a blank image, and with ``reads`` what the stand-in shall read on it."""

    def make(name: str, *, size: tuple[int, int] = (200, 100), reads: Any = None) -> Path:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, "white").save(path)
        if reads is not None:
            path.with_name(path.name + ".json").write_text(json.dumps(reads), encoding="utf-8")
        return path

    return make


@pytest.fixture
def write_labels(tmp_path: Path) -> Callable[[Sequence[tuple[str, Any]]], Path]:
    """Writes a label file: text as it is, lists of (text, points) as JSON."""

    def write(rows: Sequence[tuple[str, Any]], name: str = "dev.txt") -> Path:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            for image, label in rows:
                if not isinstance(label, str):
                    items = [{"transcription": text, "points": points} for text, points in label]
                    label = json.dumps(items, ensure_ascii=False)
                file.write(f"{image}\t{label}\n")
        return path

    return write
