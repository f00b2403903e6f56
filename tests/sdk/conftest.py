"""The tiny bundles of tests/golden and pictures in the language that they read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr import Ocr

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
Image: TypeAlias = NDArray[np.uint8]
Paint: TypeAlias = Callable[..., Image]


@pytest.fixture(scope="session", params=["fp32", "int8"])
def tiny(request: pytest.FixtureRequest) -> Path:
    """Folder of a bundle whose networks read the picture language of make_tiny_bundle.py."""
    return GOLDEN / f"tiny-{request.param}"


@pytest.fixture(scope="session")
def tiny_int8() -> Path:
    """Folder of the int8 one of these bundles."""
    return GOLDEN / "tiny-int8"


@pytest.fixture(scope="session")
def ocr(tiny: Path) -> Ocr:
    return Ocr.load(tiny, threads=2)


@pytest.fixture
def writable_bundle(tmp_path: Path) -> Path:
    """A copy of the int8 bundle, to be damaged."""
    return Path(shutil.copytree(GOLDEN / "tiny-int8", tmp_path / "bundle"))


@pytest.fixture
def change_manifest() -> Callable[[Path, dict[str, Any]], None]:
    """Sets keys of a bundle.json by their dotted names; an Ellipsis removes the key."""

    def change(folder: Path, changes: dict[str, Any]) -> None:
        path = folder / "bundle.json"
        document = json.loads(path.read_text("utf-8"))
        for dotted, value in changes.items():
            *parents, name = dotted.split(".")
            owner = document
            for parent in parents:
                owner = owner[parent]
            if value is ...:
                del owner[name]
            else:
                owner[name] = value
        path.write_text(json.dumps(document), "utf-8")

    return change


@pytest.fixture(scope="session")
def paint_line() -> Paint:
    """Paints a line of "a" to "d" and spaces: (height, columns, 3) uint8 BGR."""

    def paint(text: str, *, height: int = 32, stripe: int = 16, upside_down: bool = False) -> Image:
        line = np.zeros((height, stripe * (2 * len(text) + 1), 3), dtype=np.uint8)
        line[..., 2] = 255
        for i, character in enumerate(text):
            columns = slice(stripe * (2 * i + 1), stripe * (2 * i + 2))
            row = "abcd".find(character)
            rows = slice(0, height)
            if character != " ":
                rows = slice(row * height // 4, (row + 1) * height // 4)
            line[rows, columns, 1] = 255
        line[-height // 8 :, :, 2] = 160
        return np.ascontiguousarray(line[::-1, ::-1]) if upside_down else line

    return paint


@pytest.fixture(scope="session")
def paint_page(paint_line: Paint) -> Paint:
    """Paints texts on white, one below the other: (height, 250, 3) uint8 BGR."""

    def paint(*texts: str, upside_down: tuple[int, ...] = (), height: int = 180) -> Image:
        page = np.full((height, 250, 3), 255, dtype=np.uint8)
        for i, text in enumerate(texts):
            line = paint_line(text, upside_down=i in upside_down)
            top, left = 10 + 50 * i, 20
            page[top : top + line.shape[0], left : left + line.shape[1]] = line
        return page

    return paint
