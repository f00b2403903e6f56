import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeocr_benchmarks import engines
from edgeocr_benchmarks.engines import Engine, EngineKind, EngineProcess
from edgeocr_benchmarks.errors import EngineError

if TYPE_CHECKING:
    from tests.benchmarks.conftest import StandIn

MakeImage = Callable[..., Path]

BOX = [[1.0, 2.0], [30.0, 2.0], [30.0, 12.0], [1.0, 12.0]]
LINES = [
    {"text": "Füllung 12", "score": 0.9, "box": BOX},
    {"text": "蓝天", "score": 0.8, "box": BOX},
]
PEER_KINDS: tuple[EngineKind, ...] = ("rapidocr_onnxruntime", "rapidocr")


def peer(stand_in: "StandIn", kind: EngineKind, **models: object) -> Engine:
    return Engine(name="stand-in", kind=kind, python=str(stand_in.python), models=models)


@pytest.mark.parametrize("kind", PEER_KINDS)
def test_page_is_read(stand_in: "StandIn", make_image: MakeImage, kind: EngineKind) -> None:
    image = make_image("page with space.png", reads=LINES)
    with EngineProcess(peer(stand_in, kind)) as process:
        reading = process.read(image, "page")
    assert reading.text == "Füllung 12\n蓝天"
    np.testing.assert_array_equal(reading.lines[0].polygon, BOX)
    assert reading.error is None
    assert reading.ms > 0
    # A Python interpreter has several megabytes, and no stand-in a gigabyte.
    assert 2e6 < reading.peak_bytes < 1e9


@pytest.mark.parametrize("kind", PEER_KINDS)
def test_line_is_read_without_detector_but_with_classifier(
    stand_in: "StandIn", make_image: MakeImage, kind: EngineKind
) -> None:
    image = make_image("word.png", reads=LINES[:1])
    with EngineProcess(peer(stand_in, kind)) as process:
        assert process.read(image, "line").text == "Füllung 12"
    call = stand_in.calls(kind)[-1]
    assert (call["use_det"], call["use_cls"], call["use_rec"]) == (False, True, True)


def test_switches_of_a_line_do_not_stick(stand_in: "StandIn", make_image: MakeImage) -> None:
    image = make_image("a.png", reads=LINES)
    with EngineProcess(peer(stand_in, "rapidocr")) as process:
        process.read(image, "line")
        assert len(process.read(image, "page").lines) == 2
    assert stand_in.calls("rapidocr")[-1]["use_det"] is True


@pytest.mark.parametrize("kind", PEER_KINDS)
def test_empty_page_is_an_empty_reading(
    stand_in: "StandIn", make_image: MakeImage, kind: EngineKind
) -> None:
    image = make_image("blank.png", reads=[])
    with EngineProcess(peer(stand_in, kind)) as process:
        for task in ("page", "line"):
            reading = process.read(image, task)
            assert (reading.lines, reading.error) == ((), None)


def test_peer_runs_at_its_own_defaults(stand_in: "StandIn", make_image: MakeImage) -> None:
    for kind in PEER_KINDS:
        with EngineProcess(peer(stand_in, kind)) as process:
            process.describe()
    assert stand_in.calls("rapidocr_onnxruntime")[0]["options"] == {}
    assert stand_in.calls("rapidocr")[0]["options"] == {"Global.log_level": "critical"}


MODELS = {
    "det": "/d.onnx",
    "cls": "/c.onnx",
    "rec": "/r.onnx",
    "keys": "/keys.txt",
    "rec_height": 32,
    "det_mean": [0.4, 0.4, 0.4],
    "det_std": [0.2, 0.2, 0.2],
}


def test_threads_and_models_reach_version_1(stand_in: "StandIn", make_image: MakeImage) -> None:
    image = make_image("a.png", reads=[])
    engine = peer(stand_in, "rapidocr_onnxruntime", **MODELS)
    with EngineProcess(engine, threads=2) as process:
        process.read(image, "page")
    built, called = stand_in.calls("rapidocr_onnxruntime")
    assert built["options"] == {
        "intra_op_num_threads": 2,
        "inter_op_num_threads": 1,
        "det_model_path": "/d.onnx",
        "cls_model_path": "/c.onnx",
        "rec_model_path": "/r.onnx",
        "rec_keys_path": "/keys.txt",
        "rec_img_shape": [3, 32, 320],
    }
    assert (called["mean"], called["std"]) == (MODELS["det_mean"], MODELS["det_std"])


def test_threads_and_models_reach_version_3(stand_in: "StandIn") -> None:
    with EngineProcess(peer(stand_in, "rapidocr", **MODELS), threads=2) as process:
        process.describe()
    assert stand_in.calls("rapidocr")[0]["options"] == {
        "Global.log_level": "critical",
        "EngineConfig.onnxruntime.intra_op_num_threads": 2,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Det.model_path": "/d.onnx",
        "Cls.model_path": "/c.onnx",
        "Rec.model_path": "/r.onnx",
        "Rec.rec_keys_path": "/keys.txt",
        "Rec.rec_img_shape": [3, 32, 320],
        "Det.mean": [0.4, 0.4, 0.4],
        "Det.std": [0.2, 0.2, 0.2],
    }


