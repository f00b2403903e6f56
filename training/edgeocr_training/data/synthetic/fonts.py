"""Fonts to render with: what this machine has, checked glyph by glyph.

A font that lacks a character draws a box or nothing in its place, and a label would then say what
nobody can read. So the character map of every face is read, and a text is cut down to what its
face can draw before it is drawn.
"""

from __future__ import annotations

import io
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
from fontTools.ttLib import TTFont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from edgeocr_training.errors import DataError

Language = Literal["en", "zh"]

LATIN: Final = frozenset(map(chr, range(0x21, 0x7F)))
"""What a face must draw to set English."""
CHINESE: Final = frozenset(
    bytes((row, cell)).decode("gb2312")
    for row in range(0xB0, 0xD8)
    for cell in range(0xA1, 0xFF if row < 0xD7 else 0xFA)
)
"""The 3,755 characters of GB 2312 level 1, which make up nearly all of running Chinese text."""

_MISSING_TOLERATED: Final = 0.01
"""Of the Chinese characters: some good faces lack a few."""
_SUFFIXES: Final = (".ttf", ".otf", ".ttc", ".otc")
_PACKAGES: Final[dict[Language, str]] = {
    "en": "fonts-liberation2 fonts-freefont-ttf fonts-open-sans",
    "zh": "fonts-noto-cjk fonts-wqy-zenhei",
}
_PILLOW: Final = ""
"""Path that stands for the font inside of Pillow."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Typeface:
    """One face of a font file."""

    path: str
    """Empty for the font that Pillow brings along."""
    index: int
    """Within the file, which may be a collection."""
    family: str
    """Of the first face of the file: a collection is one family, in local variants."""
    capitals_only: bool
    """Small letters look like capitals, so that text has to be labelled as capitals."""
    drawable: bytes
    """65,536 bytes: 1 where the face has a glyph for that code point, else 0."""

    def at(self, size: int) -> ImageFont.FreeTypeFont:
        """The face at ``size`` pixels per em."""
        return _open(self.path, self.index, size)

    def covers(self, characters: Sequence[str] | frozenset[str]) -> float:
        """The share of ``characters`` that the face draws, in [0, 1]."""
        return sum(map(self._draws, characters)) / len(characters)

    def readable(self, text: str) -> str:
        """What of ``text`` the face can draw, without spaces at the ends or doubled by a gap."""
        if self.capitals_only:
            text = text.upper()
        if all(map(self._draws, text)):
            return text.strip()
        kept = "".join(character for character in text if self._draws(character))
        return " ".join(kept.split())

    def drawn(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the code points (N,) that the face draws as they are."""
        codes = codes[codes < len(self.drawable)]
        kept = codes[np.frombuffer(self.drawable, np.bool_)[codes]]
        return kept[(kept < ord("a")) | (kept > ord("z"))] if self.capitals_only else kept

    def _draws(self, character: str) -> int:
        code = ord(character)
        return self.drawable[code] if code < len(self.drawable) else 0


@lru_cache(maxsize=1024)
def _open(path: str, index: int, size: int) -> ImageFont.FreeTypeFont:
    if path == _PILLOW:
        font = ImageFont.load_default(size)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise DataError("this Pillow was built without FreeType: install a wheel of pillow")
        return font
    # Basic layout: the same pixels whether or not libraqm is here.
    return ImageFont.truetype(path, size, index=index, layout_engine=ImageFont.Layout.BASIC)


class FontBook:
    """Typefaces by the languages that they can set."""

    def __init__(self, typefaces: Sequence[Typeface]) -> None:
        self._families: dict[Language, tuple[tuple[Typeface, ...], ...]] = {
            "en": _by_family([face for face in typefaces if face.covers(LATIN) == 1]),
            "zh": _by_family(
                [face for face in typefaces if face.covers(CHINESE) >= 1 - _MISSING_TOLERATED]
            ),
        }

    def typefaces(self, language: Language) -> tuple[Typeface, ...]:
        """All faces that can set the language."""
        return tuple(face for family in self._families[language] for face in family)

    def choose(self, rng: np.random.Generator, language: Language) -> Typeface:
        """A face; every family is as likely as any other, however many faces it has."""
        families = self._families[language]
        family = families[rng.integers(len(families))]
        return family[rng.integers(len(family))]


def _by_family(typefaces: Sequence[Typeface]) -> tuple[tuple[Typeface, ...], ...]:
    families = defaultdict(list)
    for face in typefaces:
        families[face.family].append(face)
    return tuple(tuple(families[name]) for name in sorted(families))


