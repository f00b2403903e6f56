"""Makes ``receipt.jpg``: a receipt that nobody printed, photographed on a table that isn't there.

Text is set on paper, then goes through what a phone does to it: curl, perspective, a shadow,
uneven light, defocus, sensor noise and JPEG. The fonts are needed only here; on Debian they
come with ``apt-get install fonts-noto-cjk fonts-liberation``. Run it with Pillow, numpy and
OpenCV at hand:

    python docs/samples/make_receipt.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CJK = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"
CJK_BOLD = "/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc"
SERIF = "/usr/share/fonts/truetype/liberation/LiberationSerif-BoldItalic.ttf"
MONO = "/usr/share/fonts/truetype/liberation/LiberationMono-Regular.ttf"
SIMPLIFIED_CHINESE = 2
"""Index of the face within Noto's font collection."""

PAPER_WIDTH, PAPER_HEIGHT, MARGIN = 760, 1240, 56
PHOTO_WIDTH, PHOTO_HEIGHT = 1200, 1500

ITEMS = (
    ("2 x Jasmine Green Tea", "茉莉绿茶", "9.60"),
    ("1 x Pork & Chive Dumplings", "韭菜猪肉饺子", "8.50"),
    ("1 x Scallion Pancake", "葱油饼", "4.25"),
    ("3 x Sesame Balls", "芝麻球", "6.90"),
)
TOTALS = (("Subtotal", "29.25"), ("Service 10%", "2.93"))


def paper() -> NDArray[np.uint8]:
    """(H, W, 3) RGB: the receipt as printed, flat."""
    sheet = Image.new("RGB", (PAPER_WIDTH, PAPER_HEIGHT), (247, 244, 236))
    draw = ImageDraw.Draw(sheet)
    ink = (44, 42, 48)

    def font(file: str, size: int) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(
            file, size, index=SIMPLIFIED_CHINESE if file in (CJK, CJK_BOLD) else 0
        )

    def centred(y: int, text: str, file: str, size: int) -> None:
        draw.text((PAPER_WIDTH / 2, y), text, ink, font(file, size), anchor="ma")

    def row(y: int, left: str, right: str, file: str, size: int) -> None:
        draw.text((MARGIN, y), left, ink, font(file, size), anchor="la")
        draw.text((PAPER_WIDTH - MARGIN, y), right, ink, font(file, size), anchor="ra")

    def rule(y: int) -> None:
        for x in range(MARGIN, PAPER_WIDTH - MARGIN, 14):
            draw.line([(x, y), (x + 7, y)], ink, 2)

    centred(52, "Lantern Tea House", SERIF, 64)
    centred(134, "红灯笼茶馆", CJK_BOLD, 48)
    centred(214, "18 Harbour Lane, Bristol BS1 4QA", MONO, 29)
    centred(256, "Tel. 0117 496 0423", MONO, 29)
    rule(316)
    row(336, "Table 7", "2025-03-14 18:42", MONO, 30)
    rule(392)
    y = 418
    for english, chinese, price in ITEMS:
        row(y, english, price, MONO, 32)
        draw.text((MARGIN + 76, y + 42), chinese, ink, font(CJK, 32), anchor="la")
        y += 104
    rule(y + 4)
    y += 26
    for label, amount in TOTALS:
        row(y, label, amount, MONO, 30)
        y += 46
    row(y + 14, "TOTAL 合计", "32.18", CJK_BOLD, 50)
    y += 108
    rule(y)
    centred(y + 24, "Thank you, come again!", MONO, 32)
    centred(y + 72, "谢谢光临,欢迎再来", CJK, 36)
    return np.asarray(sheet)


def smooth_noise(
    random: np.random.Generator, height: int, width: int, cells: tuple[int, int]
) -> NDArray[np.float32]:
    """(height, width) in [-1, 1], varying over ``cells`` (rows, columns) of the picture."""
    coarse = random.uniform(-1, 1, cells).astype(np.float32)
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32)


