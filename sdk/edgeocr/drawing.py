"""A picture of a result: the image with its boxes, and the texts beside it.

Texts are drawn by the best font at hand: OpenCV 5 brings one that covers Latin, Cyrillic,
Greek, Chinese, Japanese and Korean; older versions use Pillow with a font of the system where
both are installed; without them ASCII is drawn in line strokes, "?" for the rest.
"""

from __future__ import annotations

import colorsys
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.errors import ImageError
from edgeocr.geometry import quad_size
from edgeocr.images import MAX_SIDE, ImageInput, load_image
from edgeocr.options import MAX_PIXELS
from edgeocr.pixels import TALL_LINE
from edgeocr.result import OcrResult, TextLine

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_Renderer: TypeAlias = Callable[[str, int], NDArray[np.uint8]]
"""Draws a text with a font size in pixels: (h, w) uint8, black on white, cut to the text."""

_WHITE: Final = 255
# Golden ratio: successive hues stay far apart.
_HUE_STEP: Final = 0.618034
_LARGEST_FONT: Final = 400


def draw_result(image: ImageInput, result: OcrResult) -> NDArray[np.uint8]:
    """Draw a result beside a copy of its image.

    Args:
        image: the one that was read.
        result: of reading it.

    Returns:
        (H, 2 W, 3) uint8 BGR: on the left the image with the outlines of its lines, on the
        right their texts in the same places on white.

    Raises:
        ImageError: the image cannot be read, or has another size than the result's.
    """
    pixels = load_image(image, max_pixels=max(MAX_PIXELS, result.width * result.height))
    height, width = pixels.shape[:2]
    if (width, height) != (result.width, result.height):
        raise ImageError(
            f"the result is of an image of {result.width} x {result.height} pixels, "
            f"this one has {width} x {height}"
        )
    picture = np.full((height, 2 * width, 3), _WHITE, dtype=np.uint8)
    picture[:, :width] = pixels
    photo, panel = picture[:, :width], picture[:, width:]
    thickness = max(1, round(max(height, width) / 640))
    render = _renderer()
    for number, line in enumerate(result):
        outline = line.box if line.polygon is None else line.polygon
        points = np.round(outline).astype(np.int32)
        colour = _colour(number)
        cv2.polylines(photo, [points], True, colour, thickness, cv2.LINE_AA)
        cv2.polylines(panel, [points], True, colour, 1, cv2.LINE_AA)
        if line.text.strip():
            _write(panel, line, render)
    return picture


