"""A stand-in for the peers' packages: same calls, same results, answers from a file."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from edgeocr_benchmarks.detection_metrics import PageCounts
from edgeocr_benchmarks.device_results import (
    BundleRun,
    ColdStart,
    DeviceResult,
    DeviceRun,
    Graph,
    MeasuredBundle,
    MeasuredImage,
    OperatorCount,
    PageSamples,
    PageScore,
    State,
)
from edgeocr_benchmarks.match_counts import MatchCounts
from edgeocr_benchmarks.text_metrics import line_counts

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
MakeDeviceResult = Callable[..., DeviceResult]


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


def device_result(
    *,
    ms: Sequence[float] = (100.0,) * 12,
    bundle: str = "edge",
    threads: Sequence[int] = (1,),
    pages: Sequence[tuple[str, int, int]] = (("page", 20, 736 * 992),),
    environment: Mapping[str, Any] | None = None,
    states: Sequence[State] = (State(at_s=0.0, facts={}), State(at_s=99.0, facts={})),
    **changes: Any,
) -> DeviceResult:
    """A result whose reads take ``ms``, nine tenths of it in the networks.

    Args:
        ms: total of every round.
        bundle: name of the only bundle.
        threads: one run each.
        pages: (name, lines, pixels of the detector) each; pixels are rows of 32.
        environment: of the result.
        states: of the machine; the runs last from 10 s to 90 s.
        changes: fields of the result.
    """
    samples = {
        key: tuple(value * share for value in ms)
        for key, share in {
            "load": 0.02,
            "det.pre": 0.02,
            "det.inference": 0.4,
            "det.post": 0.02,
            "crop": 0.01,
            "cls.pre": 0.0,
            "cls.inference": 0.1,
            "cls.post": 0.0,
            "rec.pre": 0.01,
            "rec.inference": 0.4,
            "rec.post": 0.01,
            "total": 1.0,
        }.items()
    }
    start = ColdStart(
        import_ms=300.0,
        load_ms=50.0,
        first_ms=150.0,
        start_to_text_ms=520.0,
        loaded_bytes=80_000_000,
        peak_bytes=120_000_000,
        pss_bytes=100_000_000,
    )
    runs = tuple(
        DeviceRun(
            threads=count,
            limit_side=None,
            cores=(3,),
            began_s=10.0,
            ended_s=90.0,
            bundles=(
                BundleRun(
                    bundle=bundle,
                    warm_up_ms=(150.0,),
                    pages=tuple(
                        PageSamples(
                            image=name,
                            lines=lines,
                            shapes={f"det 32x{pixels // 32}": 1, "rec 48x320": lines},
                            ms=samples,
                            cpu_ms=samples["total"],
                        )
                        for name, lines, pixels in pages
                    ),
                    cold=(start, start),
                ),
            ),
        )
        for count in threads
    )
    counts = MatchCounts(expected=100, found=100, matched=95)
    fields: dict[str, Any] = {
        "created": "2025-01-02T03:04:05Z",
        "command": ("edgeocr-bench", "run"),
        "target": "local",
        "app": "python",
        "versions": {"edgeocr": "0.1.0"},
        "environment": {"architecture": "aarch64", "cpu": ["4 x Cortex-A76"], "cpus": 4}
        if environment is None
        else environment,
        "states": tuple(states),
        "images": tuple(
            MeasuredImage(name=name, width=992, height=736, sha256=f"{name}00", lines=lines)
            for name, lines, _ in pages
        ),
        "bundles": (
            MeasuredBundle(
                name=bundle,
                bundle="ppocrv4",
                version="1",
                precision="int8",
                bytes={"det": 1_000_000, "cls": 200_000, "rec": 3_000_000, "charset": 30_000},
                sha256={},
                graphs=(
                    Graph(
                        stage="rec",
                        shape="48x320",
                        partitions=1,
                        operators=(
                            OperatorCount(kind="CONV_2D", count=30, delegated=29, macs=100_000_000),
                        ),
                    ),
                ),
            ),
        ),
        "runs": runs,
        "stages": (),
        "throughput": (),
        "sustained": (),
        "readings": (),
        "scores": tuple(
            PageScore(
                bundle=bundle,
                image=name,
                page=PageCounts(detection=counts, end_to_end=counts, characters=counts),
                text=line_counts("abcd", "abce", fold_case=False),
            )
            for name, _, _ in pages
        ),
    }
    return DeviceResult(**{**fields, **changes})


@pytest.fixture
def make_device_result() -> MakeDeviceResult:
    return device_result


@pytest.fixture(scope="session")
def sample_stages() -> ModuleType:
    """See emulation/sample_stages.py."""
    name = "sample_stages"
    path = Path(__file__).with_name("emulation") / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