def table(random: np.random.Generator) -> NDArray[np.float32]:
    """(H, W, 3) RGB in [0, 255]: planks whose grain runs across the picture."""
    grain = np.zeros((PHOTO_HEIGHT, PHOTO_WIDTH), np.float32)
    for weight, cells in ((0.5, (9, 2)), (0.35, (90, 5)), (0.3, (380, 9)), (0.15, (1500, 40))):
        grain += weight * smooth_noise(random, PHOTO_HEIGHT, PHOTO_WIDTH, cells)
    wood = np.array([118, 82, 52], np.float32) * (1 + 0.22 * grain[..., None])
    for seam in range(260, PHOTO_HEIGHT, 430):
        wood[seam : seam + 4] *= 0.45
    return wood


def curl(sheet: NDArray[np.float32]) -> NDArray[np.float32]:
    """The paper is not flat: its middle bulges up by a few pixels."""
    height, width = sheet.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bulge = np.sin(np.pi * x / width) * (6 + 10 * y / height)
    return cv2.remap(
        sheet, x, y + bulge - 8, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)


def photograph(seed: int = 7) -> NDArray[np.uint8]:
    """(H, W, 3) BGR."""
    random = np.random.default_rng(seed)
    sheet = curl(paper().astype(np.float32))
    sheet *= 1 + 0.025 * smooth_noise(random, PAPER_HEIGHT, PAPER_WIDTH, (14, 9))[..., None]
    fold = np.abs(np.arange(PAPER_HEIGHT) - 0.47 * PAPER_HEIGHT)
    sheet *= (1 - 0.13 * np.exp(-fold / 22))[:, None, None]

    corners = [[0, 0], [PAPER_WIDTH, 0], [PAPER_WIDTH, PAPER_HEIGHT], [0, PAPER_HEIGHT]]
    on_table = [[262, 96], [946, 166], [1052, 1392], [118, 1322]]
    view = cv2.getPerspectiveTransform(
        np.array(corners, np.float32), np.array(on_table, np.float32)
    )
    size = (PHOTO_WIDTH, PHOTO_HEIGHT)
    placed = cv2.warpPerspective(sheet, view, size, flags=cv2.INTER_AREA)
    cover = cv2.warpPerspective(np.ones_like(sheet[..., 0]), view, size)
    shadow = cv2.GaussianBlur(np.roll(cover, (26, 20), (0, 1)), (0, 0), 18)
    scene = table(random) * (1 - 0.6 * np.asarray(shadow, np.float32)[..., None])
    cover_HW1 = np.asarray(cover, np.float32)[..., None]
    scene = scene * (1 - cover_HW1) + np.asarray(placed, np.float32) * cover_HW1

    # A lamp at the upper left, and the shadow of the hand that holds the phone.
    y, x = np.mgrid[:PHOTO_HEIGHT, :PHOTO_WIDTH].astype(np.float32)
    lamp = 1.08 - 0.42 * np.hypot((x - 330) / PHOTO_WIDTH, (y - 300) / PHOTO_HEIGHT)
    hand = 1 - 0.30 / (1 + np.exp(-(x * 0.8 + y * 0.6 - 1450) / 60))
    scene *= (lamp * hand)[..., None] * np.array([1.0, 0.975, 0.92], np.float32)

    defocused = np.asarray(cv2.GaussianBlur(scene, (0, 0), 0.9), np.float32)
    noisy = defocused + random.normal(0, 4.5, defocused.shape)
    bgr: NDArray[np.uint8] = np.clip(noisy, 0, 255).astype(np.uint8)[..., ::-1]
    return bgr


if __name__ == "__main__":
    cv2.imwrite(
        str(Path(__file__).with_name("receipt.jpg")), photograph(), [cv2.IMWRITE_JPEG_QUALITY, 72]
    )
