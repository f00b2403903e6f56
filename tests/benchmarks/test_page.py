import hashlib
from pathlib import Path

import numpy as np
import pytest

from edgeocr.errors import ImageError, OptionError
from edgeocr_benchmarks.page import PageSize, page_record, render_page

SIZE = PageSize(width=1280, height=960, lines=20)


def test_page_is_drawn_the_same_every_time(tmp_path: Path) -> None:
    first, second = render_page(SIZE), render_page(SIZE)
    assert first.image.tobytes() == second.image.tobytes()
    first.save(tmp_path / "page.png")
    record = page_record(tmp_path / "page.png", name="page", lines=20)
    assert (record.width, record.height, record.lines) == (1280, 960, 20)
    assert record.pixels_sha256 == hashlib.sha256(first.image.tobytes()).hexdigest()


def test_every_line_is_inked_inside_of_its_region_and_nowhere_else() -> None:
    page = render_page(SIZE)
    ink = np.asarray(page.image.convert("L")) < 150
    assert len(page.regions) == 20
    for region in page.regions:
        x0, y0 = region.polygon.min(axis=0).astype(int)
        x1, y1 = region.polygon.max(axis=0).astype(int)
        assert ink[y0:y1, x0:x1].mean() > 0.05
        ink[y0 : y1 + 1, x0 : x1 + 1] = False
    assert not ink.any()


def test_text_has_words_figures_and_single_spaces() -> None:
    lines = [region.text for region in render_page(SIZE).regions]
    assert all(len(line.split(" ")) > 5 for line in lines)
    assert all(line == " ".join(line.split()) for line in lines)
    assert sum(any(character.isdigit() for character in line) for line in lines) >= 8
    assert len(set(lines)) == 20


@pytest.mark.parametrize(
    ("width", "height", "lines"), [(160, 24, 1), (640, 480, 10), (900, 2000, 90)]
)
def test_other_sizes(width: int, height: int, lines: int) -> None:
    page = render_page(PageSize(width=width, height=height, lines=lines))
    assert page.image.size == (width, height)
    assert len(page.regions) == lines
    bottom = max(region.polygon[:, 1].max() for region in page.regions)
    right = max(region.polygon[:, 0].max() for region in page.regions)
    assert bottom <= height
    assert right <= width


def test_size_is_parsed() -> None:
    assert PageSize.parse("1280x960x20") == SIZE


@pytest.mark.parametrize(
    "text",
    ["1280x960", "axbxc", "1280x960x0", "1280x100x20", "10x960x1", "99999x99999x5", "-5x9x1"],
)
def test_impossible_sizes_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match=text):
        PageSize.parse(text)


def test_font_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"font .*gone\.ttf can't be read"):
        render_page(SIZE, font=tmp_path / "gone.ttf")


def test_image_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(ImageError, match="can't be read as an image"):
        page_record(tmp_path / "a.png", name="a", lines=None)


def test_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ImageError, match="can't write the page"):
        render_page(SIZE).save(tmp_path / "file" / "page.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError, match="can't write the page"):
        render_page(SIZE).save(tmp_path / "folder.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]
