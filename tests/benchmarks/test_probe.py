"""The probe end to end, on bundles that read a picture language: processes, files and all."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeocr_benchmarks import environment
from edgeocr_benchmarks.device_results import SAMPLE_KEYS, DeviceResult
from edgeocr_benchmarks.metrics import BREAKDOWN, page_samples
from edgeocr_benchmarks.plan import PlannedBundle, PlannedImage, ProbePlan
from edgeocr_benchmarks.probe import main
from edgeocr_benchmarks.results import read_result

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
INT8, FP32 = (
    PlannedBundle(name=f"tiny {kind}", path=str(GOLDEN / f"tiny-{kind}"))
    for kind in ("int8", "fp32")
)


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
def folder(tmp_path: Path) -> Path:
    """Holds two pages: "abc" above "dab", and "badd"."""
    page = Image.new("RGB", (250, 180), "white")
    page.paste(paint("abc"), (20, 20))
    page.paste(paint("dab"), (20, 100))
    page.save(tmp_path / "page.png")
    other = Image.new("RGB", (250, 120), "white")
    other.paste(paint("badd"), (20, 40))
    other.save(tmp_path / "other.png")
    return tmp_path


PAGE = PlannedImage(name="page", path="page.png", lines=2)
OTHER = PlannedImage(name="other", path="other.png")


def write_plan(folder: Path, **changes: Any) -> Path:
    fields: dict[str, Any] = {
        "bundles": (INT8,),
        "images": (PAGE,),
        "rounds": 2,
        "warm_ups": 1,
        "cold_starts": 1,
        "rest_s": 0.0,
    }
    plan = ProbePlan(**{**fields, **changes})
    plan.write(folder / "plan.json")
    return folder / "plan.json"


def measured(folder: Path, **changes: Any) -> DeviceResult:
    plan = write_plan(folder, **changes)
    assert main([str(plan), str(folder / "out" / "result.json")]) == 0
    assert [path.name for path in (folder / "out").iterdir()] == ["result.json"]
    result = read_result(folder / "out" / "result.json")
    assert isinstance(result, DeviceResult)
    return result


def test_everything_that_a_plan_can_ask_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = measured(
        folder,
        bundles=(INT8, FP32),
        images=(PAGE,),
        read_once=(OTHER,),
        line_widths=(64, 400),
        processes=(1,),
        throughput_s=0.05,
        sustained_s=0.05,
        rounds=3,
    )
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("[ 1/")
    assert rows[-1].startswith(f"[{len(rows)}/{len(rows)}] ")  # it knew how many steps it has
    reads = ["int8" if "int8" in row else "fp32" for row in rows if ", warm" in row]
    assert reads == ["int8", "fp32", "fp32", "int8"] * 2  # one warm-up and three rounds

    (run,) = result.runs
    assert (run.threads, run.limit_side, run.cores) == (1, None, environment.fastest_cores(1))
    assert [bundle.bundle for bundle in run.bundles] == ["tiny int8", "tiny fp32"]
    for bundle in run.bundles:
        assert len(bundle.warm_up_ms) == 1
        (page,) = bundle.pages
        assert (page.image, page.lines) == ("page", 2)
        assert set(page.ms) == set(SAMPLE_KEYS)
        assert {len(samples) for samples in (*page.ms.values(), page.cpu_ms)} == {3}
        assert min(page.ms["det.inference"]) > 0
        parts = np.sum([page_samples(page, key) for key in BREAKDOWN], axis=0)
        # Every part is rounded to a tenth of a microsecond.
        assert np.abs(parts - page_samples(page, "total")).max() < 0.01
        # 180 x 250 fits the largest of the detector's three shapes; both lines are 112 x 32.
        assert page.shapes == {"det 192x256": 1, "cls 16x64": 2, "rec 16x64": 2}
        (start,) = bundle.cold
        assert start.import_ms is not None
        inside = start.import_ms + start.load_ms + start.first_ms
        assert inside < start.start_to_text_ms
        assert 10e6 < start.peak_bytes < 1e9
        if sys.platform == "linux":
            assert start.pss_bytes is not None
            assert start.loaded_bytes is not None
            assert start.pss_bytes <= start.peak_bytes
            assert start.loaded_bytes <= start.peak_bytes

    assert [(image.name, image.width, image.height, image.lines) for image in result.images] == [
        ("page", 250, 180, 2),
        ("other", 250, 120, None),
    ]
    texts = {
        (reading.bundle, reading.image): [line.text for line in reading.lines]
        for reading in result.readings
    }
    assert texts == {
        (bundle, image): expected
        for bundle in ("tiny int8", "tiny fp32")
        for image, expected in (("page", ["abc", "dab"]), ("other", ["badd"]))
    }
    for name in ("tiny int8", "tiny fp32"):
        timings = {(one.stage, one.shape): one.ms for one in result.stages if one.bundle == name}
        # A line of 400 columns is longer than the widest input, and is cut in three.
        assert set(timings) == {("cls", "16x64"), ("rec", "16x64"), ("rec", "16x256+16x256+16x256")}
        assert all(len(ms["inference"]) in (3, 6) for ms in timings.values())
    assert [(one.bundle, one.processes) for one in result.throughput] == [
        ("tiny int8", 1),
        ("tiny fp32", 1),
    ]
    assert all(one.images >= 1 and one.seconds > 0 for one in result.throughput)
    assert all(len(one.ms) == len(one.at_s) >= 1 for one in result.sustained)
    for measured_bundle in result.bundles:
        graphs = {(graph.stage, graph.shape) for graph in measured_bundle.graphs}
        assert graphs >= {("det", "192x256"), ("cls", "16x64"), ("rec", "16x64")}
        file = GOLDEN / measured_bundle.name.replace(" ", "-") / "det.tflite"
        assert measured_bundle.bytes["det"] == file.stat().st_size
    assert result.versions["edgeocr"]
    assert result.environment["python"]
    times = [state.at_s for state in result.states]
    assert times == sorted(times)
    assert times[0] <= run.began_s <= run.ended_s <= times[-1]


def test_every_thread_count_and_size_is_a_run(folder: Path) -> None:
    result = measured(folder, limit_sides=(None, 96), cold_starts=0, rounds=1)
    assert [(run.threads, run.limit_side) for run in result.runs] == [(1, None), (1, 96)]
    shapes = [set(run.bundles[0].pages[0].shapes) for run in result.runs]
    assert "det 192x256" in shapes[0]
    assert "det 96x128" in shapes[1]
    # What is read is what the bundle reads by itself, not at the other size.
    assert [line.text for line in result.readings[0].lines] == ["abc", "dab"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": (PlannedImage(name="x", path="gone.png"),)}, "can't read the image"),
        ({"images": (PlannedImage(name="x", path="plan.json"),)}, "plan.json"),
        ({"bundles": (PlannedBundle(name="x", path="gone"),)}, "gone"),
        ({"threads": (64,)}, "asks for 64 threads; this device lets"),
        ({"processes": (64,)}, "asks for 64 processes"),
        ({"cores": (4000,)}, "core 4000 is not one that this process may use"),
    ],
)
def test_what_can_not_be_measured_is_one_line(
    folder: Path, changes: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = write_plan(folder, **changes)
    assert main([str(plan), str(folder / "result.json")]) == 2
    (row,) = capsys.readouterr().err.splitlines()
    assert row.startswith("edgeocr-bench: ")
    assert message in row
    assert not (folder / "result.json").exists()


def test_wrong_arguments_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan.json"]) == 2
    assert "PLAN RESULT" in capsys.readouterr().err


def start(arguments: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


def workers_of(folder: Path) -> list[str]:
    """Command lines of worker processes whose bundle lies where this test put it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "stage_worker" in command and str(folder) in command:
            found.append(command)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_the_probe(folder: Path, how: signal.Signals) -> None:
    (folder / "bundle").symlink_to(GOLDEN / "tiny-int8")
    bundle = PlannedBundle(name="tiny", path="bundle")
    plan = write_plan(folder, bundles=(bundle,), rounds=100_000)
    result = folder / "result.json"
    probe = start(["-m", "edgeocr_benchmarks.probe", str(plan), str(result)])
    assert probe.stdout is not None
    assert probe.stdout.readline().startswith("[")
    assert workers_of(folder / "bundle")
    probe.send_signal(how)
    probe.communicate(timeout=60)
    give_up = time.monotonic() + 60
    while workers_of(folder / "bundle") and time.monotonic() < give_up:
        time.sleep(0.05)
    assert workers_of(folder / "bundle") == []
    assert not list(folder.glob("*result*"))


