"""Parity: pixels, crops and boxes are the same on every processor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeocr_benchmarks.emulation import BOARDS, EmulatedBoard
from edgeocr_benchmarks.emulation.counting import own_packages
from edgeocr_benchmarks.page import PageSize, render_page

PrepareBoard = Callable[[str], EmulatedBoard]

SCRIPT = Path(__file__).with_name("pixel_digests.py")
ORIENTATION = 274
"""The tag of EXIF."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of text, and a photograph of it: compressed, coloured, lying on its side."""
    folder = tmp_path_factory.mktemp("pages")
    image = render_page(PageSize(width=640, height=480, lines=12)).image.convert("RGB")
    image.save(folder / "page.png")
    exif = type(image.getexif())()
    exif[ORIENTATION] = 6
    photo = image.rotate(3, fillcolor=(190, 160, 120)).transpose(Image.Transpose.ROTATE_90)
    photo.save(folder / "page.jpg", quality=80, exif=exif)
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path) -> Any:
    return computed(sys.executable, folder)


def computed(python: str | Path, folder: Path) -> Any:
    with own_packages() as packages:
        done = subprocess.run(
            [python, SCRIPT, folder],
            env={**os.environ, "PYTHONPATH": str(packages)},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found(board: PrepareBoard, folder: Path) -> Callable[[str], Any]:
    """What a board computes; once a board."""
    return cache(lambda name: computed(board(name).python, folder))


@pytest.mark.parametrize("name", BOARDS)
def test_pixels_and_crops_are_the_same_bytes(
    expected: Any, found: Callable[[str], Any], name: str
) -> None:
    here, there = expected["checksums"], found(name)["checksums"]
    assert there.keys() == here.keys()
    # Samples of 16 bits are scaled down to the photograph again; hardly two others are equal.
    assert len(set(here.values())) > 0.95 * len(here), "many results say the same"
    assert [step for step in here if there[step] != here[step]] == []


@pytest.mark.parametrize("name", BOARDS)
def test_boxes_are_the_same_to_the_last_bit(
    expected: Any, found: Callable[[str], Any], name: str
) -> None:
    for kind, boxes in expected["boxes"].items():
        assert len(boxes) > 5
        here, there = np.array(boxes), np.array(found(name)["boxes"][kind])
        np.testing.assert_array_equal(there[:, :8], here[:, :8])
        # A score is the mean of a map; floats are summed in another order elsewhere.
        np.testing.assert_allclose(there[:, 8], here[:, 8], atol=1e-6 if kind == "float32" else 0)
