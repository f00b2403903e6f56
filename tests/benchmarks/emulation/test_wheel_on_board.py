"""Contract: the wheel, installed for aarch64, reads a page as it does on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr_benchmarks.emulation import BOARDS, EmulatedBoard, EmulationError, install_wheel

PrepareBoard = Callable[[str], EmulatedBoard]

ROOT = Path(__file__).resolve().parents[3]
BUNDLE = ROOT / "tests/golden/tiny-int8"
RECEIPT = ROOT / "docs/samples/receipt.jpg"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what is in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, ROOT], check=True)
    (wheel,) = folder.glob("edgeocr-*.whl")
    install_wheel(wheel, folder / "installed")
    return folder / "installed"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lines in the picture language of tests/golden/make_tiny_bundle.py, the second tilted.

    It is larger than the detector's input, and its lines are higher than the recogniser's, so
    that pixels are resampled everywhere.
    """
    pixels: NDArray[np.uint8] = np.full((360, 500, 3), 255, np.uint8)
    for top, degrees, rows in ((20, 0, (0, 1, 2, 3)), (180, 6, (3, 1, 0, 2))):
        line = np.full((32, 144, 3), (0, 0, 255), np.uint8)
        for place, row in enumerate(rows):
            line[8 * row : 8 * row + 8, 32 * place + 16 : 32 * place + 32] = 0, 255, 255
        line[-4:, :, 2] = 160
        upright = np.full_like(pixels, 255)
        upright[top : top + 78, 40:390] = cv2.resize(line, (350, 78))
        turn = cv2.getRotationMatrix2D((215, top + 39), degrees, 1)
        tilted = cv2.warpAffine(upright, turn, (500, 360), borderValue=(255, 255, 255))
        pixels = np.minimum(pixels, tilted)
    path = tmp_path_factory.mktemp("page") / "page.png"
    assert cv2.imwrite(str(path), pixels)
    return path


def read(python: str | Path, page: Path, packages: Path, *, bundle: Path | None = None) -> Any:
    """Text, score and box of every line; by the bundle in the wheel where none is named."""
    named: list[str | Path] = [] if bundle is None else ["--bundle", bundle]
    done = subprocess.run(
        [python, "-m", "edgeocr", "read", page, "--json", *named],
        cwd=page.parent,
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [(line["text"], line["score"], line["box"]) for line in json.loads(done.stdout)["lines"]]


@pytest.fixture(scope="module")
def read_here(installed: Path, page: Path) -> Any:
    return read(sys.executable, page, installed, bundle=BUNDLE)


@pytest.mark.parametrize("name", BOARDS)
def test_the_wheel_reads_a_page(
    board: PrepareBoard, installed: Path, page: Path, read_here: Any, name: str
) -> None:
    emulated = board(name)
    home = emulated.run_python(
        "-c", "import edgeocr; print(edgeocr.__file__)", environment={"PYTHONPATH": str(installed)}
    )
    assert Path(home.strip()).is_relative_to(installed)
    assert [text for text, _, _ in read_here] == ["abcd", "dbac"]
    assert read(emulated.python, page, installed, bundle=BUNDLE) == read_here


@pytest.mark.parametrize("name", ["pi4", "pi5"])
def test_the_wheel_reads_a_receipt_by_the_bundle_that_it_carries(
    board: PrepareBoard, installed: Path, name: str
) -> None:
    here = read(sys.executable, RECEIPT, installed)
    there = read(board(name).python, RECEIPT, installed)
    assert len(here) > 20
    assert [(text, box) for text, _, box in there] == [(text, box) for text, _, box in here]
    # LSTM layers compute in floats, which differ in their last bits between processors; where
    # that decides an integer behind them, a score moves.
    assert [score for _, score, _ in there] == pytest.approx(
        [score for _, score, _ in here], abs=1e-3
    )


def test_the_wheel_carries_what_boards_are_made_with(installed: Path) -> None:
    home = installed / "edgeocr_benchmarks/emulation"
    assert {"instruction_counter.c", "machine.sh"} <= {path.name for path in home.iterdir()}


def test_a_file_that_is_no_wheel_is_named(tmp_path: Path) -> None:
    (tmp_path / "edgeocr-1-py3-none-any.whl").write_text("nothing")
    with pytest.raises(EmulationError, match=r"unpacking edgeocr-1-py3-none-any\.whl failed"):
        install_wheel(tmp_path / "edgeocr-1-py3-none-any.whl", tmp_path / "out")
    assert not list((tmp_path / "out").glob("edgeocr*"))
