"""What is written lies inside of its outline, and nothing else is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeocr_training.data.synthetic.fonts import FontBook, find_fonts
from edgeocr_training.data.synthetic.sheet import Pen, Sheet


@pytest.fixture(scope="module")
def fonts(latin_font: Path, chinese_font: Path) -> FontBook:
    return find_fonts([str(latin_font), str(chinese_font)], ("en", "zh"))


def blank() -> Sheet:
    return Sheet(np.full((200, 600, 3), 255, np.uint8))


@given(
    seed=st.integers(0, 10_000),
    size=st.integers(8, 50),
    letter_gap=st.sampled_from([0.0, -1.5, 3.25]),
    word_gap=st.sampled_from([0.0, 7.5]),
    stroke=st.integers(0, 3),
    vertical=st.booleans(),
)
def test_an_outline_is_tight_around_the_ink(
    fonts: FontBook,
    seed: int,
    size: int,
    letter_gap: float,
    word_gap: float,
    stroke: int,
    vertical: bool,
) -> None:
    rng = np.random.default_rng(seed)
    pen = Pen(
        typeface=fonts.choose(rng, ("en", "zh")[seed % 2]),
        size=size,
        colour=(0, 0, 0),
        letter_gap=letter_gap,
        stroke=stroke,
        vertical=vertical,
    )
    sheet = blank()
    # A vertical line begins at a row and goes down, a horizontal one stands on it.
    row = 20 if vertical else 120
    if not sheet.write("gA j.W 9", 100, row, pen, word_gap=word_gap):
        assert sheet.lines == []
        assert (sheet.picture == 255).all()
        return
    (line,) = sheet.lines
    y, x = np.nonzero(sheet.picture.min(2) < 255)
    ink = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
    outline = np.concatenate([line.polygon.min(0), line.polygon.max(0)])
    room = (outline - ink) * (-1, -1, 1, 1)
    np.testing.assert_allclose(room, 1 + 0.06 * size, atol=1e-3)
    np.testing.assert_array_equal(sheet.cover > 0, sheet.picture.min(2) < 255)


def test_what_does_not_fit_is_not_written(fonts: FontBook) -> None:
    pen = Pen(typeface=fonts.typefaces("en")[0], size=40, colour=(0, 0, 0))
    for left, baseline in ((-5, 100), (500, 100), (100, 20), (100, 197)):
        sheet = blank()
        assert sheet.write("Magnificent", left, baseline, pen) == 0
        assert sheet.lines == []
        assert (sheet.picture == 255).all()


def test_the_label_leaves_out_what_the_face_lacks(fonts: FontBook) -> None:
    (latin, *_) = (face for face in fonts.typefaces("en") if not face.covers("永"))
    pen = Pen(typeface=latin, size=20, colour=(0, 0, 0))
    with_gap, without = blank(), blank()
    with_gap.write("one 永 two", 10, 100, pen)
    without.write("one two", 10, 100, pen)
    assert with_gap.lines[0].text == "one two"
    np.testing.assert_array_equal(with_gap.picture, without.picture)


def test_outline_shadow_and_opacity_show(fonts: FontBook) -> None:
    def darkest_and_lightest(pen: Pen) -> tuple[int, int]:
        sheet = Sheet(np.full((200, 600, 3), 128, np.uint8))
        assert sheet.write("Text", 50, 120, pen)
        picture = sheet.picture
        return int(picture.min()), int(picture.max())

    face = fonts.typefaces("en")[0]
    plain = Pen(typeface=face, size=60, colour=(0, 0, 0))
    assert darkest_and_lightest(plain) == (0, 128)
    outlined = Pen(typeface=face, size=60, colour=(0, 0, 0), stroke=3, outline=(255, 255, 255))
    assert darkest_and_lightest(outlined) == (0, 255)
    shadowed = Pen(typeface=face, size=60, colour=(0, 0, 0), shadow=(255, 255, 255))
    darkest, lightest = darkest_and_lightest(shadowed)
    assert darkest == 0
    assert lightest > 200
    faint = Pen(typeface=face, size=60, colour=(0, 0, 0), opacity=0.5)
    assert darkest_and_lightest(faint)[0] == pytest.approx(64, abs=1)


def test_anchors_and_underlines(fonts: FontBook) -> None:
    pen = Pen(typeface=fonts.typefaces("en")[0], size=30, colour=(0, 0, 0))
    middles = []
    for anchor in (0.0, 0.5, 1.0):
        sheet = blank()
        advance = sheet.write("Centre", 300, 100, pen, anchor=anchor)
        middles.append(sheet.lines[0].polygon[:, 0].mean() + (anchor - 0.5) * advance)
    np.testing.assert_allclose(middles, 300, atol=3)  # rounding and side bearings
    sheet = blank()
    sheet.write("Centre", 300, 100, pen, underline=True)
    assert (sheet.picture[103:110, 302:350] == 0).all(axis=(1, 2)).any()


@given(length=st.floats(-50, 700), seed=st.integers(0, 1000))
def test_fitting_keeps_a_beginning_of_whole_words_that_fits(
    fonts: FontBook, length: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pen = Pen(typeface=fonts.choose(rng, "en"), size=20, colour=(0, 0, 0))
    text = " ".join("".join(rng.choice(list("ilmWao"), 5)) for _ in range(40))
    part = pen.fitting(text, length)
    assert text.startswith(part)
    assert not part or pen.length(part) <= length
    assert part == "" or part == text or text[len(part)] == " "
    # No shorter than need be: with one more word it would not fit.
    longer = text[: len(part) + 6].strip()
    assert part == text or pen.length(longer) > length


def test_chinese_breaks_between_characters_but_not_before_marks(fonts: FontBook) -> None:
    (face,) = fonts.typefaces("zh")
    pen = Pen(typeface=face, size=20, colour=(0, 0, 0))
    assert pen.fitting("今天天气好", 20 * 3.5) == "今天天"
    assert pen.fitting("今天天.好", 20 * 3.5) == "今天天"
    assert pen.fitting("我们read书", 20 * 4.5) == "我们"
