"""One line of text as ink: how strongly each pixel is covered."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ink:
    """The coverage of a line, cut to the pixels that have any."""

    mask: Image.Image
    """Grey ("L"): 0 nothing to 255 covered."""
    left: int
    """Of the mask, from where writing began; negative where a letter reaches back."""
    top: int
    """Of the mask, from the baseline (or from the top, of a vertical line)."""
    advance: float
    """How far writing went, to the right or down."""


def draw_ink(
    text: str,
    font: ImageFont.FreeTypeFont,
    *,
    letter_gap: float = 0.0,
    word_gap: float = 0.0,
    stroke: int = 0,
) -> Ink | None:
    """Draws a line from left to right.

    Args:
        text: of characters that the font has.
        font: at its size.
        letter_gap: pixels added after every character; may be negative.
        word_gap: pixels added to every space.
        stroke: pixels by which the letters grow on all sides.

    Returns:
        None where the text has no ink.
    """
    if letter_gap:
        pieces = [(c, letter_gap + (word_gap if c == " " else 0.0)) for c in text]
    elif word_gap:
        words = text.split(" ")
        pieces = [(word + " ", word_gap) for word in words[:-1]] + [(words[-1], 0.0)]
    else:
        pieces = [(text, 0.0)]
    places = []
    advance = 0.0
    for piece, gap in pieces:
        places.append(advance)
        advance += font.getlength(piece) + gap
    box = font.getbbox(text, anchor="ls", stroke_width=stroke)
    above, below = math.floor(box[1]) - 2, math.ceil(box[3]) + 2
    before = max(math.ceil(-box[0]), 0) + round(font.size / 2) + stroke
    mask = Image.new("L", (before + math.ceil(max(advance, box[2])) + before, below - above))
    pen = ImageDraw.Draw(mask)
    for place, (piece, _) in zip(places, pieces, strict=True):
        start = (before + place, -above)
        pen.text(start, piece, fill=255, font=font, anchor="ls", stroke_width=stroke)
    return _cut(mask, before=before, above=-above, advance=advance)


def draw_vertical_ink(
    text: str, font: ImageFont.FreeTypeFont, *, letter_gap: float = 0.0, stroke: int = 0
) -> Ink | None:
    """Draws a line from top to bottom, upright characters around a common middle.

    Args:
        text: of characters that the font has.
        font: at its size.
        letter_gap: pixels added after every character.
        stroke: pixels by which the letters grow on all sides.

    Returns:
        None where the text has no ink.
    """
    step = font.size + letter_gap
    before = math.ceil(font.size) + stroke
    advance = step * len(text)
    mask = Image.new("L", (2 * before, math.ceil(advance + font.size) + 2 * stroke))
    pen = ImageDraw.Draw(mask)
    for place, character in enumerate(text):
        middle = (before, stroke + (place + 0.5) * step)
        pen.text(middle, character, fill=255, font=font, anchor="mm", stroke_width=stroke)
    return _cut(mask, before=before, above=stroke, advance=advance)


def _cut(mask: Image.Image, *, before: int, above: int, advance: float) -> Ink | None:
    inked = mask.getbbox()
    if inked is None:
        return None
    return Ink(mask=mask.crop(inked), left=inked[0] - before, top=inked[1] - above, advance=advance)