def _colour(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(number * _HUE_STEP % 1.0, 0.9, 0.8)
    return round(255 * blue), round(255 * green), round(255 * red)


def _write(panel: NDArray[np.uint8], line: TextLine, render: _Renderer) -> None:
    """Write the text of a line into its box, turned as it is in the image."""
    corners = np.asarray(line.box)
    width, height = quad_size(corners)
    if height >= TALL_LINE * width and len(line.text) > 1:
        # A line that runs downwards starts at the top-right; one character stands upright.
        corners = np.roll(corners, -1, axis=0)
        width, height = height, width
    if line.rotation == 180:
        corners = np.roll(corners, -2, axis=0)
    text = render(line.text, min(_LARGEST_FONT, max(4, round(0.8 * height))))
    text_height, text_width = text.shape
    # From the left, halfway down, and squeezed where the box is too small.
    shrink = min(1.0, height / text_height)
    right = min(width, shrink * text_width) / max(width, 1)
    top = (1 - shrink * text_height / max(height, 1)) / 2
    top_left, top_right, bottom_right, bottom_left = corners
    across, down = top_right - top_left, bottom_left - top_left
    bend = bottom_right - top_right - down  # zero for parallelograms
    place = np.array(
        [
            top_left + x * across + y * down + x * y * bend
            for x, y in ((0, top), (right, top), (right, 1 - top), (0, 1 - top))
        ],
        dtype=np.float32,
    )
    low = np.clip(np.floor(place.min(axis=0)), 0, (panel.shape[1], panel.shape[0])).astype(int)
    high = np.clip(np.ceil(place.max(axis=0)), 0, (panel.shape[1], panel.shape[0])).astype(int)
    if (high <= low).any():
        return
    source = np.array(
        [[0, 0], [text_width, 0], [text_width, text_height], [0, text_height]], dtype=np.float32
    )
    ink = cv2.warpPerspective(
        text,
        cv2.getPerspectiveTransform(source, place - low.astype(np.float32)),
        (int(high[0] - low[0]), int(high[1] - low[1])),
        flags=cv2.INTER_AREA,
        borderValue=_WHITE,
    )
    target = panel[low[1] : high[1], low[0] : high[0]]
    np.minimum(target, ink[..., None], out=target)


# --- fonts -------------------------------------------------------------------------------


def _renderer() -> _Renderer:
    if hasattr(cv2, "FontFace"):
        return _with_opencv
    if importlib.util.find_spec("PIL") is not None and _font_files():
        return _with_pillow
    return _with_strokes


def _with_opencv(text: str, size: int) -> NDArray[np.uint8]:
    face = cv2.FontFace("sans")
    # Wide enough for any script: no glyph advances by more than twice the font size.
    canvas = np.full((2 * size, min(MAX_SIDE, (2 * len(text) + 2) * size)), _WHITE, np.uint8)
    cv2.putText(canvas, text, (size // 2, round(1.4 * size)), (0,), face, size, 400)
    return _trim(canvas, size)


def _with_pillow(text: str, size: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    font = _font_for(text, size)
    width = min(MAX_SIDE, round(font.getlength(text)) + 2 * size)
    canvas = Image.new("L", (width, 2 * size), _WHITE)
    origin = (size // 2, round(1.4 * size))
    ImageDraw.Draw(canvas).text(origin, text, fill=0, font=font, anchor="ls")
    return _trim(np.asarray(canvas), size)


def _with_strokes(text: str, size: int) -> NDArray[np.uint8]:
    drawable = text.encode("ascii", errors="replace").decode()
    scale = size / 30  # Hershey's capitals are some 21 pixels high at scale 1
    canvas = np.full((2 * size, min(MAX_SIDE, (len(text) + 2) * size)), _WHITE, np.uint8)
    origin = (size // 2, round(1.4 * size))
    cv2.putText(canvas, drawable, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (0,), 1, cv2.LINE_AA)
    return _trim(canvas, size)


def _trim(canvas: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Cut the sides to the ink, and the height to the line's whatever the letters."""
    columns = np.flatnonzero(canvas.min(axis=0) < _WHITE)
    if len(columns) == 0:
        return canvas[:size, :size]
    rows = slice(round(0.45 * size), round(1.75 * size))
    return canvas[rows, max(0, columns[0] - 1) : columns[-1] + 2]


# Names that cover much, the best first; any other font file comes after them.
_PREFERRED_FONTS: Final = (
    "notosanscjk",
    "sourcehansans",
    "pingfang",
    "hiragino",
    "msyh",
    "wqy",
    "droidsansfallback",
    "simhei",
    "simsun",
    "arialunicode",
    "notosans-regular",
    "dejavusans.",
    "arial.",
)


@lru_cache(maxsize=1)
def _font_files() -> tuple[Path, ...]:
    """Font files of the system, the best first; few, since each may be asked for a text."""
    found = [
        path
        for folder in _font_folders()
        if folder.is_dir()
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in (".ttf", ".ttc", ".otf")
    ]

    def rank(path: Path) -> int:
        name = path.name.lower().replace(" ", "")
        return next(
            (i for i, known in enumerate(_PREFERRED_FONTS) if known in name), len(_PREFERRED_FONTS)
        )

    return tuple(sorted(found, key=rank)[:16])


def _font_folders() -> Iterable[Path]:
    if sys.platform == "win32":
        return [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), Path("~/Library/Fonts")]
    return [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        Path("~/.local/share/fonts").expanduser(),
        Path("/system/fonts"),  # Android
    ]


def _font_for(text: str, size: int) -> FreeTypeFont:
    """The first font that has every character, or else the one that has most of them."""
    wanted = frozenset(character for character in text if not character.isspace())
    best = max(_font_files(), key=lambda path: len(wanted & _covered(path, wanted)))
    return _font(best, size)


@lru_cache(maxsize=64)
def _font(path: Path, size: int) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(path, size)


@lru_cache(maxsize=256)
def _covered(path: Path, wanted: frozenset[str]) -> frozenset[str]:
    """Those of the characters for which a font has a glyph of its own."""
    try:
        font = _font(path, 16)
    except OSError:  # a file that FreeType cannot read
        return frozenset()
    missing = bytes(font.getmask("\uffff"))  # no character: every font draws its "missing" box
    return frozenset(character for character in wanted if bytes(font.getmask(character)) != missing)
