"""Draws the pictures that the JVM pipeline's golden vectors are made from.

    python tests/golden/jvm/make_scenes.py

Printed matter that does not exist, as a camera or a scanner would have taken it: flat, slanted,
on its side, on its head, in columns, blurred, noisy, too long, too tall, and empty. The fonts are
needed only here; on Debian they come with ``apt-get install fonts-noto-cjk fonts-liberation``. What
the pictures show is ours, Apache-2.0; the fonts are under the SIL Open Font License.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SCENES: Final = Path(__file__).parent / "scenes"
CJK: Final = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"
SANS: Final = "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf"
BOLD: Final = "/usr/share/fonts/truetype/liberation/LiberationSans-Bold.ttf"
SERIF: Final = "/usr/share/fonts/truetype/liberation/LiberationSerif-Regular.ttf"
MONO: Final = "/usr/share/fonts/truetype/liberation/LiberationMono-Regular.ttf"
SIMPLIFIED_CHINESE: Final = 2

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8 BGR."""
Colour = tuple[int, int, int]
"""Red, green, blue."""


class Sheet:
    """A plain ground to write on."""

    def __init__(self, width: int, height: int, ground: Colour) -> None:
        self._image = Image.new("RGB", (width, height), ground)
        self._draw = ImageDraw.Draw(self._image)

    def write(
        self, x: int, y: int, text: str, file: str, size: int, ink: Colour, anchor: str = "la"
    ) -> None:
        face = SIMPLIFIED_CHINESE if file == CJK else 0
        font = ImageFont.truetype(file, size, index=face)
        self._draw.text((x, y), text, ink, font, anchor=anchor)

    def rule(self, x0: int, y0: int, x1: int, y1: int, ink: Colour) -> None:
        self._draw.line([(x0, y0), (x1, y1)], ink, 2)

    def picture(self) -> Picture:
        return np.ascontiguousarray(np.asarray(self._image)[..., ::-1])


def photographed(
    sheet: Picture,
    size: tuple[int, int],
    corners: Sequence[Sequence[float]],
    *,
    table: Colour,
    blur: float,
    noise: float,
    seed: int,
) -> Picture:
    """A sheet that lies on a table, under a lamp, seen at an angle."""
    width, height = size
    rows, columns = sheet.shape[:2]
    flat = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    view = cv2.getPerspectiveTransform(flat, np.array(corners, np.float32))
    ground = np.full((height, width, 3), table[::-1], np.uint8)
    seen = cv2.warpPerspective(
        sheet, view, size, dst=ground, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_TRANSPARENT
    )
    return taken(np.asarray(seen, np.uint8), blur=blur, noise=noise, seed=seed)


