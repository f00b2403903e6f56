import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeocr.bundle import Bundle
from edgeocr.errors import EdgeOcrError
from edgeocr_benchmarks.device_results import DeviceResult, PageReading
from edgeocr_benchmarks.measure_options import (
    Payload,
    add_measure_options,
    finish,
    prepare_payload,
)
from edgeocr_benchmarks.plan import ProbePlan
from edgeocr_benchmarks.results import write_result

MakeImage = Callable[..., Path]
WriteLabels = Callable[..., Path]
MakeDeviceResult = Callable[..., DeviceResult]

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
INT8, FP32 = str(GOLDEN / "tiny-int8"), str(GOLDEN / "tiny-fp32")
BOX = [[0, 0], [100, 0], [100, 20], [0, 20]]


def prepared(folder: Path, *options: str) -> Payload:
    parser = argparse.ArgumentParser()
    add_measure_options(parser)
    return prepare_payload(parser.parse_args(["--bundle", INT8, *options]), folder / "payload")


def test_a_payload_is_whole_and_lies_anywhere(tmp_path: Path) -> None:
    payload = prepared(tmp_path, "--bundle", f"other={FP32}", "--page", "640x480x10")
    moved = tmp_path / "elsewhere"
    payload.folder.rename(moved)
    plan = ProbePlan.read(moved / "plan.json")
    assert plan == payload.plan
    assert [bundle.name for bundle in plan.bundles] == ["tiny int8", "other"]
    for planned, source in zip(plan.bundles, (INT8, FP32), strict=True):
        assert Bundle.open(moved / planned.path) == Bundle.open(source)
    with Image.open(moved / plan.images[0].path) as image:
        assert image.size == (640, 480)
    assert {path.name for path in moved.iterdir()} == {"plan.json", "bundles", "images"}


def test_lines_are_a_parameter_and_look_the_same(tmp_path: Path) -> None:
    payload = prepared(tmp_path, "--page", "640x480x10", "--lines", "3", "--lines", "99")
    assert [(image.name, image.lines) for image in payload.plan.images] == [
        ("rendered 640x480, 3 of 10 lines", 3),
        ("rendered 640x480, 10 of 10 lines", 10),
    ]
    few, all_ = (
        np.asarray(Image.open(payload.folder / image.path)) for image in payload.plan.images
    )
    third = int(payload.truths[payload.plan.images[1].name].regions[2].polygon[:, 1].max())
    assert np.array_equal(few[: third + 1], all_[: third + 1])
    assert (few[third + 1 :] == few[0, 0]).all()


def test_without_pages_one_is_rendered(tmp_path: Path, make_image: MakeImage) -> None:
    (image,) = prepared(tmp_path).plan.images
    assert image.name == "rendered 1280x960, 20 of 20 lines"
    path = make_image("a.png")
    (image,) = prepared(tmp_path / "b", "--image", str(path)).plan.images
    assert (image.name, image.lines) == ("a.png", None)


def test_labels_stay_here(tmp_path: Path, make_image: MakeImage, write_labels: WriteLabels) -> None:
    images = [make_image(name) for name in ("a.png", "b.png", "c.png")]
    labels = write_labels([(image.name, [("secret words", BOX), ("###", BOX)]) for image in images])
    payload = prepared(tmp_path, "--image", str(images[1]), "--labels", str(labels), "--limit", "2")
    assert [image.name for image in payload.plan.images] == ["set/dev: b.png"]
    assert [image.name for image in payload.plan.read_once] == ["set/dev: a.png"]
    assert payload.plan.images[0].lines == 1  # what nobody cares for is no line
    assert set(payload.truths) == {"set/dev: a.png", "set/dev: b.png"}
    for file in payload.folder.rglob("*"):
        assert file.is_dir() or b"secret" not in file.read_bytes()


def test_options_reach_the_plan(tmp_path: Path) -> None:
    options = "--threads 1 --threads 4 --limit-side 640 --line-width 320 --processes 2 --rounds 7"
    options += " --warm-ups 0 --cold-starts 2 --throughput-seconds 3 --sustained 60 --cores 2,3"
    options += " --rest 0 --cool-down 50"
    plan = prepared(tmp_path, *options.split()).plan
    assert (plan.threads, plan.limit_sides, plan.line_widths) == ((1, 4), (640,), (320,))
    assert (plan.processes, plan.throughput_s, plan.sustained_s) == ((2,), 3.0, 60.0)
    assert (plan.rounds, plan.warm_ups, plan.cold_starts) == (7, 0, 2)
    assert (plan.cores, plan.rest_s, plan.cool_down_c) == ((2, 3), 0.0, 50.0)
    assert prepared(tmp_path / "b").plan.cores is None
    assert prepared(tmp_path / "c", "--cores", "any").plan.cores == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bundle", INT8], "two of the bundles are both 'tiny int8'"),
        (["--bundle", "gone"], "gone"),
        (["--image", "gone.png"], "can't copy the image gone.png"),
        (["--page", "3x3"], "'3x3'"),
        (["--cores", "fast"], "--cores is 'fast'"),
        (["--labels", "gone.txt"], "can't read the labels gone.txt"),
        (["--threads", "65"], "threads of the plan has 65"),
        (["--sustained", "-1"], "sustained_s of the plan has -1"),
    ],
)
def test_bad_options_are_told(tmp_path: Path, options: list[str], message: str) -> None:
    with pytest.raises(EdgeOcrError, match=message):
        prepared(tmp_path, *options)


def test_labels_of_lines_are_refused(
    tmp_path: Path, make_image: MakeImage, write_labels: WriteLabels
) -> None:
    make_image("l.png", size=(90, 30))
    labels = write_labels([("l.png", "Salon")])
    with pytest.raises(EdgeOcrError, match="labels lines; a device is scored on pages"):
        prepared(tmp_path, "--labels", str(labels))


def test_what_comes_back_is_scored_and_named(
    tmp_path: Path, make_device_result: MakeDeviceResult
) -> None:
    payload = prepared(tmp_path, "--page", "640x480x10")
    name = payload.plan.images[0].name
    reading = PageReading(bundle="edge", image=name, lines=())
    raw = tmp_path / "raw.json"
    write_result(make_device_result(target="", command=(), readings=(reading,), scores=()), raw)
    result = finish(payload, raw, target="ssh:pi@board", command=("edgeocr-bench", "run"))
    assert (result.target, result.command) == ("ssh:pi@board", ("edgeocr-bench", "run"))
    assert result.readings == ()
    assert result.scores[0].page.detection.expected == 10


def test_another_result_is_refused(tmp_path: Path) -> None:
    raw = Path(__file__).with_name("recorded_speed.json")
    with pytest.raises(EdgeOcrError, match="is not what a probe writes"):
        finish(prepared(tmp_path), raw, target="local", command=())