def find_fonts(sources: Sequence[str], languages: Sequence[Language]) -> FontBook:
    """Reads fonts; files that are broken, or hold no text font, are passed over.

    Args:
        sources: font files and folders, searched to any depth; where there are none, the folders
            in which this system keeps its fonts, and Pillow's own font.
        languages: at least one face must set each of them.

    Raises:
        DataError: a source does not exist, or no face can set one of the languages.
    """
    paths: list[Path] = []
    for source in map(Path, sources):
        if source.is_dir():
            paths += _font_files(source)
        elif source.is_file():
            paths.append(source)
        else:
            raise DataError(f"there is no font file or folder {source}")
    typefaces: list[Typeface] = []
    if not sources:
        paths = [path for folder in _system_folders() for path in _font_files(folder)]
        font = _open(_PILLOW, 0, _TRIAL_SIZE)
        typefaces += _read_faces(font.font_bytes, path=_PILLOW)
    for path in paths:
        typefaces += _read_faces(path, path=str(path))
    book = FontBook(typefaces)
    for language in languages:
        if not book.typefaces(language):
            name = {"en": "English", "zh": "Chinese"}[language]
            where = ", ".join(sources) or "the font folders of this system"
            raise DataError(
                f"no font in {where} has the characters of {name}: name a folder with one, or "
                f"install some (Debian: apt-get install {_PACKAGES[language]})"
            )
    return book


def _system_folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        return [Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    return [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".fonts"]


def _font_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)


_TRIAL_SIZE: Final = 32
_ALIKE: Final = 25
"""Mean difference of two pictures of the same letter, of 255."""


def _read_faces(file: Path | bytes, *, path: str) -> Iterator[Typeface]:
    """The faces of one file that are sound."""
    maps: dict[int, bytes] = {}
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as stream:
        index, count, family = 0, 1, ""
        while index < count:
            try:
                font = TTFont(stream, fontNumber=index, lazy=True)
                # The faces of a collection share tables: their places in the file tell.
                place = font.reader.tables["cmap"].offset
                if place not in maps:
                    maps[place] = _drawable(font)
                if index == 0:
                    family = str(font["name"].getBestFamilyName() or Path(path).stem)
                count = getattr(font.reader, "numFonts", 1)
            except Exception:  # a damaged table fails in whatever way it is damaged
                return
            try:
                sound = _draws_letters(path, index, maps[place])
                capitals_only = sound and _looks_like_capitals(path, index, maps[place])
            except OSError:  # FreeType's word for the same
                return
            if sound:
                yield Typeface(
                    path=path,
                    index=index,
                    family=family,
                    capitals_only=capitals_only,
                    drawable=maps[place],
                )
            index += 1


def _drawable(font: TTFont) -> bytes:
    codes = np.fromiter(font.getBestCmap() or (), dtype=np.int64)
    drawable = np.zeros(1 << 16, np.uint8)
    drawable[codes[codes < len(drawable)]] = 1
    # Neither has ink, whatever the map says; all spaces are one to a reader.
    drawable[:0x20] = 0
    drawable[0x7F:0xA1] = 0
    return drawable.tobytes()


def _draws_letters(path: str, index: int, drawable: bytes) -> bool:
    """Whether there is ink, not the same for every character, as in last-resort fonts, and no
    frame around each, as in fonts of key caps: a full stop is smaller than a letter.
    """
    characters = [c for c in "AgR8永国的" if drawable[ord(c)]]
    pictures = [_trial(path, index, character) for character in characters]
    if len(characters) < 3 or not all(picture.any() for picture in pictures):
        return False
    if len({picture.tobytes() for picture in pictures}) < len(pictures):
        return False
    return not (drawable[ord("A")] and drawable[ord(".")]) or (
        2 * _height(path, index, ".") < _height(path, index, "A")
    )


def _height(path: str, index: int, character: str) -> float:
    _, top, _, bottom = _open(path, index, _TRIAL_SIZE).getbbox(character)
    return bottom - top


def _looks_like_capitals(path: str, index: int, drawable: bytes) -> bool:
    if not all(drawable[ord(c)] for c in "aegrAEGR"):
        return False
    # Small capitals too are capitals to who reads a single line; hence the common size.
    differences = [
        np.abs(_trial(path, index, c) - _trial(path, index, c.upper())).mean() for c in "aegr"
    ]
    return bool(max(differences) < _ALIKE)


def _trial(path: str, index: int, character: str) -> NDArray[np.int16]:
    """(32, 32): the ink of a character stretched to one size; all 0 where there is none."""
    mask = Image.new("L", (3 * _TRIAL_SIZE, 3 * _TRIAL_SIZE))
    font = _open(path, index, _TRIAL_SIZE)
    ImageDraw.Draw(mask).text((_TRIAL_SIZE, _TRIAL_SIZE), character, fill=255, font=font)
    return np.asarray(mask.crop(mask.getbbox()).resize((32, 32)), np.int16)
