"""A flat sheet that is written on, and remembers where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from edgeocr_training.data.synthetic.fonts import Typeface
from edgeocr_training.data.synthetic.ink import draw_ink

Colour = tuple[int, int, int]
"""BGR: Pillow does not care which channel is which."""

_CLOSING: Final = "，。、：；！？）》”"
_ROOM: Final = 0.04
"""Ems of a font's size left free between ink and outline, on every side."""


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

    @property
    def font(self) -> ImageFont.FreeTypeFont:
        """The face at this size."""
        return self.typeface.at(self.size)

    def width(self, text: str) -> float:
        """Pixels from where writing begins to where it goes on."""
        return self.font.getlength(text) + self.letter_gap * len(text)

    def fitting(self, text: str, width: float) -> str:
        """The longest beginning of ``text`` that fits, cut between words; empty if none does."""
        text = self.typeface.readable(text)
        whole = self.width(text)
        if whole <= width:
            return text
        end = min(int(len(text) * width / whole * 1.1) + 1, len(text) - 1)
        while end > 0 and not (_may_break(text, end) and self.width(text[:end]) <= width):
            end -= 1
        return text[:end].strip()


def _may_break(text: str, place: int) -> bool:
    """Before ``place``: at spaces, and beside Chinese characters but not before their marks."""
    before, after = text[place - 1], text[place]
    return " " in (before, after) or (max(before, after) > "\u2e80" and after not in _CLOSING)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrittenLine:
    """One line and where it stands."""

    polygon: NDArray[np.float32]
    """(N, 2), pixels, clockwise from the beginning of the text's upper side."""
    text: str


class Sheet:
    """A picture to write on.

    Args:
        picture: (H, W, 3) uint8 BGR, which is copied.
    """

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        self._image = Image.fromarray(picture)
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

    def lightness(self, box: tuple[int, int, int, int]) -> float:
        """Mean grey level in (left, top, right, bottom)."""
        return float(np.asarray(self._image.crop(box).resize((16, 4)), np.float32).mean())

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
            left: where writing begins, or ends, or has its middle, see ``anchor``.
            baseline: row on which the letters stand.
            pen: to write with.
            anchor: share of the line's width that lies left of ``left``.
            word_gap: pixels added to every space.
            underline: rules a line under the text.

        Returns:
            How far writing went, 0 where nothing was written: there was no ink, or it would have
            left the sheet.
        """
        text = pen.typeface.readable(text)
        font = pen.font
        ink = draw_ink(text, font, letter_gap=pen.letter_gap, word_gap=word_gap, stroke=pen.stroke)
        if ink is None:
            return 0.0
        x = round(left - anchor * ink.advance) + ink.left
        y = round(baseline) + ink.top
        right, bottom = x + ink.mask.width, y + ink.mask.height
        if x < 1 or y < 1 or right > self.width - 1 or bottom > self.height - 1:
            return 0.0
        if pen.shadow is not None:
            self._cast_shadow(ink.mask, x, y, away=max(1, pen.size // 14), colour=pen.shadow)
        mask = ink.mask if pen.opacity == 1 else ink.mask.point(lambda level: level * pen.opacity)
        self._image.paste(pen.outline or pen.colour, (x, y), mask)
        if pen.outline is not None:
            inner = draw_ink(text, font, letter_gap=pen.letter_gap, word_gap=word_gap)
            if inner is not None:
                place = (x - ink.left + inner.left, round(baseline) + inner.top)
                self._image.paste(pen.colour, place, inner.mask)
        if underline:
            row = round(baseline + max(2, 0.12 * pen.size))
            thickness = max(1, pen.size // 16)
            self.draw.line((x, row, right, row), fill=pen.colour, width=thickness)
        room = _ROOM * pen.size
        self.lines.append(WrittenLine(polygon=_rectangle(x, y, right, bottom, room), text=text))
        return ink.advance

    def _cast_shadow(self, mask: Image.Image, x: int, y: int, *, away: int, colour: Colour) -> None:
        grown = Image.new("L", (mask.width + 4 * away, mask.height + 4 * away))
        grown.paste(mask, (2 * away, 2 * away))
        soft = grown.filter(ImageFilter.BoxBlur(away / 2))
        self._image.paste(colour, (x - away, y - away), soft)


def _rectangle(
    left: float, top: float, right: float, bottom: float, room: float
) -> NDArray[np.float32]:
    """Around pixels from (left, top) up to but without (right, bottom).

    The centre of a pixel has whole coordinates here, as in OpenCV's warps.
    """
    left, top = left - 0.5 - room, top - 0.5 - room
    right, bottom = right - 0.5 + room, bottom - 0.5 + room
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