def test_a_listener_that_leaves_ends_it(folder: Path) -> None:
    """As when the connection to a board breaks: nothing is written, nobody is blamed."""
    plan = write_plan(folder, rounds=100_000)
    probe = start(["-m", "edgeocr_benchmarks.probe", str(plan), str(folder / "result.json")])
    assert probe.stdout is not None
    assert probe.stderr is not None
    probe.stdout.readline()
    probe.stdout.close()
    assert probe.wait(timeout=60) == 2
    assert probe.stderr.read() == ""
    probe.stderr.close()
    assert not list(folder.glob("*result*"))


def test_it_needs_nothing_but_the_sdk_and_its_dependencies(folder: Path) -> None:
    plan = write_plan(folder, rounds=1, cold_starts=0)
    program = (
        "import runpy, sys, json\n"
        f"sys.argv = ['probe', {str(plan)!r}, {str(folder / 'result.json')!r}]\n"
        "try: runpy.run_module('edgeocr_benchmarks.probe', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    probe = start(["-c", program])
    out, err = probe.communicate(timeout=120)
    assert probe.returncode == 0, err
    loaded = set(json.loads(out.splitlines()[-1]))
    assert "edgeocr_benchmarks" in loaded
    assert not loaded & {"PIL", "tqdm", "matplotlib", "psutil", "shapely", "onnx", "torch"}
