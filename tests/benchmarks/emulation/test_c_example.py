"""Parity: the C example reads what Python reads, here and on every board, value by value."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import ai_edge_litert  # type: ignore[import-untyped]
import cv2
import numpy as np
import pytest

from edgeocr import Ocr
from edgeocr_benchmarks.emulation import BOARDS, EmulatedBoard
from edgeocr_benchmarks.emulation.root import dist_packages

PrepareBoard = Callable[[str], EmulatedBoard]

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "sdk/c_example"
GOLDEN = ROOT / "tests/golden"


def build(folder: Path, litert: Path, compiler: str) -> Path:
    subprocess.run(
        ["make", "-C", SOURCE, f"BUILD={folder}", f"LITERT={litert}", f"CC={compiler}"],
        capture_output=True,
        check=True,
    )
    return folder / "read_line"


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory, native_compiler: str) -> Path:
    (home,) = ai_edge_litert.__path__
    return build(tmp_path_factory.mktemp("native"), Path(home), native_compiler)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The text "abcd" in the picture language of tests/golden/make_tiny_bundle.py."""
    pixels = np.zeros((32, 128, 3), dtype=np.uint8)
    pixels[:] = 0, 0, 255
    for row in range(4):
        pixels[8 * row : 8 * row + 8, 32 * row + 8 : 32 * row + 24] = 0, 255, 255
    pixels[-4:, :, 2] = 160
    path = tmp_path_factory.mktemp("line") / "line.ppm"
    # 60 wide: what is behind it in the network's 64 has to be filled.
    assert cv2.imwrite(str(path), cv2.resize(pixels, (60, 16)))
    return path


def read_in_python(bundle: Path, line: Path) -> tuple[str, bytes]:
    """The text, and the network's output as it is."""
    ocr = Ocr.load(bundle, threads=1)
    pixels = np.asarray(cv2.imread(str(line)), dtype=np.uint8)
    (output,) = ocr.recogniser.infer(ocr.recogniser.prepare(pixels))
    return ocr.read_line(pixels).text, output.tobytes()


def check_reading(command: Sequence[str | Path], bundle: Path, line: Path, output: Path) -> None:
    done = subprocess.run(
        [*command, bundle, line, output], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    text, values = read_in_python(bundle, line)
    assert done.stdout.rstrip("\n") == text == "abcd"
    assert output.read_bytes() == values


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_it_reads_here(native: Path, line: Path, tmp_path: Path, precision: str) -> None:
    check_reading([native], GOLDEN / f"tiny-{precision}", line, tmp_path / "output")


@pytest.mark.parametrize("name", BOARDS)
def test_it_reads_on_a_board(
    board: PrepareBoard, cross_compiler: str, line: Path, tmp_path: Path, name: str
) -> None:
    emulated = board(name)
    program = build(tmp_path, dist_packages(emulated.root) / "ai_edge_litert", cross_compiler)
    check_reading(emulated.command(program), GOLDEN / "tiny-int8", line, tmp_path / "output")


def broken_bundle(folder: Path, name: str, content: bytes | None) -> Path:
    bundle = folder / "bundle"
    shutil.copytree(GOLDEN / "tiny-int8", bundle)
    if content is None:
        (bundle / name).unlink()
    else:
        (bundle / name).write_bytes(content)
    return bundle


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rec.tflite", None, "rec.tflite is missing, or no model"),
        ("rec.tflite", b"TFL3" * 9, "rec.tflite is missing, or no model"),
        ("rec.tflite", (GOLDEN / "tiny-int8/det.tflite").read_bytes(), "is no recogniser"),
        ("charset.txt", None, "can't open"),
        ("charset.txt", b"a\nb\n", "has 2 characters, the model knows 5"),
        ("charset.txt", b"a\nb\0c\n\n\n\n", "holds a zero byte"),
    ],
)
def test_a_broken_bundle_is_one_line(
    native: Path, line: Path, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    bundle = broken_bundle(tmp_path, name, content)
    check_refusal([native, bundle, line], message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P5\n4 4\n255\n" + bytes(16), "no binary PPM"),
        (b"P6\n", "its head has no size"),
        (b"P6\n-4 4\n255\n", "its head has no size"),
        (b"P6\n4 16\n65535\n" + bytes(384), "values up to 65535"),
        (b"P6\n4 16\n255\n" + bytes(191), "is cut off"),
        (b"P6\n4 16\n255\n" + bytes(193), "has more behind"),
        (b"P6\n60000000 60000000\n255\n", "is cut off"),
        (
            b"P6\n4 17\n255\n" + bytes(204),
            "the line is 4x17 pixels; this recogniser takes lines 16",
        ),
        (b"P6\n300 16\n255\n" + bytes(14400), "16 high and up to 256 wide"),
    ],
)
def test_a_bad_image_is_one_line(
    native: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    image = tmp_path / "bad.ppm"
    image.write_bytes(content)
    check_refusal([native, GOLDEN / "tiny-int8", image], message)


def test_comments_in_a_ppm_are_passed_over(native: Path, line: Path, tmp_path: Path) -> None:
    content = line.read_bytes()
    commented = tmp_path / "commented.ppm"
    commented.write_bytes(content.replace(b"P6\n", b"P6\n# made by hand 9 9\n", 1))
    check_reading([native], GOLDEN / "tiny-int8", commented, tmp_path / "output")


def test_other_faults_are_one_line(native: Path, line: Path, tmp_path: Path) -> None:
    check_refusal([native], "usage: read_line BUNDLE LINE.ppm [OUTPUT]")
    check_refusal([native, GOLDEN / "tiny-int8", tmp_path / "gone.ppm"], "can't open")
    command = [native, GOLDEN / "tiny-int8", line, tmp_path / "no/such/folder"]
    check_refusal(command, "can't write")


def test_a_full_disk_behind_standard_output_is_told(native: Path, line: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [native, GOLDEN / "tiny-int8", line], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert "can't write the text" in done.stderr


def check_refusal(command: Sequence[str | Path], message: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    )
    assert done.returncode == 2, (done.returncode, done.stderr)
    told = [row for row in done.stderr.splitlines() if row.startswith("read_line: ")]
    assert len(told) == 1
    assert message in told[0]


@pytest.mark.usefixtures("native_compiler")
def test_a_folder_without_the_library_is_told_by_make(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "-C", SOURCE, f"BUILD={tmp_path}", f"LITERT={tmp_path}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "pip install ai-edge-litert" in done.stderr
    assert not (tmp_path / "read_line").exists()
