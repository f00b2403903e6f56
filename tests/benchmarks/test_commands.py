"""The command line end to end, on the stand-in of a peer."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeocr_benchmarks import environment
from edgeocr_benchmarks.__main__ import main
from edgeocr_benchmarks.results import AccuracyResult, SpeedResult, read_result

if TYPE_CHECKING:
    from tests.benchmarks.conftest import StandIn

MakeImage = Callable[..., Path]
WriteLabels = Callable[..., Path]

BOX = [[0.0, 0.0], [100.0, 0.0], [100.0, 20.0], [0.0, 20.0]]


def peer(stand_in: "StandIn", name: str = "rapidocr-1.4.4") -> list[str]:
    return ["--peer", name, "--peer-python", str(stand_in.python)]


def test_accuracy_of_all_kinds(
    stand_in: "StandIn",
    make_image: MakeImage,
    write_labels: WriteLabels,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_image("p.png", reads=[{"text": "Total", "score": 0.9, "box": BOX}])
    make_image("q.png", reads={"raise": "odd"})
    make_image("l.png", size=(90, 30), reads=[{"text": "Salon", "score": 0.9, "box": BOX}])
    make_image("t.png", size=(900, 900), reads=[{"text": "天蓝", "score": 0.9, "box": BOX}])
    pages = write_labels([("p.png", [("TOTAL", BOX)]), ("q.png", [("DUE", BOX)])], "p.txt")
    lines = write_labels([("l.png", "SaloN")], "l.txt")
    texts = write_labels([("t.png", "蓝天不寂寞 实物拍摄 禁止盗图")], "t.txt")
    out, readings = tmp_path / "result.json", tmp_path / "readings.jsonl"
    command = ["accuracy", *peer(stand_in), "--out", str(out), "--readings", str(readings)]
    for path in (pages, lines, texts):
        command += ["--labels", str(path)]
    assert main(command) == 0

    report = capsys.readouterr().out
    assert "### set/p: 2 images, pages, case ignored" in report
    assert "| rapidocr-1.4.4 | 100.00 | 50.00 | 66.67 | 100.00 | 50.00 | 66.67 |" in report
    assert "### set/l: 1 images, lines, case counts" in report
    assert "| rapidocr-1.4.4 | 0.00 | 100.00 | 20.00 |" in report
    assert "### set/t: 1 images, texts" in report
    assert "| rapidocr-1.4.4 | 100.00 | 15.38 | 26.67 |" in report  # 2 of 2, 2 of 13

    result = read_result(out)
    assert isinstance(result, AccuracyResult)
    assert result.command == ("edgeocr-bench", *command)
    assert result.environment["python"]
    failed = result.sets[0].images[1]
    assert (failed.image, failed.error) == ("q.png", "ValueError: odd")
    rows = [json.loads(row) for row in readings.read_text(encoding="utf-8").splitlines()]
    assert [row["image"] for row in rows] == ["p.png", "q.png", "l.png", "t.png"]
    assert rows[0]["lines"] == [{"text": "Total", "points": BOX}]
    assert rows[0]["expected"] == "TOTAL"

    assert main(["show", str(out)]) == 0
    assert capsys.readouterr().out == report


def test_case_and_limit_are_options(
    stand_in: "StandIn",
    make_image: MakeImage,
    write_labels: WriteLabels,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a.png", "b.png"):
        make_image(name, reads=[{"text": "total", "score": 0.9, "box": BOX}])
    path = write_labels([("a.png", [("TOTAL", BOX)]), ("b.png", [("DUE", BOX)])])
    command = ["accuracy", *peer(stand_in), "--labels", str(path), "--limit", "1"]
    assert main(command) == 0
    assert "1 images, pages, case ignored" in (ignored := capsys.readouterr().out)
    assert "| 100.00 | 100.00 | 100.00 | 100.00 | 100.00 | 100.00 |" in ignored
    assert main([*command, "--case", "keep"]) == 0
    assert "1 images, pages, case counts" in (kept := capsys.readouterr().out)
    assert "| 100.00 | 100.00 | 100.00 | 0.00 | 0.00 | 0.00 |" in kept


def test_speed_of_an_image(
    stand_in: "StandIn", make_image: MakeImage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = make_image("a.png", reads=[{"text": "Total", "score": 0.9, "box": BOX}])
    out = tmp_path / "result.json"
    options = ["--image", str(image), "--rounds", "4", "--cold-rounds", "2", "--out", str(out)]
    assert main(["speed", *peer(stand_in), *options]) == 0
    assert "### a.png, 200x100;" in (report := capsys.readouterr().out)
    assert "Doubtful: rapidocr-1.4.4, threads 1: only 4 rounds" in report

    result = read_result(out)
    assert isinstance(result, SpeedResult)
    (run,) = result.runs
    (engine,) = run.engines
    assert (run.threads, run.cores) == (1, environment.fastest_cores(1))
    assert (len(engine.warm_ms), len(engine.warmup_ms), len(engine.cold_ms)) == (4, 3, 2)
    assert engine.accuracy is None
    # A start imports Python itself, a warm read of the stand-in only a file.
    assert min(engine.cold_ms) > max(engine.warm_ms) > 0
    assert all(2e6 < peak < 1e9 for peak in engine.peak_bytes)
    assert stand_in.calls("rapidocr_onnxruntime")[0]["options"]["intra_op_num_threads"] == 1


def test_speed_of_the_rendered_page_knows_its_text(
    stand_in: "StandIn", tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, out = tmp_path / "page.png", tmp_path / "result.json"
    # The stand-in reads the first line of the page where it is, and nothing else.
    reads = [
        {
            "text": "The harbour office opened at 7:45 and by noon 312 crates had",
            "score": 1,
            "box": [],
        }
    ]
    reads[0]["box"] = [[192, 30], [1080, 30], [1080, 60], [192, 60]]
    page.with_name("page.png.json").write_text(json.dumps(reads))
    options = ["--page", "1280x960x20", "--page-out", str(page), "--out", str(out)]
    rounds = ["--rounds", "1", "--cold-rounds", "1"]
    assert main(["speed", *peer(stand_in), *options, *rounds]) == 0
    result = read_result(out)
    assert isinstance(result, SpeedResult)
    accuracy = result.runs[0].engines[0].accuracy
    assert accuracy is not None
    detection = accuracy.page.detection
    assert (detection.expected, detection.found, detection.matched) == (20, 1, 1)
    assert accuracy.page.end_to_end.matched == 1
    assert accuracy.page.characters.precision == 1
    assert 0.9 < accuracy.text.cer < 1
    assert "1280x960, 20 lines" in capsys.readouterr().out
    assert page.is_file()


def test_show_prints_speed_and_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(Path(__file__).with_name("recorded_speed.json"))]) == 0
    assert "| 1 | peer | 1652.6 | 1 |" in capsys.readouterr().out
    recorded = str(Path(__file__).with_name("recorded_speed.json"))
    assert main(["show", recorded, "--against", "edge"]) == 0
    assert "| 1 | edge | 412.0 | 1 |" in capsys.readouterr().out


def test_peers_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["peer", "list"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert "rapidocr-3.10.0\tnot installed\trapidocr==3.10.0 onnxruntime==1.31.1" in rows


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["accuracy", "--labels", "x.txt"], "nothing to measure"),
        (["accuracy", "--labels", "x.txt", "--peer-python", "p"], "need one --peer"),
        (["accuracy", "--labels", "x.txt", "--bundle", "gone"], "gone"),
        (
            ["accuracy", "--labels", "x.txt", "--peer", "rapidocr-1.4.4", "--peer-python", "p"],
            "can't read the labels x.txt",
        ),
        (
            ["speed", "--peer", "rapidocr-1.4.4", "--peer-python", "p", "--image", "x.png"],
            "x.png can't be read as an image",
        ),
        (["speed", "--peer", "rapidocr-1.4.4", "--peer-python", "p", "--page", "3x3"], "is '3x3'"),
        (
            ["speed", "--peer", "rapidocr-1.4.4", "--peer-python", "/no/p", "--threads", "9999"],
            "9999 threads on",
        ),
        (["speed", "--peer", "rapidocr-1.4.4", "--peer-python", "/no/p"], "can't start /no/p"),
        (["show", "x.json"], "can't read the result x.json"),
    ],
)
def test_known_errors_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Sequence[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("edgeocr-bench: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--out", "--readings"])
@pytest.mark.parametrize("target", ["file/result.json", "folder"])
def test_target_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, target: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    command = ["accuracy", "--labels", "x.txt", "--peer", "rapidocr-1.4.4"]
    assert main([*command, option, str(tmp_path / target)]) == 2
    assert f"can't write {tmp_path / target}" in capsys.readouterr().err


def test_page_that_the_engine_cannot_read_has_no_speed(
    stand_in: "StandIn", make_image: MakeImage, capsys: pytest.CaptureFixture[str]
) -> None:
    image = make_image("a.png", reads={"raise": "odd"})
    assert main(["speed", *peer(stand_in), "--image", str(image)]) == 2
    assert "rapidocr-1.4.4 can't read" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--threads", "0"], ["--limit", "-1"], ["--case", "maybe"]])
def test_impossible_options_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["accuracy", "--labels", "x", *arguments])
    assert caught.value.code == 2
