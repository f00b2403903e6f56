"""A flat sheet that is written on, and remembers where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from edgeocr_training.data.synthetic.fonts import Typeface
from edgeocr_training.data.synthetic.ink import Ink, draw_ink, draw_vertical_ink

Colour = tuple[int, int, int]
"""BGR: Pillow does not care which channel is which."""

_CLOSING: Final = "，。、：；！？）》”"
_CHARACTERS_PER_EM: Final = 4
_ROOM_EMS: Final = 0.06
_ROOM_PIXELS: Final = 1.0
"""Left free between ink and outline on every side, the sum of both. So the outlines stand to
PP-OCR's boxes as those that people drew for SROIE, FUNSD and ICDAR 2015 do: lower by a tenth."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pen:
    """How a line is written."""

    typeface: Typeface
    size: int
    """Pixels per em."""
    colour: Colour
    letter_gap: float = 0.0
    """Pixels after every character."""
    stroke: int = 0
    """Pixels by which letters grow on all sides."""
    outline: Colour | None = None
    """Of the stroke, the letters themselves keeping their colour; None: the same."""
    shadow: Colour | None = None
    opacity: float = 1.0
    vertical: bool = False
    """From top to bottom instead of from left to right."""

    @property
    def font(self) -> ImageFont.FreeTypeFont:
        """The face at this size."""
        return self.typeface.at(self.size)

    @property
    def rim(self) -> Colour:
        """The colour of the outermost ink."""
        return self.shadow or self.outline or self.colour

    def length(self, text: str) -> float:
        """Pixels from where writing begins to where it goes on."""
        if self.vertical:
            return (self.size + self.letter_gap) * len(text)
        return self.font.getlength(text) + self.letter_gap * len(text)

    def fitting(self, text: str, length: float) -> str:
        """The longest beginning of ``text`` that fits, cut between words; empty if none does."""
        if length <= 0:
            return ""
        # No text is narrower than this: measuring what can't fit would take most of the time.
        most = max(int(_CHARACTERS_PER_EM * length / self.size), 1)
        whole = self.typeface.readable(text)
        text = whole[: most + 1]
        measured = self.length(text)
        if measured <= length and text == whole:
            return text
        end = min(int(len(text) * length / max(measured, 1) * 1.05) + 1, len(text) - 1)
        while end > 0 and not (_may_break(text, end) and self.length(text[:end]) <= length):
            end -= 1
        return text[:end].strip()

    def ink(self, text: str, *, word_gap: float = 0.0, stroke: int) -> Ink | None:
        """Draws ``text``; see :func:`~edgeocr_training.data.synthetic.ink.draw_ink`."""
        if self.vertical:
            return draw_vertical_ink(text, self.font, letter_gap=self.letter_gap, stroke=stroke)
        return draw_ink(
            text, self.font, letter_gap=self.letter_gap, word_gap=word_gap, stroke=stroke
        )


def _may_break(text: str, place: int) -> bool:
    """Before ``place``: at spaces, and beside Chinese characters but not before their marks."""
    before, after = text[place - 1], text[place]
    return " " in (before, after) or (max(before, after) > "\u2e80" and after not in _CLOSING)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrittenLine:
    """One line and where it stands."""

    polygon: NDArray[np.float32]
    """(N, 2), pixels, clockwise from its top-left."""
    text: str


class Sheet:
    """A picture to write on.

    Args:
        picture: (H, W, 3) uint8 BGR, which is copied.
    """

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        self._image = Image.fromarray(picture)
        self._cover = Image.new("L", self._image.size)
        self.draw = ImageDraw.Draw(self._image)
        self.lines: list[WrittenLine] = []

    @property
    def width(self) -> int:
        return self._image.width

    @property
    def height(self) -> int:
        return self._image.height

    @property
    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR, a copy."""
        return np.array(self._image)

    @property
    def cover(self) -> NDArray[np.uint8]:
        """(H, W) uint8: how strongly what was written covers the sheet, 0 to 255; a copy."""
        return np.array(self._cover)

    def lightness(self, box: tuple[int, int, int, int]) -> tuple[float, float]:
        """Mean and standard deviation of the grey levels in (left, top, right, bottom)."""
        sample = self._image.crop(box).resize((64, 16), Image.Resampling.NEAREST)
        grey = np.asarray(sample, np.float32).mean(2)
        return float(grey.mean()), float(grey.std())

    def paste(self, picture: NDArray[np.uint8], left: int, top: int) -> None:
        """Puts a picture (H, W, 3) down."""
        self._image.paste(Image.fromarray(picture), (left, top))

    def write(
        self,
        text: str,
        left: float,
        baseline: float,
        pen: Pen,
        *,
        anchor: float = 0.0,
        word_gap: float = 0.0,
        underline: bool = False,
    ) -> float:
        """Writes one line.

        Args:
            text: of which the pen's face may lack characters: they are left out.
            left: where writing begins, or ends, or has its middle, see ``anchor``; of a vertical
                line, its middle.
            baseline: row on which the letters stand; of a vertical line, where writing begins.
            pen: to write with.
            anchor: share of a horizontal line's length that lies left of ``left``.
            word_gap: pixels added to every space of a horizontal line.
            underline: rules a line under the text.

        Returns:
            How far writing went, 0 where nothing was written: there was no ink, or it would have
            left the sheet.
        """
        text = pen.typeface.readable(text)
        ink = pen.ink(text, word_gap=word_gap, stroke=pen.stroke)
        if ink is None:
            return 0.0
        x = round(left - (0 if pen.vertical else anchor * ink.advance))
        y = round(baseline)
        box = (
            x + ink.left,
            y + ink.top,
            x + ink.left + ink.mask.width,
            y + ink.top + ink.mask.height,
        )
        if min(box[:2]) < 1 or box[2] > self.width - 1 or box[3] > self.height - 1:
            return 0.0
        if pen.shadow is not None:
            away = max(1, pen.size // 14)
            wide = Image.new("L", (ink.mask.width + 4 * away, ink.mask.height + 4 * away))
            wide.paste(ink.mask, (2 * away, 2 * away))
            soft = wide.filter(ImageFilter.BoxBlur(away / 2))
            self._cover_with(pen.shadow, soft, box[0] - away, box[1] - away, pen.opacity)
        self._cover_with(pen.outline or pen.colour, ink.mask, box[0], box[1], pen.opacity)
        if pen.outline is not None:
            inner = pen.ink(text, word_gap=word_gap, stroke=0)
            if inner is not None:
                self._cover_with(pen.colour, inner.mask, x + inner.left, y + inner.top, pen.opacity)
        if underline:
            row = round(baseline + max(2, 0.12 * pen.size))
            rule = Image.new("L", (box[2] - box[0], max(1, pen.size // 16)), 255)
            self._cover_with(pen.colour, rule, box[0], row, pen.opacity)
        self.lines.append(
            WrittenLine(polygon=_around(*box, room=_ROOM_EMS * pen.size + _ROOM_PIXELS), text=text)
        )
        return ink.advance

    def _cover_with(
        self, colour: Colour, mask: Image.Image, left: int, top: int, opacity: float
    ) -> None:
        if opacity < 1:
            mask = mask.point(lambda level: level * opacity)
        self._image.paste(colour, (left, top), mask)
        self._cover.paste(255, (left, top), mask)


def _around(
    left: float, top: float, right: float, bottom: float, *, room: float
) -> NDArray[np.float32]:
    """(4, 2): around pixels from (left, top) up to but without (right, bottom)."""
    left, top, right, bottom = left - room, top - room, right + room, bottom + room
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
