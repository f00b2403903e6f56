"""Pages of rendered text: images whose lines are known, made from fonts and photographs.

They stand in for real images where a model is calibrated or checked and the user names none.
What counts is that the network sees what it will see on a device: text of many sizes, dark on
light and light on dark, on paper and on photographs, slanted, blurred, noisy and compressed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from edgeocr.images import load_image
from edgeocr_conversion.errors import ConversionError

Font = ImageFont.FreeTypeFont

_PAGE_SIZES: Final = ((960, 1280), (1280, 960), (736, 736), (720, 1280), (1280, 592))
"""(height, width): a document camera, a page, a crop, a video frame, a receipt."""

_LINE_MARGIN: Final = 5
"""Free pixels around every line."""

_ENGLISH_TEXT: Final = """\
    the of and to in for is on that by this with you it not or be are from at as your all
    have new more an was we will home can us about if page my has search free but our one other
    do no information time they site he up may what which their news out use any there see only
    so his when contact here business who web also now help get view online first am been would
    how were services some these click its like service than find price date back top people
    list name just over state year day into email two health world next used go work last most
    products music buy data make them should product system post her city add policy number such
    please available copyright support message after best software then good video well where
    info rights public books high school through each links she review years order very privacy
    book items company read group need many user said does set under general research university
    January February March Monday Tuesday Total Subtotal Invoice Receipt Warning Exit Street
    Avenue Platform Coffee Chocolate Breakfast Sandwich Quality Guarantee Manufacturer Address
    Signature Department Hospital International Station Airport Customer Delivery Quantity"""
_ENGLISH: Final = tuple(_ENGLISH_TEXT.split())
_EUROPEAN_TEXT: Final = """\
    für über Straße Größe schön Öffnungszeiten täglich Käse Müller Zürich été déjà garçon
    français où voilà crème élève naïve œuvre señor mañana niño corazón país São ação coração
    København smørrebrød Århus łódź żółty Kraków čeština Dvořák città perché così più"""
_EUROPEAN: Final = tuple(_EUROPEAN_TEXT.split())
_CHINESE: Final = (
    "欢迎光临本店",
    "今日特价商品",
    "中华人民共和国",
    "请勿在此吸烟",
    "小心地滑注意安全",
    "营业时间上午九点至下午六点",
    "生产日期见包装",
    "保质期十二个月",
    "北京市朝阳区建国路",
    "上海浦东国际机场",
    "深圳证券交易所",
    "客户服务热线电话",
    "增值税专用发票",
    "合计金额人民币大写",
    "身份证号码及姓名",
    "医院门诊收费票据",
    "如有问题请联系售后",
    "本产品符合国家标准",
    "春眠不觉晓处处闻啼鸟",
    "学而时习之不亦说乎",
    "人工智能与机器学习",
    "高速铁路旅客列车时刻表",
    "银行存款利率调整通知",
    "图书馆阅览室开放须知",
    "请保持安静谢谢合作",
    "注册商标版权所有侵权必究",
    "配料水白砂糖全脂乳粉食用盐",
    "净含量五百毫升",
    "经济学家认为市场正在恢复",
    "出口入口安全通道",
)
_TRADITIONAL: Final = ("歡迎光臨", "臺灣鐵路管理局", "營業時間", "請勿觸摸", "開發學習", "龍鳳餐廳")
_JAPANESE: Final = (
    "いらっしゃいませ",
    "東京駅から新宿まで",
    "カタカナとひらがな",
    "本日のおすすめ",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextImage:
    """An image and the lines in it."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) uint8 BGR."""
    quads: NDArray[np.float32]
    """(N, 4, 2) float32, image pixels, clockwise from the top-left of the text."""
    texts: tuple[str, ...] | None
    """What the N lines say; None where nobody told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typefaces:
    """Fonts to render with. The default font of Pillow is always among the Latin ones."""

    latin: tuple[Path, ...] = ()
    chinese: tuple[Path, ...] = ()


def render_pages(
    count: int,
    *,
    seed: int,
    typefaces: Typefaces,
    pictures: Sequence[Path] = (),
    charset: Sequence[str],
    progress: Callable[[], None] = lambda: None,
) -> list[TextImage]:
    """Render pages; the same arguments give the same pixels on the same version of Pillow.

    Args:
        count: of pages; each has a few to some twenty lines.
        seed: of the generator of everything that varies.
        typefaces: to render with; without a Chinese one there is Latin text only.
        pictures: photographs for half of the pages; all on paper where there are none.
        charset: characters that the recogniser knows; others are not rendered.
        progress: called after each page.

    Raises:
        ConversionError: the charset shares no characters with the texts that are known here.
    """
    known = frozenset("".join(charset)) | {" "}
    photographs = [load_image(path) for path in pictures]
    pages = []
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        pages.append(_render_page(rng, _PAGE_SIZES[index % 5], typefaces, photographs, known))
        progress()
    return pages


def _render_page(
    rng: np.random.Generator,
    size: tuple[int, int],
    typefaces: Typefaces,
    photographs: Sequence[NDArray[np.uint8]],
    known: frozenset[str],
) -> TextImage:
    on_photograph = bool(photographs) and rng.random() < 0.5
    if on_photograph:
        background = _photograph(rng, photographs[int(rng.integers(len(photographs)))], size)
    else:
        background = _paper(rng, size)
    page = background.astype(np.float32)
    taken = np.zeros(size, np.uint8)
    quads: list[NDArray[np.float32]] = []
    texts: list[str] = []
    slant = rng.normal(0, 6 if on_photograph else 1.5)
    wanted = int(rng.integers(4, 10) if on_photograph else rng.integers(12, 26))
    text_height = float(np.exp(rng.uniform(np.log(16), np.log(40))))
    for _ in range(3 * wanted):
        if len(texts) == wanted:
            break
        chinese = bool(typefaces.chinese) and rng.random() < 0.5
        text = _text(rng, chinese=chinese, known=known)
        size_px = text_height * (np.exp(rng.normal(0, 0.5)) if on_photograph else 1.0)
        mask = _line_mask(rng, text, _font(rng, typefaces, chinese, int(np.clip(size_px, 16, 110))))
        placed = _place(rng, mask, slant, taken)
        if placed is None:
            continue
        region, coverage, quad = placed
        taken[region] = 1
        _paint(rng, page[region], coverage)
        quads.append(quad)
        texts.append(text)
    return TextImage(
        pixels=_as_photographed(rng, page),
        quads=np.stack(quads) if quads else np.empty((0, 4, 2), np.float32),
        texts=tuple(texts),
    )


def _text(rng: np.random.Generator, *, chinese: bool, known: frozenset[str]) -> str:
    for _ in range(200):
        text = _chinese_text(rng) if chinese else _latin_text(rng)
        text = " ".join("".join(c for c in text if c in known).split())
        if text:
            return text
    raise ConversionError(
        "the recogniser's charset has neither Latin letters nor Chinese characters, so there is "
        "nothing to render: name a folder with images of its text by --calibration"
    )


def _latin_text(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.12:
        return f"{rng.integers(1, 10_000)}.{rng.integers(100):02} {rng.choice(['EUR', 'USD', '%'])}"
    if kind < 0.20:
        return f"{rng.integers(1990, 2031)}-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}"
    if kind < 0.28:
        name, host = rng.choice(_ENGLISH, 2)
        return f"{name}@{host}.com" if rng.random() < 0.5 else f"www.{host}.org/{name}"
    if kind < 0.36:
        digits = "".join(map(str, rng.integers(0, 10, 10)))
        return f"+{rng.integers(1, 90)} ({digits[:3]}) {digits[3:6]}-{digits[6:]}"
    words = list(rng.choice(_ENGLISH, rng.integers(1, 9)))
    if rng.random() < 0.2:
        words[rng.integers(len(words))] = str(rng.choice(_EUROPEAN))
    text = " ".join(words)
    style = rng.random()
    if style < 0.25:
        text = text.upper()
    elif style < 0.5:
        text = text.title()
    elif style < 0.75:
        text = text[:1].upper() + text[1:] + str(rng.choice([".", ",", "!", "?", ":", ";"]))
    return text


def _chinese_text(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.1:
        return str(rng.choice(_JAPANESE))
    if kind < 0.2:
        return str(rng.choice(_TRADITIONAL))
    first, second = (str(text) for text in rng.choice(_CHINESE, 2))
    if kind < 0.4:
        return f"{first}：{rng.integers(1, 100_000)}"
    if kind < 0.5:
        return f"{first} {rng.choice(_ENGLISH)} {second}"
    if kind < 0.6:
        return f"{first}，{second}。"
    return first


def _font(rng: np.random.Generator, typefaces: Typefaces, chinese: bool, size_px: int) -> Font:
    if chinese:
        return ImageFont.truetype(
            str(typefaces.chinese[rng.integers(len(typefaces.chinese))]), size_px
        )
    index = int(rng.integers(len(typefaces.latin) + 1))
    if index == len(typefaces.latin):
        default = ImageFont.load_default(size_px)
        assert isinstance(default, ImageFont.FreeTypeFont)  # Pillow's wheels carry FreeType
        return default
    return ImageFont.truetype(str(typefaces.latin[index]), size_px)


def _line_mask(rng: np.random.Generator, text: str, font: Font) -> NDArray[np.float32]:
    """(h, w) coverage in [0, 1] of a line, with margins such as detectors leave."""
    left, top, right, bottom = (int(side) for side in font.getbbox(text))
    margin = max(2, round((bottom - top) * rng.uniform(0.05, 0.2)))
    image = Image.new("L", (right - left + 2 * margin, bottom - top + 2 * margin))
    ImageDraw.Draw(image).text((margin - left, margin - top), text, fill=255, font=font)
    return np.asarray(image, np.float32) / np.float32(255)


def _place(
    rng: np.random.Generator, mask: NDArray[np.float32], slant: float, taken: NDArray[np.uint8]
) -> tuple[tuple[slice, slice], NDArray[np.float32], NDArray[np.float32]] | None:
    """Where a slanted line goes: region of the page, coverage of it, quad; None without room."""
    height, width = mask.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = cv2.getRotationMatrix2D((0, 0), slant + rng.normal(0, 0.3), 1.0)
    turned = corners @ turn[:, :2].T
    turn[:, 2] = _LINE_MARGIN - turned.min(0)
    size = np.ceil(np.ptp(turned, axis=0)).astype(int) + 2 * _LINE_MARGIN
    room = np.array(taken.shape[::-1]) - size
    if (room <= 0).any():
        return None
    for _ in range(20):
        left, top = (int(rng.integers(0, space)) for space in room)
        region = (slice(top, top + int(size[1])), slice(left, left + int(size[0])))
        if not taken[region].any():
            coverage = cv2.warpAffine(mask, turn, (int(size[0]), int(size[1])))
            quad = np.asarray(turned + turn[:, 2] + (left, top), np.float32)
            return region, np.asarray(coverage, np.float32), quad
    return None


def _paint(
    rng: np.random.Generator, region: NDArray[np.float32], coverage: NDArray[np.float32]
) -> None:
    """Puts ink on a region, of a brightness that differs enough from what is under it."""
    weight = coverage / max(float(coverage.sum()), 1.0)
    grey = region.mean(2)
    under = float((grey * weight).sum())
    contrast = rng.uniform(70, 200)
    if float((grey**2 * weight).sum()) - under**2 > (contrast / 3) ** 2:
        # Not to be read across light and dark: a board goes under it.
        region *= 0.15
        region += 0.85 * under
    dark = under > contrast if rng.random() < 0.8 else under > 255 - contrast
    ink = under + (-contrast if dark else contrast) + rng.normal(0, 25, 3)
    alpha = coverage[:, :, None]
    region *= 1 - alpha
    region += np.clip(ink, 0, 255).astype(np.float32) * alpha


def _photograph(
    rng: np.random.Generator, picture: NDArray[np.uint8], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """A random part of a picture, enlarged to the size."""
    height, width = size
    scale = max(height / picture.shape[0], width / picture.shape[1]) * rng.uniform(1, 1.8)
    enlarged = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    top = rng.integers(0, enlarged.shape[0] - height + 1)
    left = rng.integers(0, enlarged.shape[1] - width + 1)
    part = enlarged[top : top + height, left : left + width]
    return np.asarray(part[:, ::-1] if rng.random() < 0.5 else part, np.uint8)


def _paper(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A tinted sheet, or a dark screen, with uneven light and a few rules."""
    height, width = size
    tone = rng.uniform(180, 255) if rng.random() < 0.8 else rng.uniform(0, 80)
    sheet = np.full((height, width, 3), tone, np.float32) + rng.normal(0, 8, 3).astype(np.float32)
    light: NDArray[Any] = rng.normal(0, rng.uniform(2, 20), (4, 4)).astype(np.float32)
    smooth = cv2.resize(light, (width, height), interpolation=cv2.INTER_CUBIC)
    sheet += np.asarray(smooth, np.float32)[:, :, None]
    for _ in range(int(rng.integers(0, 5))):
        row = int(rng.integers(0, height))
        sheet[row : row + 2] += rng.choice([-60.0, 60.0])
    return np.clip(sheet, 0, 255).astype(np.uint8)


def _as_photographed(rng: np.random.Generator, page: NDArray[np.float32]) -> NDArray[np.uint8]:
    if rng.random() < 0.6:
        page = np.asarray(cv2.GaussianBlur(page, (0, 0), rng.uniform(0.3, 1.1)), np.float32)
    page = page + rng.normal(0, rng.uniform(0, 7), page.shape).astype(np.float32)
    pixels = np.clip(page, 0, 255).astype(np.uint8)
    quality = int(rng.integers(50, 96))
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
