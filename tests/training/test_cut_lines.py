"""Lines are cut out of pages as the product cuts them; what gives no line is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeocr.images import load_image
from edgeocr.pixels import crop_line
from edgeocr_benchmarks.labels import read_labels
from edgeocr_training.data.cut_lines import cut_lines, main
from edgeocr_training.errors import DataError

TILTED = [[20, 30], [120, 40], [118, 60], [18, 50]]


def box(x: int, y: int, width: int, height: int) -> list[list[int]]:
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


def write_pages(folder: Path, regions: list[tuple[str, list[Any]]]) -> Path:
    small = np.random.default_rng(0).integers(0, 256, (10, 12, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / "page.png"), cv2.resize(small, (240, 200)))
    label = [{"transcription": text, "points": points} for text, points in regions]
    (folder / "pages.txt").write_text(f"page.png\t{json.dumps(label)}\n")
    return folder / "pages.txt"


def test_lines_are_the_products_crops(tmp_path: Path) -> None:
    pages = write_pages(
        tmp_path,
        [
            ("A tilted  line", TILTED),
            ("tall", box(150, 20, 20, 80)),
            ("I", box(180, 20, 10, 40)),
            ("###", box(0, 100, 50, 20)),
            ("  ", box(0, 100, 50, 20)),
            ("low", box(0, 150, 50, 5)),
            ("flat", [[0, 0], [10, 10], [20, 20], [30, 30]]),
        ],
    )
    cut = cut_lines(pages, tmp_path / "out")
    assert cut.written == 3
    assert cut.left_out == {"illegible": 1, "empty": 1, "too small": 1, "without area": 1}
    lines = read_labels(f"lines={cut.labels}")
    assert [line.text for line in lines.images] == ["A tilted line", "tall", "I"]
    page = load_image(tmp_path / "page.png")
    for line, quad, turned in zip(
        lines.images,
        (TILTED, box(150, 20, 20, 80), box(180, 20, 10, 40)),
        (False, True, False),
        strict=True,
    ):
        expected = crop_line(page, np.array(quad), turned=turned).pixels
        image = load_image(line.image)
        assert image.shape == expected.shape
        # JPEG at quality 95 of a smooth picture, its colours at half the resolution.
        assert np.abs(image.astype(int) - expected).mean() < 4


def test_corners_of_four_say_where_the_text_begins_and_others_are_ordered(tmp_path: Path) -> None:
    quad = box(20, 30, 100, 30)
    upside_down = quad[2:] + quad[:2]
    pages = write_pages(
        tmp_path, [("x1", upside_down), ("x2", quad[::-1]), ("x3", [*quad, [20, 45]])]
    )
    cut = cut_lines(pages, tmp_path / "out")
    turned, mirrored, five = (
        load_image(line.image).astype(int) for line in read_labels(f"lines={cut.labels}").images
    )
    upright = crop_line(load_image(tmp_path / "page.png"), np.array(quad)).pixels
    assert np.abs(turned - upright[::-1, ::-1]).mean() < 5
    assert np.abs(mirrored - upright).mean() < 5
    assert np.abs(five - upright).mean() < 5


def test_capitals_alone_say_nothing_about_case(tmp_path: Path) -> None:
    pages = write_pages(tmp_path, [("TOTAL", box(0, 0, 60, 20)), ("12.50", box(80, 0, 60, 20))])
    cut = cut_lines(pages, tmp_path / "out")
    assert cut.left_out == {"of unknown case": 1}
    assert [line.text for line in read_labels(f"lines={cut.labels}").images] == ["12.50"]


def test_nothing_is_overwritten_and_faults_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = write_pages(tmp_path, [("Text", TILTED)])
    assert main([str(pages), str(tmp_path / "out")]) == 0
    assert "1 lines" in capsys.readouterr().out
    assert main([str(pages), str(tmp_path / "out")]) == 2
    assert "already there" in capsys.readouterr().err
    assert main([str(tmp_path / "gone.txt"), str(tmp_path / "other")]) == 2
    assert "gone.txt" in capsys.readouterr().err
    nothing = write_pages(tmp_path, [("###", TILTED)])
    with pytest.raises(DataError, match="no line that can be cut"):
        cut_lines(nothing, tmp_path / "none")
    assert not (tmp_path / "none" / "lines.txt").exists()
