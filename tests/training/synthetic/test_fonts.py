"""Fonts are found, checked, and asked only for what they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._g_l_y_f import Glyph
from hypothesis import given
from hypothesis import strategies as st

from edgeocr_training.data.synthetic.fonts import CHINESE, LATIN, Typeface, find_fonts
from edgeocr_training.errors import DataError

from .conftest import bit_font, bit_glyph, write_font


def faces(*paths: Path) -> tuple[Typeface, ...]:
    return find_fonts([str(path) for path in paths], ("en",)).typefaces("en")


def test_the_common_chinese_characters_are_those_of_level_1() -> None:
    assert len(CHINESE) == 3755
    assert {"啊", "座", "的"} <= CHINESE  # the first and the last of the table, and the commonest


def test_pillows_own_font_and_those_of_the_system_are_the_default(
    monkeypatch: pytest.MonkeyPatch, chinese_font: Path
) -> None:
    folders: list[Path] = []
    monkeypatch.setattr("edgeocr_training.data.synthetic.fonts._system_folders", lambda: folders)
    (own,) = find_fonts((), ("en",)).typefaces("en")
    assert own.path == ""
    assert own.at(20).size == 20
    assert own.readable("Total: $12.50") == "Total: $12.50"
    folders += [chinese_font.parent]
    assert len(find_fonts((), ("en", "zh")).typefaces("en")) == 2


def test_a_font_sets_the_languages_whose_characters_it_has(
    latin_font: Path, chinese_font: Path
) -> None:
    book = find_fonts([str(latin_font), str(chinese_font)], ("en", "zh"))
    assert len(book.typefaces("en")) == 2
    assert [face.path for face in book.typefaces("zh")] == [str(chinese_font)]


def test_folders_are_searched_to_any_depth(latin_font: Path) -> None:
    assert faces(latin_font.parent.parent)


def test_without_a_chinese_font_the_error_names_packages(latin_font: Path) -> None:
    with pytest.raises(DataError, match=r"Chinese.*fonts-noto-cjk"):
        find_fonts([str(latin_font)], ("en", "zh"))


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        find_fonts([str(tmp_path / "nowhere")], ("en",))


@pytest.mark.parametrize("length", [0, 4, 100, 3000])
def test_a_broken_file_is_passed_over(tmp_path: Path, latin_font: Path, length: int) -> None:
    (tmp_path / "broken.ttf").write_bytes(latin_font.read_bytes()[:length])
    (tmp_path / "text.otf").write_text("not a font")
    assert [face.path for face in faces(tmp_path, latin_font)] == [str(latin_font)]
    with pytest.raises(DataError, match="English"):
        faces(tmp_path)


def test_a_font_without_outlines_is_passed_over(tmp_path: Path, latin_font: Path) -> None:
    with TTFont(latin_font) as font:
        table = "CFF " if "CFF " in font else "glyf"
        del font[table]
        font.save(tmp_path / "empty.ttf")
    with pytest.raises(DataError, match="English"):
        faces(tmp_path)


def test_fonts_that_draw_the_same_for_all_are_passed_over(tmp_path: Path) -> None:
    write_font(tmp_path / "a.ttf", {c: bit_glyph(0x5A5A) for c in LATIN}, family="Last resort")
    with pytest.raises(DataError, match="English"):
        faces(tmp_path)


def test_fonts_of_key_caps_are_passed_over(tmp_path: Path) -> None:
    """Their full stop is as large as any letter."""
    write_font(tmp_path / "a.ttf", {c: bit_glyph(ord(c)) for c in LATIN}, family="Keys")
    with pytest.raises(DataError, match="English"):
        faces(tmp_path)


def test_small_letters_that_look_like_capitals_are_labelled_as_capitals(tmp_path: Path) -> None:
    def glyph(character: str) -> Glyph:
        return bit_glyph(0 if character == "." else ord(character.upper()))

    write_font(tmp_path / "a.ttf", {c: glyph(c) for c in LATIN}, family="Capitals")
    (face,) = faces(tmp_path)
    assert face.capitals_only
    assert face.readable("Ab9") == "AB9"
    assert "a" not in map(chr, face.drawn(np.arange(200)))


def test_ordinary_fonts_keep_small_letters(latin_font: Path) -> None:
    (face,) = faces(latin_font)
    assert not face.capitals_only
    assert "a" in map(chr, face.drawn(np.arange(200)))


@pytest.fixture(scope="session")
def latin_face(latin_font: Path) -> Typeface:
    (face,) = faces(latin_font)
    return face


@given(text=st.text(alphabet=st.characters(max_codepoint=0x9FFF)))
def test_what_is_readable_has_glyphs_and_no_space_at_the_ends(
    text: str, latin_face: Typeface
) -> None:
    readable = latin_face.readable(text)
    assert latin_face.covers(readable or "a") == 1
    assert readable == readable.strip()


def test_what_lacks_a_glyph_is_left_out_with_the_gap(latin_font: Path) -> None:
    (face,) = faces(latin_font)
    assert face.readable("one 永 two") == "one two"
    assert face.readable("永") == ""


def test_every_family_is_as_likely_as_any_other(tmp_path: Path) -> None:
    bit_font(tmp_path / "a.ttf", LATIN, family="One")
    for name in ("b", "c", "d"):
        bit_font(tmp_path / f"{name}.ttf", LATIN, family="Three")
    book = find_fonts([str(tmp_path)], ("en",))
    rng = np.random.default_rng(0)
    chosen = [book.choose(rng, "en").family for _ in range(2000)]
    # Six standard deviations of a binomial of 2000 are 134.
    assert abs(chosen.count("One") - 1000) < 134