def test_models_can_be_files_of_an_installed_package(stand_in: "StandIn") -> None:
    engine = peer(stand_in, "rapidocr", rec="rapidocr:models/rec.onnx")
    with EngineProcess(engine) as process:
        process.describe()
    options = stand_in.calls("rapidocr")[0]["options"]
    assert options["Rec.model_path"] == str(stand_in.packages / "rapidocr/models/rec.onnx")


def test_description_names_versions_and_runtime(stand_in: "StandIn") -> None:
    with EngineProcess(peer(stand_in, "rapidocr")) as process:
        description = process.describe()
    assert description.runtime == "onnxruntime"
    assert description.versions["python"] == sys.version.split()[0]
    assert description.versions["numpy"] == np.__version__


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system can't bind")
def test_process_is_bound_to_cores(stand_in: "StandIn") -> None:
    core = max(os.sched_getaffinity(0))
    with EngineProcess(peer(stand_in, "rapidocr"), cores=[core]) as process:
        process.describe()
        assert os.sched_getaffinity(process.pid) == {core}


def test_error_on_one_image_does_not_stop_the_next(
    stand_in: "StandIn", make_image: MakeImage
) -> None:
    bad, good = make_image("bad.png", reads={"raise": "odd"}), make_image("good.png", reads=LINES)
    with EngineProcess(peer(stand_in, "rapidocr")) as process:
        failed = process.read(bad, "page")
        assert (failed.error, failed.lines) == ("ValueError: odd", ())
        assert len(process.read(good, "page").lines) == 2


def test_death_is_told_with_its_last_words(stand_in: "StandIn", make_image: MakeImage) -> None:
    image = make_image("a.png", reads={"exit": 7})
    with (
        EngineProcess(peer(stand_in, "rapidocr")) as process,
        pytest.raises(EngineError, match=r"stand-in ended with exit status 7; it wrote: .*down"),
    ):
        process.read(image, "page")


def test_failure_to_load_is_told(stand_in: "StandIn", make_image: MakeImage) -> None:
    engine = peer(stand_in, "rapidocr_onnxruntime", keys="/broken")
    with (
        EngineProcess(engine) as process,
        pytest.raises(EngineError, match="no such keys"),
    ):
        process.read(make_image("a.png"), "page")


def test_silence_is_ended(
    stand_in: "StandIn", make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image("a.png", reads={"sleep": 60})
    with EngineProcess(peer(stand_in, "rapidocr")) as process:
        process.describe()
        monkeypatch.setattr(engines, "ANSWER_TIMEOUT_S", 0.5)
        with pytest.raises(EngineError, match="did not answer within"):
            process.read(image, "page")


def test_missing_interpreter_is_told() -> None:
    with pytest.raises(EngineError, match="can't start /no/python"):
        EngineProcess(Engine(name="peer", kind="rapidocr", python="/no/python"))


# As tesseract 5 writes it: two words of one line, a blank word, a word of the next line.
_TSV = """level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\t\
width\theight\tconf\ttext
1\t1\t0\t0\t0\t0\t0\t0\t640\t480\t-1\t
4\t1\t1\t1\t1\t0\t36\t92\t582\t31\t-1\t
5\t1\t1\t1\t1\t1\t36\t92\t60\t24\t90.0\tThis
5\t1\t1\t1\t1\t2\t109\t90\t20\t30\t70.0\t"is
5\t1\t1\t1\t1\t3\t140\t92\t5\t24\t95.0\t
5\t1\t1\t1\t2\t1\t36\t130\t40\t20\t80.0\ttext
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_tesseract_words_become_lines(
    tmp_path: Path, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "answer.tsv").write_text(_TSV)
    program = tmp_path / "tesseract"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "tesseract 5.3.0" && exit\n'
        f'[ -f "$1" ] || {{ echo "no such image" >&2; exit 1; }}\n'
        f'[ "$3 $4 $5 $OMP_THREAD_LIMIT" = "--psm 3 tsv 2" ] && cat {tmp_path}/answer.tsv\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    engine = Engine(name="tesseract", kind="tesseract", python=sys.executable)
    with EngineProcess(engine, threads=2) as process:
        assert process.describe().versions["tesseract"] == "5.3.0"
        reading = process.read(make_image("a.png"), "page")
        missing = process.read(tmp_path / "gone.png", "page")
    assert [line.text for line in reading.lines] == ['This "is', "text"]
    assert reading.lines[0].polygon.tolist() == [[36, 90], [129, 90], [129, 120], [36, 120]]
    assert reading.peak_bytes > 0
    assert missing.error == "RuntimeError: tesseract failed: no such image"


def test_rapidocrlite_reads_with_its_lite_models_unless_others_are_named(
    stand_in: "StandIn", make_image: MakeImage
) -> None:
    typings = stand_in.packages / "rapidocr" / "typings.py"
    typings.write_text("class ModelType:\n    LITE = 'lite'\n")
    image = make_image("a.png", reads=LINES)
    for models in ({}, {"rec": "/r.onnx"}):
        engine = Engine(
            name="lite", kind="rapidocrlite", python=str(stand_in.python), models=models
        )
        with EngineProcess(engine) as process:
            assert len(process.read(image, "page").lines) == 2
    own, named = [call["options"] for call in stand_in.calls("rapidocr") if "options" in call]
    assert (own["Det.model_type"], own["Rec.model_type"]) == ("lite", "lite")
    assert "Det.model_type" not in named
    assert named["Rec.model_path"] == "/r.onnx"
