"""The page that speed is measured on: rendered, the same on every machine, its text known.

Pillow carries the default font itself, so one version of Pillow draws the same page everywhere;
a result records a checksum of the pixels.
"""

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from edgeocr.errors import ImageError, OptionError
from edgeocr.whole_files import write_whole
from edgeocr_benchmarks.labels import Region
from edgeocr_benchmarks.results import PageRecord

_PAPER: Final = (236, 236, 233)
_INK: Final = (38, 38, 42)

_PROSE: Final = (
    "The harbour office opened at 7:45 and by noon 312 crates had been weighed, sealed and "
    "entered in the ledger. Captain Irene Whitlock signed for 48 of them, paid $1,276.50 in "
    "port fees and asked for a receipt. Her ship, the Northern Quail, was due to leave on "
    "Friday, 14 March, with a crew of 23 and provisions for six weeks. The forecast promised "
    "light wind from the west, 12 to 15 knots, and a calm sea until Sunday evening. In the "
    "warehouse on Juniper Street, Max and Zoe counted the barrels again: 96 of oil, 54 of "
    "vinegar, 18 of salted fish. Two had leaked, so the total came to 166 instead of 168. "
    "They wrote the difference in red, fixed a label to each broken cask and locked gate 9. "
    "A letter from the insurer arrived the next day. Policy 4071-B covered water damage up to "
    "$5,000, it said, but not theft, fire or the loss of documents. Please reply within 30 "
    "days, quoting the reference above. The clerk filed it under Q, between queries and "
    "quotations, and forgot about it. Half a year later someone found the page, yellow and "
    "folded twice, at the back of drawer 11. By then the Northern Quail had crossed the "
    "ocean three times, carried 2,950 tonnes and lost nothing but a kettle. Her owner sold "
    "the last of the vinegar for $8.25 a bottle, kept one for himself and wrote a cheerful "
    "note to the harbour office, where it still hangs beside the clock. "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSize:
    """Width and height in pixels, and the number of lines."""

    width: int
    height: int
    lines: int

    @classmethod
    def parse(cls, text: str) -> "PageSize":
        """Reads ``WIDTHxHEIGHTxLINES``.

        Raises:
            OptionError: not of that form, or a line would be under 12 pixels high.
        """
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})x(\d{1,4})", text)
        if match is None:
            raise OptionError(f"the page is {text!r}; expected WIDTHxHEIGHTxLINES, as 1280x960x20")
        width, height, lines = map(int, match.groups())
        if not lines or height // (lines + 1) < 12 or width < 160 or width * height > 50_000_000:
            raise OptionError(
                f"the page {text} can't be drawn: at least 160 pixels wide, 12 pixels for every "
                "line and one more, at most 50 megapixels"
            )
        return cls(width=width, height=height, lines=lines)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RenderedPage:
    """The picture and what is written on it."""

    image: Image.Image
    """RGB."""
    regions: tuple[Region, ...]
    """Its lines from top to bottom."""

    def save(self, path: Path) -> None:
        """Writes the picture as PNG, whole or not at all.

        Raises:
            ImageError: the file can't be written.
        """
        png = io.BytesIO()
        self.image.save(png, format="PNG")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, png.getvalue())
        except OSError as error:
            raise ImageError(f"can't write the page {path}: {error.strerror}") from error


def render_page(
    size: PageSize, *, written: int | None = None, font: Path | None = None
) -> RenderedPage:
    """Draws English prose with figures in it, dark grey on light grey.

    Args:
        size: of the page.
        written: lines that are drawn of those that there is room for; None for all. What is
            drawn looks the same however much of it there is.
        font: a TrueType or OpenType file; None for the font that Pillow carries.

    Raises:
        OptionError: the font can't be read.
    """
    pitch = size.height // (size.lines + 1)
    typeface = _load_font(font, pixels=round(pitch * 0.7))
    image = Image.new("RGB", (size.width, size.height), _PAPER)
    draw = ImageDraw.Draw(image)
    left = size.width * 15 // 100  # the margins of a letter
    regions = []
    lines = size.lines if written is None else min(written, size.lines)
    for row, text in enumerate(_wrap(typeface, size.width - 2 * left, lines)):
        top = pitch // 2 + row * pitch
        draw.text((left, top), text, font=typeface, fill=_INK)
        x0, y0, x1, y1 = draw.textbbox((left, top), text, font=typeface)
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)
        regions.append(Region(polygon=corners, text=text))
    return RenderedPage(image=image, regions=tuple(regions))


def page_record(path: Path, *, name: str, lines: int | None) -> PageRecord:
    """What a result keeps of the picture that was timed.

    Raises:
        ImageError: the file can't be read as an image.
    """
    try:
        with Image.open(path) as image:
            pixels: NDArray[np.uint8] = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise ImageError(f"{path} can't be read as an image: {error}") from error
    return PageRecord(
        name=name,
        width=pixels.shape[1],
        height=pixels.shape[0],
        pixels_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
        lines=lines,
    )


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _load_font(font: Path | None, *, pixels: int) -> Font:
    if font is None:
        return ImageFont.load_default(size=pixels)
    try:
        return ImageFont.truetype(str(font), size=pixels)
    except OSError as error:
        raise OptionError(f"the font {font} can't be read: {error}") from error


def _wrap(font: Font, width: int, lines: int) -> list[str]:
    """The prose in lines that fill the width; from its beginning again where it ends."""
    words = _PROSE.split()
    wrapped: list[str] = []
    current = ""
    position = 0
    while len(wrapped) < lines:
        word = words[position % len(words)]
        longer = f"{current} {word}" if current else word
        if current and font.getlength(longer) > width:
            wrapped.append(current)
            current = ""
        else:
            current = longer
            position += 1
    return wrapped
