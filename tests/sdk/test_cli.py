"""Contract: the command ``edgeocr`` in a process of its own, as a user runs it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

Paint: TypeAlias = Callable[..., NDArray[np.uint8]]
Run: TypeAlias = Callable[..., "subprocess.CompletedProcess[Any]"]


@pytest.fixture
def run(tmp_path: Path, tiny_int8: Path) -> Run:
    """Runs ``edgeocr ARGUMENTS`` in ``tmp_path`` with the tiny bundle as default."""

    def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[Any]:
        return subprocess.run(
            [sys.executable, "-m", "edgeocr", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "EDGEOCR_BUNDLE": str(tiny_int8), **options.pop("env", {})},
            **{"capture_output": True, "text": True, "check": False, "timeout": 120, **options},
        )

    return run


@pytest.fixture
def pages(tmp_path: Path, paint_page: Paint) -> Path:
    """A folder of three images, the second of them broken, and a file that is no image."""
    folder = tmp_path / "pages"
    folder.mkdir()
    assert cv2.imwrite(str(folder / "1.png"), paint_page("abc", "dd"))
    (folder / "2.jpg").write_bytes(b"no image")
    assert cv2.imwrite(str(folder / "3.PNG"), paint_page("cab", upside_down=(0,)))
    (folder / "notes.txt").write_text("no image either")
    return folder


def complaints(done: subprocess.CompletedProcess[Any]) -> list[str]:
    """What edgeocr itself wrote to stderr; the runtime's own log has other beginnings."""
    assert "Traceback" not in done.stderr
    return [row for row in done.stderr.splitlines() if row.startswith("edgeocr: ")]


def test_one_image_gives_its_lines_and_times(run: Run, pages: Path) -> None:
    done = run("read", "pages/1.png")
    assert done.returncode == 0
    first, second, summary = done.stdout.splitlines()
    assert first.endswith("  abc")
    assert 0.9 < float(first.split()[0]) <= 1
    assert second.endswith("  dd")
    assert summary.startswith("2 lines; ms: load ")
    assert complaints(done) == []


def test_text_is_the_text_and_nothing_else(run: Run, pages: Path) -> None:
    assert run("read", "--text", "pages/1.png").stdout == "abc\ndd\n"


def test_json_is_the_result_and_names_the_file(run: Run, pages: Path) -> None:
    done = run("read", "--json", "--characters", "pages/3.PNG")
    result = json.loads(done.stdout)
    assert result["file"] == "pages/3.PNG"
    assert (result["width"], result["height"]) == (250, 180)
    (line,) = result["lines"]
    assert (line["text"], line["rotation"]) == ("cab", 180)
    assert [character["text"] for character in line["characters"]] == ["c", "a", "b"]


def test_an_empty_page_is_no_error(run: Run, tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "empty.png"), np.full((50, 80), 255, dtype=np.uint8))
    done = run("read", "empty.png")
    assert done.returncode == 0
    assert done.stdout.startswith("0 lines;")
    assert json.loads(run("read", "--json", "empty.png").stdout)["lines"] == []


def test_standard_input_is_an_image_too(run: Run, pages: Path) -> None:
    done = run("read", "--text", "-", input=(pages / "1.png").read_bytes(), text=False)
    assert done.stdout == b"abc\ndd\n"


def test_one_bad_file_does_not_stop_the_rest(run: Run, pages: Path) -> None:
    done = run("read", "--json", pages)
    assert done.returncode == 1
    results = [json.loads(row) for row in done.stdout.splitlines()]
    assert [Path(result["file"]).name for result in results] == ["1.png", "3.PNG"]
    (complaint,) = complaints(done)
    assert "2.jpg" in complaint


def test_several_images_are_headed_by_their_names(run: Run, pages: Path) -> None:
    done = run("read", "--text", "pages/3.PNG", "pages/1.png")
    assert done.returncode == 0
    assert done.stdout == "pages/3.PNG\ncab\npages/1.png\nabc\ndd\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"", "bad.png"),
        (b"\x89PNG\r\n\x1a\n", "bad.png"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "bad.png"),
        (b"GIF89a", "bad.png"),
    ],
)
def test_a_bad_image_is_one_line_and_exit_2(
    run: Run, tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "bad.png").write_bytes(content)
    done = run("read", "bad.png")
    assert done.returncode == 2
    assert done.stdout == ""
    (complaint,) = complaints(done)
    assert said in complaint


