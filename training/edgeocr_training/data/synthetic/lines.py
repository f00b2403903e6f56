"""Single lines of text, cut out as a detector would cut them, with what they say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.charset import read_charset
from edgeocr_training.data.synthetic import degradation, fields
from edgeocr_training.data.synthetic.backgrounds import paper, plain
from edgeocr_training.data.synthetic.corpora import Corpus
from edgeocr_training.data.synthetic.fonts import Language
from edgeocr_training.data.synthetic.layouts import (
    cased,
    contrasting,
    decorated,
    needs_board,
    spaced,
)
from edgeocr_training.data.synthetic.material import Material, find_material
from edgeocr_training.data.synthetic.projection import Bend, between_centres, onto
from edgeocr_training.data.synthetic.sheet import Pen, Sheet
from edgeocr_training.errors import DataError, RecipeError, SampleError

_TRIES: Final = 50
_IN_USE: Final = frozenset(
    map(
        chr,
        (
            *range(0x20, 0x7F),  # ASCII
            *range(0xA1, 0x180),  # letters of Latin with accents
            *range(0x2010, 0x2027),  # dashes, quotation marks
            *range(0x3001, 0x3012),  # marks of Chinese
            *range(0x4E00, 0x9FA6),  # Chinese characters
            *range(0xFF01, 0xFF5F),  # ASCII in the width of these
            ord("€"),
            ord("￥"),
        ),
    )
)
"""Characters that are rendered where no charset is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticLinesConfig:
    """What lines to render.

    Fonts, corpora and backgrounds are files and folders; empty stands for what is installed on
    this machine, see :func:`~edgeocr_training.data.synthetic.fonts.find_fonts`,
    :func:`~edgeocr_training.data.synthetic.corpora.find_corpora` and
    :class:`~edgeocr_training.data.synthetic.backgrounds.Backgrounds`.
    """

    count: int = 10_000
    """Lines in an epoch; every epoch has other ones."""
    languages: tuple[Language, ...] = ("en", "zh")
    fonts: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    charset: str = ""
    """Name or file of the recogniser's characters, see
    :func:`~edgeocr_training.data.charset.read_charset`: no others are rendered. Empty: any."""
    size: tuple[int, int] = (14, 64)
    """Least and greatest, pixels per em."""
    longest_aspect: float = 30.0
    """Of width to height; how long lines are besides depends on their kind."""
    words: float = 0.3
    """Share of single words and short phrases, as the next three; they need not sum to 1."""
    sentences: float = 0.3
    fields: float = 0.25
    """Dates, prices, numbers, addresses, with or without the label of the field."""
    rare_characters: float = 0.15
    """Characters drawn evenly from all that the font has, so that none is never seen."""

    def build(self) -> SyntheticLines:
        """Reads fonts and corpora.

        Raises:
            RecipeError: a value is outside of its range.
            DataError: a file is missing, or there is no font or no text for a language.
        """
        shares = (self.words, self.sentences, self.fields, self.rare_characters)
        if self.count < 1:
            raise RecipeError(f"count {self.count} of synthetic lines is not positive")
        if min(shares) < 0 or sum(shares) <= 0:
            raise RecipeError(f"the shares of synthetic lines {shares} must be positive")
        if not 8 <= self.size[0] <= self.size[1] <= 512:
            raise RecipeError(f"size {self.size} of synthetic lines: 8 to 512, rising")
        if not 1 <= self.longest_aspect <= 100:
            raise RecipeError(f"longest_aspect {self.longest_aspect} is not in 1 to 100")
        material = find_material(
            languages=self.languages,
            fonts=self.fonts,
            corpora=self.corpora,
            backgrounds=self.backgrounds,
        )
        return SyntheticLines(self, material, _read_charset(self.charset))


def _read_charset(path: str) -> frozenset[str]:
    """The characters that may be rendered, the space among them."""
    if not path:
        return _IN_USE
    return frozenset(entry for entry in read_charset(path) if len(entry) == 1)