def taken(picture: Picture, *, blur: float, noise: float, seed: int) -> Picture:
    """Unevenly lit, a little out of focus, and noisy in coarse steps, which PNG packs well."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    lamp = 1.04 - 0.3 * np.hypot((x - width / 3) / width, (y - height / 4) / height)
    scene: NDArray[Any] = cv2.GaussianBlur(picture, (0, 0), blur) * lamp[..., None]
    scene += np.random.default_rng(seed).normal(0, noise, (height, width, 1))
    return (np.clip(scene, 0, 255) / 4).astype(np.uint8) * np.uint8(4)


def notice() -> Picture:
    sheet = Sheet(460, 300, (250, 249, 245))
    ink = (30, 30, 34)
    sheet.write(230, 18, "Harbour Library", SERIF, 40, (120, 20, 30), "ma")
    for y, text in (
        (86, "Opening hours from 4 October"),
        (126, "Monday to Friday   9:30 - 18:00"),
        (162, "Saturday           10:00 - 14:00"),
        (198, "Closed on Sundays & holidays"),
    ):
        sheet.write(26, y, text, SANS, 22, ink)
    sheet.write(26, 250, "Questions? desk@harbour.example", MONO, 18, (40, 60, 120))
    return sheet.picture()


def receipt() -> Picture:
    sheet = Sheet(300, 420, (246, 243, 236))
    ink = (48, 46, 52)
    sheet.write(150, 16, "Corner Bakery", SERIF, 34, ink, "ma")
    sheet.write(150, 60, "街角面包房", CJK, 26, ink, "ma")
    rows = (("2 Sourdough", "7.80"), ("1 Rye, sliced", "4.10"), ("3 Croissant", "6.75"))
    for i, (item, price) in enumerate(rows):
        sheet.write(22, 118 + 40 * i, item, MONO, 20, ink)
        sheet.write(278, 118 + 40 * i, price, MONO, 20, ink, "ra")
    sheet.rule(22, 244, 278, 244, ink)
    sheet.write(22, 258, "TOTAL 合计", CJK, 26, ink)
    sheet.write(278, 258, "18.65", BOLD, 28, ink, "ra")
    sheet.write(150, 330, "Card **** 4471", MONO, 18, ink, "ma")
    sheet.write(150, 370, "Thank you!", SERIF, 24, ink, "ma")
    corners = [[96, 22], [334, 58], [316, 462], [40, 430]]
    return photographed(
        sheet.picture(), (380, 480), corners, table=(96, 70, 48), blur=0.7, noise=3, seed=1
    )


def shop_sign() -> Picture:
    sheet = Sheet(520, 200, (20, 60, 130))
    sheet.write(260, 20, "FRESH FISH", BOLD, 70, (250, 250, 250), "ma")
    sheet.write(260, 120, "caught this morning", SERIF, 42, (250, 220, 120), "ma")
    corners = [[40, 60], [430, 110], [420, 270], [60, 300]]
    return photographed(
        sheet.picture(), (480, 340), corners, table=(150, 140, 130), blur=0.8, noise=3, seed=2
    )


def columns() -> Picture:
    sheet = Sheet(640, 420, (252, 252, 250))
    sheet.write(320, 16, "THE EVENING LEDGER", SERIF, 40, (10, 10, 10), "ma")
    left = (
        "The tide came in at dusk and",
        "with it came the first boats.",
        "Nobody on the quay had seen",
        "such a haul since the winter",
        "of the great frost, when the",
        "nets froze where they hung.",
    )
    right = (
        "Prices at the market fell by",
        "noon to half of last week's.",
        "Cooks carried baskets home,",
        "and the cats of the harbour",
        "slept well, for once, under",
        "the benches of the old hall.",
    )
    for i, (one, other) in enumerate(zip(left, right, strict=True)):
        sheet.write(24, 90 + 50 * i, one, SERIF, 22, (15, 15, 18))
        sheet.write(346, 90 + 50 * i, other, SERIF, 22, (15, 15, 18))
    return sheet.picture()


def form() -> Picture:
    sheet = Sheet(560, 360, (255, 255, 255))
    ink = (0, 0, 0)
    cells = (
        ("Part", "Qty", "Price", "Stock"),
        ("A-1043", "12", "0.85", "yes"),
        ("B-2210", "4", "17.30", "no"),
        ("C-0007", "250", "0.02", "yes"),
        ("D-9981", "1", "449.00", "yes"),
    )
    for i, row in enumerate(cells):
        sheet.rule(20, 30 + 60 * i, 540, 30 + 60 * i, (120, 120, 120))
        for j, cell in enumerate(row):
            sheet.write(34 + 130 * j, 46 + 60 * i, cell, BOLD if i == 0 else SANS, 26, ink)
    return sheet.picture()


def skewed_page() -> Picture:
    sheet = Sheet(420, 300, (240, 236, 224))
    lines = (
        "Chapter 3",
        "It was late when the carter",
        "reached the mill, and later",
        "still when he found the door.",
        "Inside, a lamp was burning.",
    )
    for i, text in enumerate(lines):
        sheet.write(30, 24 + 52 * i, text, SERIF, 30 if i == 0 else 26, (40, 34, 30))
    corners = [[70, 20], [470, 78], [424, 366], [26, 306]]
    return photographed(
        sheet.picture(), (500, 390), corners, table=(60, 62, 66), blur=0.6, noise=2, seed=3
    )


def upside_down() -> Picture:
    sheet = Sheet(440, 220, (235, 240, 238))
    for y, text in ((20, "THIS WAY UP"), (88, "handle with care"), (150, "glass  1234-AB")):
        sheet.write(24, y, text, BOLD, 40, (90, 20, 20))
    return np.ascontiguousarray(taken(sheet.picture(), blur=0.5, noise=2, seed=4)[::-1, ::-1])


def on_its_side() -> Picture:
    return np.ascontiguousarray(np.rot90(notice()))


def vertical_text() -> Picture:
    sheet = Sheet(300, 400, (250, 245, 232))
    for j, column in enumerate(("春眠不觉晓", "处处闻啼鸟", "夜来风雨声", "花落知多少")):
        for i, character in enumerate(column):
            sheet.write(232 - 62 * j, 24 + 48 * i, character, CJK, 42, (20, 20, 20))
    return sheet.picture()


def poster() -> Picture:
    sheet = Sheet(480, 340, (196, 40, 44))
    sheet.write(240, 20, "新年音乐会", CJK, 64, (255, 230, 150), "ma")
    sheet.write(240, 120, "New Year's Concert 2026", SANS, 32, (255, 255, 255), "ma")
    sheet.write(240, 178, "1月1日 晚上7:30", CJK, 36, (255, 255, 255), "ma")
    sheet.write(240, 240, "市民大剧院 · 二楼", CJK, 30, (255, 230, 150), "ma")
    sheet.write(240, 296, "Tickets: 12.50 / 8.00", SANS, 24, (255, 255, 255), "ma")
    return taken(sheet.picture(), blur=0.6, noise=2, seed=5)


def long_line() -> Picture:
    text = (
        "A single line of running text, cut out closely by somebody else, that is far longer than "
        "the widest input of any recogniser, so that it must be read in pieces and put together."
    )
    sheet = Sheet(2000, 30, (255, 255, 255))
    sheet.write(6, 3, text, SERIF, 22, (0, 0, 0))
    return sheet.picture()


def label() -> Picture:
    sheet = Sheet(360, 240, (176, 178, 170))
    ink = (104, 104, 100)
    for i, text in enumerate(
        ("MODEL  TX-40 REV C", "S/N 0093 7741 55", "INPUT 12V = 1.5A", "MADE IN 2024")
    ):
        sheet.write(24, 24 + 50 * i, text, MONO, 22, ink)
    return taken(sheet.picture(), blur=1.0, noise=3, seed=6)


def screen() -> Picture:
    sheet = Sheet(520, 260, (24, 26, 33))
    for i, (text, ink) in enumerate(
        (
            ("def area(width, height):", (130, 170, 255)),
            ('    """Square pixels."""', (120, 190, 120)),
            ("    return width * height", (220, 220, 220)),
            ("print(area(640, 480))", (240, 190, 110)),
        )
    ):
        sheet.write(20, 20 + 58 * i, text, MONO, 26, ink)
    return sheet.picture()


def digits() -> Picture:
    """Narrow upright characters, which a rule on shapes would take for vertical lines."""
    sheet = Sheet(420, 200, (255, 255, 255))
    for x, text in ((30, "1"), (130, "7"), (230, "I"), (330, "42")):
        sheet.write(x, 30, text, BOLD, 120, (0, 0, 0))
    return sheet.picture()


def word() -> Picture:
    """A crop much smaller than any detector's input."""
    sheet = Sheet(96, 34, (230, 226, 214))
    sheet.write(8, 4, "Exit 12", BOLD, 22, (20, 80, 40))
    return sheet.picture()


