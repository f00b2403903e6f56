from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeocr_benchmarks.errors import LabelError
from edgeocr_benchmarks.labels import read_labels

MakeImage = Callable[..., Path]
WriteLabels = Callable[[Sequence[tuple[str, Any]]], Path]

QUAD = [[1, 2], [30, 2], [30, 12.5], [1, 12]]


def test_pages(make_image: MakeImage, write_labels: WriteLabels) -> None:
    make_image("a.png")
    labels = read_labels(str(write_labels([("a.png", [("Hé", QUAD), ("###", QUAD)])])))
    assert (labels.kind, labels.name) == ("pages", "set/dev")
    (page,) = labels.images
    assert page.image.is_file()
    assert page.text == "Hé"
    assert [region.dont_care for region in page.regions] == [False, True]
    np.testing.assert_array_equal(page.regions[0].polygon, QUAD)


def test_page_without_regions_is_a_page(make_image: MakeImage, write_labels: WriteLabels) -> None:
    make_image("a.png")
    labels = read_labels(str(write_labels([("a.png", [])])))
    assert labels.kind == "pages"
    assert labels.images[0].text == ""


def test_lines_keep_their_text_as_it_is(make_image: MakeImage, write_labels: WriteLabels) -> None:
    for name in ("a.png", "b.png"):
        make_image(name, size=(90, 30))
    labels = read_labels(str(write_labels([("a.png", "Salon"), ("b.png", "tab\there ")])))
    assert labels.kind == "lines"
    assert [line.text for line in labels.images] == ["Salon", "tab\there "]


def test_text_of_whole_images_is_told_by_its_length(
    make_image: MakeImage, write_labels: WriteLabels
) -> None:
    make_image("a.png", size=(800, 800))
    make_image("b.png", size=(800, 600))
    make_image("c.png", size=(800, 600))
    rows = [
        ("a.png", "OK"),
        ("b.png", "New! 50 % off " * 5),
        ("c.png", "慵懒时光 蓝天不寂寞 实物拍摄 禁止盗图 发热保暖衣"),
    ]
    assert read_labels(str(write_labels(rows))).kind == "texts"


def test_long_and_vertical_lines_stay_lines(
    make_image: MakeImage, write_labels: WriteLabels
) -> None:
    make_image("a.png", size=(1100, 30))
    make_image("b.png", size=(40, 160))
    rows = [
        ("a.png", "The harbour office opened at 7:45 and by noon it closed"),
        ("b.png", "慵懒时光"),
    ]
    assert read_labels(str(write_labels(rows))).kind == "lines"


def test_kind_can_be_said(make_image: MakeImage, write_labels: WriteLabels) -> None:
    make_image("a.png")
    path = write_labels([("a.png", "[1]")])
    assert read_labels(f"texts={path}").kind == "texts"
    assert read_labels(f"lines={path}").images[0].text == "[1]"


@pytest.mark.parametrize(
    ("texts", "fold_case"),
    [(("TOTAL", "RM 5.00"), True), (("TOTAL", "Rm 5.00"), False), (("12.50", "慵懒"), False)],
)
def test_labels_in_capitals_say_nothing_about_case(
    make_image: MakeImage, write_labels: WriteLabels, texts: tuple[str, str], fold_case: bool
) -> None:
    make_image("a.png")
    path = write_labels([("a.png", [(text, QUAD) for text in texts])])
    assert read_labels(str(path)).fold_case is fold_case


def test_limit_keeps_kind_and_case_of_the_whole_file(
    make_image: MakeImage, write_labels: WriteLabels
) -> None:
    for name in ("a.png", "b.png"):
        make_image(name, size=(90, 30))
    path = write_labels([("a.png", "ACTION"), ("b.png", "Salon")])
    labels = read_labels(str(path), limit=1)
    assert [line.text for line in labels.images] == ["ACTION"]
    assert labels.fold_case is False


def test_byte_order_mark_and_windows_line_ends(make_image: MakeImage, tmp_path: Path) -> None:
    make_image("a.png", size=(90, 30))
    path = tmp_path / "set" / "dev.txt"
    path.write_bytes(b"\xef\xbb\xbfa.png\tSalon\r\n\r\n")
    assert read_labels(str(path)).images[0].text == "Salon"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.png", "row 2: expected image<TAB>label"),
        ("\ttext", "row 2: expected image<TAB>label"),
        ("gone.png\t[]", "row 2: there is no image"),
        ("a.png\t[{]", "row 2: the regions are not JSON"),
        ("a.png\t{}", "row 2: the regions are not a JSON list"),
        ('a.png\t[{"text": "a"}]', 'region 0: expected {"transcription"'),
        ('a.png\t[{"transcription": "a"}]', "region 0: expected three or more points"),
        ('a.png\t[{"transcription": "a", "points": [[1, 2], [3, 4]]}]', "three or more points"),
        ('a.png\t[{"transcription": "a", "points": [["x", 2], [3, 4], [5, 6]]}]', "not numbers"),
        ('a.png\t[{"transcription": "a", "points": [[1, 2], [3], [5, 6]]}]', "not numbers"),
        ('a.png\t[{"transcription": "a", "points": [[1, NaN], [3, 4], [5, 6]]}]', "not finite"),
    ],
)
def test_malformed_rows_are_named(
    make_image: MakeImage, tmp_path: Path, row: str, message: str
) -> None:
    make_image("a.png")
    path = tmp_path / "set" / "dev.txt"
    path.write_text(f"a.png\t[]\n{row}\n", encoding="utf-8")
    with pytest.raises(LabelError) as caught:
        read_labels(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "can't read"), (b"\n \n", "holds no labels"), (b"a.png\t\xff\xfe\n", "not UTF-8")],
)
def test_unusable_files(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "dev.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LabelError, match=message):
        read_labels(str(path))


def test_image_that_is_none_is_named(make_image: MakeImage, write_labels: WriteLabels) -> None:
    make_image("a.png").write_text("not an image")
    with pytest.raises(LabelError, match=r"a\.png can't be opened as an image"):
        read_labels(str(write_labels([("a.png", "text")])))
