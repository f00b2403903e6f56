"""Fonts and texts that every machine has: Pillow's own font, and one that is made here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib.tables._g_l_y_f import Glyph
from PIL import ImageFont

from edgeocr_training.data.synthetic.fonts import CHINESE, LATIN
from edgeocr_training.data.synthetic.pages import SyntheticPagesConfig

EM = 1000
CELL = 160


def bit_glyph(code: int) -> Glyph:
    """A square on the line, and above it some of 16 for ``code``, all others for other codes."""
    pen = TTGlyphPen(None)
    scattered = code * 40503 % 65536  # by an odd number, so that no two become the same
    places = [(bit % 4, 1 + bit // 4) for bit in range(16) if scattered >> bit & 1]
    for column, row in [(0, 0), *places]:
        left, bottom, side = CELL * column, CELL * row, CELL - 20
        pen.moveTo((left, bottom))
        pen.lineTo((left, bottom + side))
        pen.lineTo((left + side, bottom + side))
        pen.lineTo((left + side, bottom))
        pen.closePath()
    return pen.glyph()


def write_font(path: Path, glyphs: dict[str, Glyph], *, family: str) -> Path:
    """Writes a TrueType font with a glyph for each character."""
    names = {character: f"u{ord(character):04X}" for character in glyphs}
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap({ord(character): name for character, name in names.items()})
    shapes = {names[character]: glyph for character, glyph in glyphs.items()}
    builder.setupGlyf({".notdef": Glyph(), **shapes})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (EM, 0)))
    builder.setupHorizontalHeader(ascent=CELL * 5, descent=-CELL)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def bit_font(path: Path, characters: Iterable[str], *, family: str = "Bits") -> Path:
    """A font of :func:`bit_glyph`; the full stop is one square."""
    glyphs = {c: bit_glyph(0 if c == "." else ord(c)) for c in characters}
    glyphs[" "] = Glyph()
    return write_font(path, glyphs, family=family)


@pytest.fixture(scope="session")
def latin_font(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The font inside of Pillow as a file."""
    font = ImageFont.load_default(20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    path = tmp_path_factory.mktemp("latin") / "pillow.ttf"
    path.write_bytes(font.font_bytes)
    return path


@pytest.fixture(scope="session")
def chinese_font(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A font that has Latin letters and the common Chinese characters, as patterns of squares."""
    return bit_font(tmp_path_factory.mktemp("chinese") / "bits.ttf", sorted(LATIN | CHINESE))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words and passages of both languages."""
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text(
        "house\nwindow\ncloud\nmarket\n"
        "The quick brown fox jumps over the lazy dog, and nobody knows why it does so.\n"
        "天气\n银行\n图书馆\n"
        "今天的天气很好，我们去图书馆看书，然后到银行取钱。\n",
        "utf-8",
    )
    return path


@pytest.fixture(scope="session")
def pages_config(
    latin_font: Path, chinese_font: Path, corpus: Path
) -> Callable[..., SyntheticPagesConfig]:
    """Makes configs of small pages from these fonts and texts."""

    def make(**changes: object) -> SyntheticPagesConfig:
        values: dict[str, object] = {
            "fonts": (str(latin_font), str(chinese_font)),
            "corpora": (str(corpus),),
            "height": (300, 400),
            "width": (300, 400),
        }
        return SyntheticPagesConfig(**(values | changes))  # type: ignore[arg-type]

    return make
