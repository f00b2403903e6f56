"""The phone's pipeline on a desktop JVM, through the phone's native code: the same as Python."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr import Bundle, Ocr, OcrOptions
from edgeocr.bundle import Stages
from edgeocr.images import load_image
from edgeocr.pixels import crop_line
from edgeocr_benchmarks.device_results import SAMPLE_KEYS, DeviceResult
from edgeocr_benchmarks.plan import PlannedBundle, PlannedImage, ProbePlan
from edgeocr_benchmarks.results import read_result
from edgeocr_conversion.bundle_writer import describe_model, write_bundle
from edgeocr_conversion.flatbuffer import Model, merge_signatures, read_model, serialise_model
from edgeocr_conversion.float_tflite import Freedom, convert_to_float
from edgeocr_conversion.observation import observe
from edgeocr_conversion.onnx_graph import Graph
from edgeocr_conversion.quantization import quantize
from edgeocr_conversion.rewrites import rewrite_for_xnnpack
from edgeocr_conversion.scheme import QuantizationScheme
from edgeocr_conversion.sources import Stage, charset_of, obtain, official_bundle

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
SAMPLES = sorted((ROOT / "docs/samples").glob("*[!-read].[jp][pn]g"))
Run: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]
Image: TypeAlias = NDArray[np.uint8]


def line(text: str, *, upside_down: bool = False) -> Image:
    """A line in the language of make_tiny_bundle.py: green stripes on red, a height a letter."""
    height, stripe = 32, 16
    picture = np.zeros((height, stripe * (2 * len(text) + 1), 3), dtype=np.uint8)
    picture[..., 2] = 255
    for i, character in enumerate(text):
        columns = slice(stripe * (2 * i + 1), stripe * (2 * i + 2))
        row = "abcd".find(character)
        rows = slice(0, height) if row < 0 else slice(row * height // 4, (row + 1) * height // 4)
        picture[rows, columns, 1] = 255
    picture[-height // 8 :, :, 2] = 160
    return np.ascontiguousarray(picture[::-1, ::-1]) if upside_down else picture


def page(*texts: str, upside_down: tuple[int, ...] = ()) -> Image:
    """Lines on white, one below the other."""
    picture = np.full((180, 250, 3), 255, dtype=np.uint8)
    for i, text in enumerate(texts):
        drawn = line(text, upside_down=i in upside_down)
        picture[10 + 50 * i : 42 + 50 * i, 20 : 20 + drawn.shape[1]] = drawn
    return picture


PAGES = {
    "one line": page("abcd"),
    "three lines": page("abcd", "dcba", "a bd"),
    "on its head": page("abca", "bdac", upside_down=(1,)),
    "empty": page(),
    "a pixel": np.zeros((1, 1, 3), dtype=np.uint8),
    "flat": np.full((9, 400, 3), 255, dtype=np.uint8),
    "turned": np.ascontiguousarray(np.rot90(page("abcd", "dc"))),
}


def read_by_both(run: Run, bundle: Path, images: list[Path]) -> tuple[list[Any], list[Any]]:
    """What Python and Java read, a list of lines an image."""
    answer = run("read", bundle, 1, *images)
    assert answer.returncode == 0, answer.stderr
    java = [json.loads(row)["lines"] for row in answer.stdout.splitlines()]
    ocr = Ocr.load(bundle, threads=1)
    python = [[text_line.to_dict() for text_line in ocr.read(image)] for image in images]
    assert len(java) == len(python)
    return python, java


def assert_equal(python: list[Any], java: list[Any]) -> None:
    assert [text["text"] for text in java] == [text["text"] for text in python]
    assert [text["rotation"] for text in java] == [text["rotation"] for text in python]
    for ours, theirs in zip(java, python, strict=True):
        # Corners are whole pixels in both; the dictionary of Python has two decimals.
        assert np.abs(np.subtract(ours["box"], theirs["box"])).max() <= 1


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pages")
    paths = [folder / f"{name}.png" for name in PAGES]
    for path, picture in zip(paths, PAGES.values(), strict=True):
        cv2.imwrite(str(path), picture)
    return paths


@pytest.mark.parametrize("bundle", ["tiny-int8", "tiny-fp32"])
def test_java_reads_what_python_reads(
    desktop: tuple[Run, Path], pages: list[Path], bundle: str
) -> None:
    python, java = read_by_both(desktop[0], GOLDEN / bundle, pages)
    assert [len(lines) for lines in python[:4]] == [1, 3, 2, 0], "the pages are no pages"
    for ours, theirs in zip(python, java, strict=True):
        assert_equal(ours, theirs)


STAGES: Final[tuple[Stage, ...]] = ("det", "cls", "rec")
SHAPES: Final = {"det": (736, 736), "cls": (48, 192), "rec": (48, 320)}
"""One a stage: each more costs half a minute."""


def stage_samples(ocr: Ocr, images: Sequence[Image]) -> dict[Stage, list[NDArray[np.float32]]]:
    """What the networks see of the images."""
    samples: dict[Stage, list[Any]] = {stage: [] for stage in STAGES}
    for image in images:
        samples["det"].append(ocr.detector.prepare(image, OcrOptions()).tensor)
        for quad in ocr.detect(image):
            pixels = crop_line(image, quad).pixels
            samples["cls"].append(ocr.classifier.prepare(pixels))
            samples["rec"] += [piece.tensor for piece in ocr.recogniser.prepare(pixels).pieces]
    return samples


@pytest.fixture(scope="module")
def real_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PP-OCRv4 in INT8, from the package that pip fetches, in a shape a stage.

    ``make official`` takes ten minutes for a bundle that reads well. Here both sides need only read
    the same: two pictures are enough to calibrate with, and weights are rounded plainly.
    """
    folder = tmp_path_factory.mktemp("real")
    official = official_bundle("ppocrv4")
    files = obtain(official.files)
    models = {stage: getattr(official, stage) for stage in STAGES}
    settings = {stage: getattr(official, f"{stage}_settings") for stage in STAGES}
    charset = charset_of(files[official.rec.file.sha256], None)
    floats = {}
    for stage, model in models.items():
        height, width = SHAPES[stage]
        graph = Graph.load(files[model.file.sha256], height=height, width=width)
        rewrite_for_xnnpack(graph)
        floats[stage] = convert_to_float(graph, folder / f"{stage}-{height}x{width}.tflite")

    def write(precision: Literal["fp32", "int8"], content: Mapping[Stage, bytes]) -> Bundle:
        described: dict[str, Any] = {
            stage: describe_model(stage, content[stage], settings[stage], Freedom(), charset)
            for stage in STAGES
        }
        bundle = Bundle(
            name="real", version="1", licence=official.licence, precision=precision,
            stages=Stages(**described), origin={}, tools={}, quantization={},
        )  # fmt: skip
        return write_bundle(folder / precision, bundle, models=content, charset=charset)

    def signed(stage: Stage, model: Model) -> bytes:
        height, width = SHAPES[stage]
        return serialise_model(merge_signatures({f"{height}x{width}": model}))

    original = write("fp32", {stage: signed(stage, read_model(floats[stage])) for stage in STAGES})
    samples = stage_samples(Ocr.load(original, threads=1), [load_image(path) for path in SAMPLES])
    scheme = QuantizationScheme(optimal_rounding=False, bias_correction=False)
    integers = {}
    for stage, path in floats.items():
        float_layers = models[stage].scheme.float_layers
        observation = observe(path, samples[stage][:8])
        integers[stage] = quantize(path, observation, replace(scheme, float_layers=float_layers))
    write("int8", {stage: signed(stage, model) for stage, model in integers.items()})
    return folder / "int8"