def empty() -> Picture:
    return taken(np.full((300, 400, 3), 150, np.uint8), blur=1, noise=3, seed=7)


def picture_language() -> Picture:
    """Lines that the tiny bundles of make_tiny_bundle.py read: upright, on its head, and long."""
    page = np.full((220, 640, 3), 255, np.uint8)
    lines = (("abcd dcba", False), ("dab cab", True), ("abcd bad cab dad abba cad acdc", False))
    for i, (text, upside_down) in enumerate(lines):
        stripe, height = 10, 24
        line = np.zeros((height, stripe * (2 * len(text) + 1), 3), np.uint8)
        line[..., 2] = 255
        for j, character in enumerate(text):
            row = "abcd".find(character)
            rows = slice(row * height // 4, (row + 1) * height // 4)
            columns = slice(stripe * (2 * j + 1), stripe * (2 * j + 2))
            line[rows if character != " " else slice(None), columns, 1] = 255
        line[-height // 8 :, :, 2] = 160
        top = 24 + 64 * i
        page[top : top + height, 16 : 16 + line.shape[1]] = (
            line[::-1, ::-1] if upside_down else line
        )
    return page


def tilted_picture_language() -> Picture:
    page = picture_language()
    height, width = page.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -6, 0.95)
    border = (255, 255, 255)
    return np.asarray(cv2.warpAffine(page, turn, (width, height), borderValue=border), np.uint8)


SCENERY: Final[dict[str, Callable[[], Picture]]] = {
    "notice": notice,
    "receipt": receipt,
    "shop_sign": shop_sign,
    "columns": columns,
    "form": form,
    "skewed_page": skewed_page,
    "upside_down": upside_down,
    "on_its_side": on_its_side,
    "vertical_text": vertical_text,
    "poster": poster,
    "long_line": long_line,
    "label": label,
    "screen": screen,
    "digits": digits,
    "word": word,
    "empty": empty,
    "picture_language": picture_language,
    "tilted_picture_language": tilted_picture_language,
}


def main() -> int:
    """Writes the pictures into ``scenes`` beside this file."""
    SCENES.mkdir(exist_ok=True)
    for name, draw in SCENERY.items():
        cv2.imwrite(str(SCENES / f"{name}.png"), draw(), [cv2.IMWRITE_PNG_COMPRESSION, 9])
        print(SCENES / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