def test_a_name_that_is_no_text_can_be_read_and_printed(
    run: Run, pages: Path, tmp_path: Path
) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    (pages / "1.png").rename(tmp_path / name)
    done = run("read", "--json", name, text=False)
    assert done.returncode == 0
    assert os.fsencode(json.loads(os.fsdecode(done.stdout))["file"]) == b"\xff\xfe.png"


def test_results_are_utf8_whatever_the_locale(run: Run, tmp_path: Path, pages: Path) -> None:
    (pages / "1.png").rename(tmp_path / "收据.png")
    done = run(
        "read",
        "--json",
        "收据.png",
        env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        text=False,
    )
    assert json.loads(done.stdout.decode("utf-8"))["file"] == "收据.png"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("read", "pages/1.png", "--min-score", "2"), "min_score is 2.0"),
        (("read", "pages/1.png", "--limit-side", "5"), "limit_side is 5"),
        (("read", "pages/1.png", "--threads", "0"), "threads is 0"),
        (("read", "pages/1.png", "--bundle", "nowhere"), "nowhere: there is no such bundle"),
        (("read", "pages/1.png", "--max-pixels", "10"), "pages/1.png"),
        (("read", "-", "-"), "once only"),
        (("read", "empty"), "no images in the folder empty"),
        (("read", "pages/1.png", "--draw", "pages/1.png"), "would replace"),
        (("read", "pages/1.png", "other/1.png", "--draw", "drawn"), "would replace"),
        (("read", "pages/1.png", "--draw", "nowhere/x.png"), "cannot write nowhere/x.png"),
        (("read", "pages", "--draw", "pages/1.png"), "cannot make pages/1.png"),
        (("bundle", "verify", "pages"), "bundle.json is missing"),
        (("bundle", "show", "pages/1.png"), "neither a bundle folder nor a packed bundle"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(
    run: Run, tmp_path: Path, pages: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    before = {path: path.read_bytes() for path in pages.iterdir()}
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    (complaint,) = complaints(done)
    assert said in complaint
    assert {path: path.read_bytes() for path in pages.iterdir()} == before


def test_wrong_usage_is_exit_2(run: Run) -> None:
    for arguments in ((), ("read",), ("read", "x", "--json", "--text"), ("bundle",), ("nonsense",)):
        done = run(*arguments)
        assert done.returncode == 2
        assert "usage: edgeocr" in done.stderr


def test_options_reach_the_engine(run: Run, pages: Path) -> None:
    def lines(*arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(
            run("read", "--json", "pages/1.png", *arguments).stdout
        )["lines"]
        return found

    assert [line["text"] for line in lines("--no-recognise")] == ["", ""]
    assert lines("--min-score", "1") == []
    assert lines("--threshold", "1") == []
    assert lines("--box-threshold", "0.99") == []
    assert len(lines("--max-candidates", "1")) == 1
    assert len(lines("--limit-side", "32", "--limit-type", "max")) < 2
    assert all("polygon" in line for line in lines("--box-type", "polygon"))
    assert lines("--unclip-ratio", "0.6") != lines() != lines("--dilation")
    for option in ("--no-orient", "--orientation-threshold=1"):
        assert run("read", "--text", "pages/3.PNG", option).stdout == "cdb\n"


def test_the_score_mode_reaches_the_decoder(run: Run, tmp_path: Path) -> None:
    """A disc fills the rectangle around it by π/4, and its own outline wholly."""
    page = np.full((150, 150, 3), 255, dtype=np.uint8)
    cv2.circle(page, (75, 75), 40, (0, 0, 255), -1)
    assert cv2.imwrite(str(tmp_path / "disc.png"), page)

    def score(mode: str) -> float:
        done = run("read", "--no-recognise", "disc.png", "--score-mode", mode)
        return float(done.stdout.split()[0])

    assert score("slow") > 0.95
    assert score("fast") == pytest.approx(np.pi / 4, abs=0.03)  # the disc is made of pixels


def test_without_recognition_boxes_are_printed(run: Run, pages: Path) -> None:
    first, *_ = run("read", "pages/1.png", "--no-recognise").stdout.splitlines()
    score, box = first.split(maxsplit=1)
    assert float(score) > 0.9
    np.testing.assert_allclose(json.loads(box)[0], [20, 10], atol=2)  # as in test_ocr


def test_drawings_go_where_they_are_wanted(run: Run, pages: Path, tmp_path: Path) -> None:
    assert run("read", "pages/1.png", "--draw", "one.jpg").returncode == 0
    assert run("read", "pages/1.png", "pages/3.PNG", "--draw", "two").returncode == 0
    assert run("read", "pages", "--draw", "all/of/them").returncode == 1
    assert run("read", "pages/1.png", "--draw", "three").returncode == 0
    content = (pages / "1.png").read_bytes()
    assert run("read", "-", "--draw", "four", input=content, text=False).returncode == 0
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.[jp][pn]g")}
    assert made - {"pages/1.png", "pages/2.jpg"} == {
        "one.jpg",
        "two/1.png.png",
        "two/3.PNG.png",
        "all/of/them/1.png.png",
        "all/of/them/3.PNG.png",
        "three/1.png.png",
        "four/stdin.png",
    }
    drawn = cv2.imread(str(tmp_path / "three/1.png.png"))
    page = cv2.imread(str(pages / "1.png"))
    assert drawn is not None
    assert page is not None
    assert drawn.shape[0] == page.shape[0]
    assert (drawn[:, :250] != page).any()


def test_a_reader_that_leaves_is_no_error(pages: Path, tiny_int8: Path) -> None:
    """`edgeocr read … | head -0`: no traceback, and the exit code that a shell expects."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeocr", "read", "--json", str(pages), str(pages)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EDGEOCR_BUNDLE": str(tiny_int8)},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=120) == 141
    said = process.stderr.read()
    process.stderr.close()
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_an_interrupt_ends_it_without_a_traceback(pages: Path, tiny_int8: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeocr", "read", "--json", *[str(pages)] * 3000],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "EDGEOCR_BUNDLE": str(tiny_int8)},
    )
    assert process.stdout is not None
    process.stdout.readline()  # It is at work.
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in said


def test_progress_is_for_terminals_only(run: Run, pages: Path) -> None:
    assert "\r" not in run("read", pages).stderr
    reader, writer = pty.openpty()
    done = run("read", pages, capture_output=False, stdout=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    said = os.read(reader, 65536).decode()
    os.close(reader)
    assert done.returncode == 1
    assert "1/3" in said
    assert "3/3" in said


def test_bundles_can_be_shown_verified_packed_and_unpacked(
    run: Run, tmp_path: Path, tiny_int8: Path, pages: Path
) -> None:
    shown = run("bundle", "show", tiny_int8).stdout
    assert shown.startswith("tiny 1, int8, Apache-2.0\n")
    assert "rec  rec.tflite, 0.00 MB, 16x32, 16x64, 16x256" in shown
    assert run("bundle", "show", "--json", tiny_int8).stdout == (
        tiny_int8 / "bundle.json"
    ).read_text("utf-8")
    assert "is complete" in run("bundle", "verify", tiny_int8).stdout
    assert run("bundle", "pack", tiny_int8, "tiny.edgeocr").stdout == "tiny.edgeocr\n"
    assert "is complete" in run("bundle", "verify", "tiny.edgeocr").stdout
    assert run("bundle", "unpack", "tiny.edgeocr", "again").stdout == "again\n"
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == sorted(
        path.name for path in tiny_int8.iterdir()
    )
    read = run("read", "--text", "--bundle", "tiny.edgeocr", "pages/1.png")
    assert read.stdout == "abc\ndd\n"


def test_the_doctor_reports_and_judges(run: Run, tmp_path: Path) -> None:
    done = run("doctor", "--json")
    # The tiny bundle cannot read the packaged picture, and the doctor says so.
    assert done.returncode == 1
    diagnosis = json.loads(done.stdout)
    findings = {finding["subject"]: finding for finding in diagnosis["findings"]}
    assert list(findings) == [
        "edgeocr", "machine", "python", "processors", "runtime", "bundle", "models", "self-test",
    ]  # fmt: skip
    assert [name for name, finding in findings.items() if not finding["passed"]] == ["self-test"]
    assert "ai_edge_litert" in findings["runtime"]["detail"]
    assert "XNNPACK takes part in det, cls, rec" in findings["models"]["detail"]
    missing = run("doctor", "--bundle", tmp_path / "nowhere")
    assert missing.returncode == 1
    assert "FAIL  bundle" in missing.stdout
    assert "self-test" not in missing.stdout


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").stdout.startswith("edgeocr ")