class SyntheticLines:
    """Renders lines; made by :meth:`SyntheticLinesConfig.build`, and pickles."""

    def __init__(
        self, config: SyntheticLinesConfig, material: Material, charset: frozenset[str]
    ) -> None:
        self._config = config
        self._material = material
        self._charset = charset
        self._codes = np.array(sorted(map(ord, charset - {" "})))
        shares = np.array([config.words, config.sentences, config.fields, config.rare_characters])
        self._upto = np.cumsum(shares / shares.sum())

    def __len__(self) -> int:
        return self._config.count

    def line(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], str]:
        """One line; the same state of ``rng`` gives the same line.

        Returns:
            The picture (H, W, 3) uint8 BGR, and what it says: at least one character, words apart
            by single spaces, none at the ends.

        Raises:
            DataError: fonts, texts and charset share hardly any character.
            SampleError: a font or background was removed or damaged after it was found.
        """
        try:
            picture, text, size = self._made(rng)
        except OSError as error:  # FreeType's too
            raise SampleError(f"a font for a rendered line can't be read: {error}") from error
        return _degraded(rng, picture, size), text

    def _made(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], str, int]:
        """The picture as written, what it says, and its pixels per em."""
        low, high = self._config.size
        for _ in range(_TRIES):
            corpus = self._material.corpus(rng)
            size = np.exp(rng.uniform(np.log(low), np.log(high)))
            pen = spaced(rng, self._material.pen(rng, corpus.language, size, (0, 0, 0)))
            longest = self._config.longest_aspect * pen.size
            text = pen.typeface.readable(self._text(rng, corpus, pen))
            text = pen.fitting(self._allowed(text), longest)
            written = self._written(rng, corpus, pen, text) if text else None
            if written is not None:
                return written, text, pen.size
        raise DataError("fonts, texts and charset share hardly any character: check the three")

    def _allowed(self, text: str) -> str:
        return " ".join("".join(c for c in text if c in self._charset).split())

    def _text(self, rng: np.random.Generator, corpus: Corpus, pen: Pen) -> str:
        """Of any kind, and of any length."""
        language = corpus.language
        kind = int(np.searchsorted(self._upto, rng.random(), side="right"))
        if kind == 0:
            return cased(rng, corpus.phrase(rng, int(rng.integers(1, 4))), language)
        if kind == 1:
            most = self._config.longest_aspect * (1.0 if language == "zh" else 2.2)
            length = int(np.exp(rng.uniform(np.log(min(5, most)), np.log(most))))
            text = self._material.text(rng, corpus, length)[: length + 1]
            end = text.rfind(" ") if language == "en" else length
            text = text[: end if end > 0 else length]
            return cased(rng, text, language) if rng.random() < 0.2 else text
        if kind == 2:
            if rng.random() < 0.3:
                colon = ("：", ":")[rng.integers(2)] if language == "zh" else ": "
                return fields.label(rng, language) + colon + fields.value(rng, corpus)
            return fields.value(rng, corpus)
        codes = pen.typeface.drawn(self._codes)
        if not len(codes):
            return ""
        characters = [chr(code) for code in rng.choice(codes, int(rng.integers(1, 13)))]
        if rng.random() < 0.2:
            characters.insert(len(characters) // 2, " ")
        return "".join(characters)

    def _written(
        self, rng: np.random.Generator, corpus: Corpus, pen: Pen, text: str
    ) -> NDArray[np.uint8] | None:
        """The line on its ground, cut out."""
        size = pen.size
        crowded = rng.random() < 0.2
        above = size * (2.2 if crowded else 0.7)
        height = round(1.3 * size + 2 * above)
        width = round(pen.length(text) + 2 * size)
        surface = self._material.backgrounds
        printed = rng.random() < 0.4
        ground = paper(rng, (height, width)) if printed else surface.surface(rng, (height, width))
        sheet = Sheet(ground)
        lightness, unevenness = sheet.lightness((0, 0, width, height))
        if needs_board(unevenness, size):
            sheet = Sheet(plain(rng, (height, width)))
            lightness, unevenness = sheet.lightness((0, 0, width, height))
        ink = contrasting(rng, lightness, at_least=min(60 + 1.5 * unevenness, 120))
        pen = replace(pen, colour=ink)
        if not printed:
            pen = decorated(rng, pen, lightness)
        baseline = above + size
        if crowded:
            for side in (-1, 1):
                other = pen.fitting(self._text(rng, corpus, pen), width - size)
                sheet.write(other, 0.5 * size, baseline + side * rng.uniform(1.15, 1.5) * size, pen)
            sheet.lines.clear()
        if not sheet.write(text, size, baseline, pen, underline=rng.random() < 0.04):
            return None
        (line,) = sheet.lines
        if rng.random() < 0.12:
            _rules(rng, sheet, line.polygon, pen)
        picture, outline = sheet.picture, line.polygon
        if rng.random() < 0.12:
            bend = Bend(
                amplitude=rng.uniform(0.03, 0.25) * size,
                waves=rng.uniform(0.3, 1.0),
                phase=rng.uniform(0, 2 * np.pi),
                width=width,
            )
            picture, outline = bend.picture(picture), bend.polygon(outline)
        return _cut(rng, picture, outline)


def _rules(rng: np.random.Generator, sheet: Sheet, outline: NDArray[np.float32], pen: Pen) -> None:
    """Lines of a form or a table close to the text, at some of its sides."""
    gap = pen.size * rng.uniform(0.08, 0.25)
    (left, top), (right, bottom) = outline[0] - gap, outline[2] + gap
    thick = max(1, round(pen.size * rng.uniform(0.02, 0.08)))
    far = 2 * sheet.width
    sides = (
        (0, bottom, far, bottom),
        (0, top, far, top),
        (left, 0, left, far),
        (right, 0, right, far),
    )
    for side in sides:
        if rng.random() < 0.4:
            sheet.draw.line(tuple(map(float, side)), fill=pen.colour, width=thick)


def _cut(
    rng: np.random.Generator, picture: NDArray[np.uint8], outline: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Cut out along a quadrilateral such as detectors find: tight, loose, somewhat askew."""
    low, high = outline.min(0), outline.max(0)
    height = high[1] - low[1]
    room = rng.uniform(-0.03, 0.12, 4) if rng.random() < 0.7 else rng.uniform(0.05, 0.4, 4)
    left, top, right, bottom = room * height
    quad = np.array(
        [
            (low[0] - left, low[1] - top),
            (high[0] + right, low[1] - top),
            (high[0] + right, high[1] + bottom),
            (low[0] - left, high[1] + bottom),
        ]
    )
    quad += rng.normal(0, rng.uniform(0, 0.05) * height, (4, 2))
    wide = max(round(float(quad[1, 0] - quad[0, 0])), 4)
    tall = max(round(float(quad[3, 1] - quad[0, 1])), 4)
    homography = onto(tall, wide, np.asarray(quad, np.float32))
    crop = cv2.warpPerspective(
        picture,
        between_centres(homography),
        (wide, tall),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(crop, np.uint8)


def _degraded(rng: np.random.Generator, picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """As far as letters of this size stay readable."""
    if rng.random() < 0.15:
        picture = degradation.shadow(rng, picture)
    if rng.random() < 0.4:
        picture = degradation.tone(rng, picture)
    kind = rng.random()
    if kind < 0.3:
        picture = degradation.defocus(rng, picture, radius=size / 14)
    elif kind < 0.4:
        picture = degradation.motion(rng, picture, length=size / 6)
    elif kind < 0.6:
        picture = degradation.low_resolution(rng, picture, factor=max(size / 11, 1.0))
    if rng.random() < 0.4:
        picture = degradation.noise(rng, picture, deviation=15)
    if rng.random() < 0.5:
        picture = degradation.jpeg(rng, picture, lowest_quality=30)
    if rng.random() < 0.05:
        picture = np.asarray(cv2.bitwise_not(picture), np.uint8)
    return picture