def test_java_reads_real_models_as_python_does(
    desktop: tuple[Run, Path], real_bundle: Path, tmp_path: Path
) -> None:
    decoded = []
    for i, image in enumerate(SAMPLES):
        # Decoders of JPEG differ by a grey level: both get what Python decoded.
        decoded.append(tmp_path / f"{i}.png")
        cv2.imwrite(str(decoded[-1]), load_image(image))
    python, java = read_by_both(desktop[0], real_bundle, decoded)
    for name, ours, theirs in zip(SAMPLES, python, java, strict=True):
        assert len(ours) >= 5, f"{name} is hardly read"
        assert_equal(ours, theirs)


def test_junit(desktop: tuple[Run, Path], junit_jars: tuple[Path, ...], tmp_path: Path) -> None:
    """The tests of demo/ and desktop/, with the real LiteRT and the tiny bundle."""
    run, build = desktop
    run()  # Builds; without a command it only prints how it is used.
    class_path = os.pathsep.join(map(str, (build / "classes", tmp_path, *junit_jars)))
    demo = ROOT / "android_demo"
    sources = sorted(
        path for room in ("demo", "desktop") for path in (demo / room / "src/test").rglob("*.java")
    )
    tests = [path for path in sources if path.stem.endswith("Test")]
    assert len(tests) >= 7
    javac = ["javac", "--release", "8", "-Xlint:all,-options", "-Werror", "-encoding", "UTF-8"]
    subprocess.run([*javac, "-cp", class_path, "-d", str(tmp_path), *sources], check=True)
    litert = find_spec("ai_edge_litert")
    assert litert is not None
    assert litert.submodule_search_locations
    properties = {
        "edgeocr.adapter": build / "libedgeocr_litert.so",
        "edgeocr.litert": Path(litert.submodule_search_locations[0]) / "libLiteRt.so",
        "edgeocr.bundle": GOLDEN / "tiny-int8",
    }
    java = ["java", "-cp", class_path, *(f"-D{key}={value}" for key, value in properties.items())]
    names = [
        path.relative_to(next(p for p in path.parents if p.name == "java"))
        .with_suffix("")
        .as_posix()
        .replace("/", ".")
        for path in tests
    ]
    answer = subprocess.run(
        [*java, "org.junit.runner.JUnitCore", *names], capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout
    count = re.search(r"OK \((\d+) tests\)", answer.stdout)
    assert count is not None
    assert int(count[1]) >= 30


@pytest.fixture(scope="module")
def measured(
    desktop: tuple[Run, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[ProbePlan, DeviceResult]:
    folder = tmp_path_factory.mktemp("run")
    for name in ("tiny-int8", "tiny-fp32"):
        shutil.copytree(GOLDEN / name, folder / "bundles" / name)
    (folder / "images").mkdir()
    for name in ("three lines", "empty"):
        cv2.imwrite(str(folder / "images" / f"{name}.png"), PAGES[name])
    plan = ProbePlan(
        bundles=tuple(
            PlannedBundle(name=name, path=f"bundles/{name}") for name in ("tiny-int8", "tiny-fp32")
        ),
        images=(PlannedImage(name="three", path="images/three lines.png", lines=3),),
        read_once=(PlannedImage(name="empty", path="images/empty.png"),),
        threads=(1, 2),
        limit_sides=(None, 128),
        rounds=3,
        warm_ups=1,
        cold_starts=1,
        sustained_s=0.05,
        cores=(),
        rest_s=0,
    )
    plan.write(folder / "plan.json")
    answer = desktop[0]("measure", folder)
    assert answer.returncode == 0, answer.stderr
    assert not list(folder.glob("*.part"))
    result = read_result(folder / "result.json")
    assert isinstance(result, DeviceResult)
    return plan, result


def test_a_measurement_follows_the_plan(measured: tuple[ProbePlan, DeviceResult]) -> None:
    plan, result = measured
    assert result.app == "jvm"
    assert [(run.threads, run.limit_side) for run in result.runs] == [
        (threads, side) for threads in plan.threads for side in plan.limit_sides
    ]
    for run in result.runs:
        assert [entry.bundle for entry in run.bundles] == ["tiny-int8", "tiny-fp32"]
        for entry in run.bundles:
            assert len(entry.warm_up_ms) == 1 + plan.warm_ups
            assert len(entry.cold) == 1
            (samples,) = entry.pages
            assert samples.lines == 3
            assert set(samples.ms) == set(SAMPLE_KEYS)
            assert all(len(values) == plan.rounds for values in samples.ms.values())
            assert sum(n for shape, n in samples.shapes.items() if shape.startswith("det")) == 1
            assert sum(n for shape, n in samples.shapes.items() if shape.startswith("cls")) == 3
    assert [entry.bundle for entry in result.sustained] == ["tiny-int8", "tiny-fp32"]
    assert all(entry.ended_s - entry.began_s >= plan.sustained_s for entry in result.sustained)
    assert len(result.states) >= 2 + len(result.runs)


def test_the_parts_of_a_read_add_up(measured: tuple[ProbePlan, DeviceResult]) -> None:
    _, result = measured
    for run in result.runs:
        for entry in run.bundles:
            for i, total in enumerate(entry.pages[0].ms["total"]):
                parts = [entry.pages[0].ms[key][i] for key in SAMPLE_KEYS if key != "total"]
                assert min(parts) >= 0
                # Sorting the lines and making the result are in the total alone.
                assert sum(parts) <= total + 1e-6


def test_a_measurement_says_what_was_measured(measured: tuple[ProbePlan, DeviceResult]) -> None:
    _, result = measured
    readings = {(reading.bundle, reading.image): reading.lines for reading in result.readings}
    for name in ("tiny-int8", "tiny-fp32"):
        assert [text.text for text in readings[name, "three"]] == ["abcd", "dcba", "a bd"]
        assert readings[name, "empty"] == ()
        manifest = json.loads((GOLDEN / name / "bundle.json").read_text())
        bundle = next(entry for entry in result.bundles if entry.name == name)
        assert bundle.sha256["det"] == manifest["stages"]["det"]["sha256"]
        assert bundle.bytes["charset"] == (GOLDEN / name / "charset.txt").stat().st_size
    three, empty = result.images
    assert (three.width, three.height, three.lines) == (250, 180, 3)
    assert (empty.width, empty.height, empty.lines) == (250, 180, None)


def test_a_plan_that_cannot_be_followed_is_refused(
    desktop: tuple[Run, Path], tmp_path: Path
) -> None:
    shutil.copytree(GOLDEN / "tiny-int8", tmp_path / "bundle")
    plan = ProbePlan(
        bundles=(PlannedBundle(name="tiny", path="bundle"),),
        images=(PlannedImage(name="page", path="page.png"),),
        processes=(2,),
    )
    plan.write(tmp_path / "plan.json")
    answer = desktop[0]("measure", tmp_path)
    assert answer.returncode == 2
    assert "processes" in answer.stderr
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("det.tflite", b"no model"),
        ("charset.txt", b"a\n"),
        ("bundle.json", b"{"),
        ("rec.tflite", None),
    ],
)
def test_a_damaged_bundle_is_one_line(
    desktop: tuple[Run, Path], pages: list[Path], tmp_path: Path, file: str, content: bytes | None
) -> None:
    bundle = Path(shutil.copytree(GOLDEN / "tiny-int8", tmp_path / "bundle"))
    if content is None:
        (bundle / file).unlink()
    else:
        (bundle / file).write_bytes(content)
    answer = desktop[0]("read", bundle, 1, pages[0])
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert len(answer.stderr.splitlines()) == 1
    assert file in answer.stderr


def test_a_file_that_is_no_image_is_one_line(desktop: tuple[Run, Path], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    for image in ("text.png", "missing.png"):
        answer = desktop[0]("read", GOLDEN / "tiny-int8", 1, tmp_path / image)
        assert answer.returncode == 2
        # XNNPACK tells that it is there; LiteRT has no way to keep it from that.
        (said,) = (row for row in answer.stderr.splitlines() if not row.startswith("INFO: "))
        assert image in said
