"""What stands where on a sheet: documents, tables, receipts, forms, posters."""

from __future__ import annotations

from dataclasses import replace
from string import capwords

import numpy as np

from edgeocr_training.data.synthetic import fields
from edgeocr_training.data.synthetic.backgrounds import colour
from edgeocr_training.data.synthetic.corpora import Corpus, is_chinese
from edgeocr_training.data.synthetic.fonts import Language
from edgeocr_training.data.synthetic.material import Material
from edgeocr_training.data.synthetic.ornaments import ORNAMENTS, barcode, scribble
from edgeocr_training.data.synthetic.sheet import Colour, Pen, Sheet


def contrasting(rng: np.random.Generator, lightness: float, *, at_least: float) -> Colour:
    """An ink whose grey level differs so much from that of the ground."""
    darker, lighter = lightness - at_least, 255 - lightness - at_least
    if darker > 0 and (lighter <= 0 or rng.random() < darker / (darker + lighter)):
        level = rng.uniform(0, darker)
    elif lighter > 0:
        level = rng.uniform(lightness + at_least, 255)
    else:
        level = 0.0 if lightness > 127 else 255.0
    return as_colour(colour(rng, lightness=level))


def as_colour(values: np.typing.NDArray[np.float32]) -> Colour:
    """For Pillow."""
    blue, green, red = (int(value) for value in values)
    return blue, green, red


def _print_ink(rng: np.random.Generator, sheet: Sheet) -> Colour:
    """Mostly black on light and white on dark."""
    ground, _ = sheet.lightness((0, 0, sheet.width, sheet.height))
    if rng.random() < 0.75:
        level = int(rng.integers(0, 60)) if ground > 110 else int(rng.integers(200, 256))
        return level, level, level
    return contrasting(rng, ground, at_least=90)


def _paragraph(
    rng: np.random.Generator,
    sheet: Sheet,
    material: Material,
    corpus: Corpus,
    pen: Pen,
    *,
    left: float,
    right: float,
    top: float,
    lines: int,
    leading: float,
) -> float:
    """Writes up to so many lines; returns the row below them."""
    width = right - left
    characters = int(lines * width / pen.size * (1.0 if corpus.language == "zh" else 2.0)) + 4
    text = pen.typeface.readable(material.text(rng, corpus, characters))
    alignment = (0.0, 0.0, 0.0, 0.5, 1.0)[rng.integers(5)] if lines < 3 else 0.0
    justified = lines >= 3 and rng.random() < 0.3
    indent = (0.0, 2.0 * pen.size)[rng.integers(2)] if lines >= 3 else 0.0
    baseline = top + pen.size
    for number in range(lines):
        shift = indent if number == 0 else 0.0
        line = pen.fitting(text, width - shift)
        if not line or baseline > sheet.height - 0.4 * pen.size:
            break
        text = text[len(line) :].lstrip()
        spare = width - shift - pen.length(line)
        spaces = line.count(" ")
        stretched = spare / spaces if justified and text and spaces > 2 else 0.0
        start = left + shift + alignment * (right - left - shift)
        sheet.write(line, start, baseline, pen, anchor=alignment, word_gap=min(stretched, pen.size))
        baseline += leading * pen.size
        if not text:
            break
    return baseline - 0.8 * pen.size


def document(rng: np.random.Generator, sheet: Sheet, material: Material) -> None:
    """A page of a book, letter, newspaper or report: title, columns, lists, pictures, tables."""
    corpus = material.corpus(rng)
    ink = _print_ink(rng, sheet)
    body = float(np.exp(rng.uniform(np.log(12), np.log(30))))
    pen = material.pen(rng, corpus.language, body, ink)
    heading = material.pen(rng, corpus.language, body * rng.uniform(1.1, 1.6), ink)
    title = material.pen(rng, corpus.language, body * rng.uniform(1.5, 3.0), ink)
    leading = rng.uniform(1.15, 1.9)
    margin = sheet.width * rng.uniform(0.03, 0.12)
    top = sheet.height * rng.uniform(0.02, 0.08)
    if rng.random() < 0.5:  # running head or page number
        sheet.write(corpus.phrase(rng, 3), margin, top + body, pen)
        page = f"{rng.integers(1, 999)}"
        sheet.write(page, sheet.width - margin, top + body, pen, anchor=1.0)
        top += 2.5 * body
    if rng.random() < 0.6:
        top = _paragraph(
            rng,
            sheet,
            material,
            corpus,
            title,
            left=margin,
            right=sheet.width - margin,
            top=top,
            lines=int(rng.integers(1, 3)),
            leading=1.3,
        )
        top += body
    columns = int(np.clip(rng.integers(1, 4), 1, max(sheet.width // (14 * body), 1)))
    gutter = body * rng.uniform(1.2, 3.0)
    width = (sheet.width - 2 * margin - (columns - 1) * gutter) / columns
    fill = sheet.height * (1 - rng.uniform(0.03, 0.4) ** 1.5)
    for column in range(columns):
        left = margin + column * (width + gutter)
        right = left + width
        row = top
        if column and rng.random() < 0.2:
            x = left - gutter / 2
            sheet.draw.line((x, top, x, fill), fill=ink, width=1)
        while row < fill - 2 * body:
            kind = rng.random()
            if kind < 0.12:
                row = _paragraph(
                    rng,
                    sheet,
                    material,
                    corpus,
                    heading,
                    left=left,
                    right=right,
                    top=row,
                    lines=1,
                    leading=leading,
                )
            elif kind < 0.15:
                side = min(rng.uniform(2, 6) * body, 0.4 * width, fill - row)
                _ornament(rng, sheet, left + rng.uniform(0, 0.3) * width, row, side, ink)
                row += 1.1 * side
            elif kind < 0.2:
                row = _figure(rng, sheet, material, left, right, row, fill)
            elif kind < 0.3:
                row = table(rng, sheet, material, corpus, pen, left, right, row, fill)
            elif kind < 0.42:
                row = _list(rng, sheet, material, corpus, pen, left, right, row, fill)
            else:
                lines = min(int(rng.integers(2, 12)), int((fill - row) / (leading * body)))
                row = _paragraph(
                    rng,
                    sheet,
                    material,
                    corpus,
                    pen,
                    left=left,
                    right=right,
                    top=row,
                    lines=lines,
                    leading=leading,
                )
            row += body * rng.uniform(0.3, 1.5)


def _figure(
    rng: np.random.Generator,
    sheet: Sheet,
    material: Material,
    left: float,
    right: float,
    top: float,
    bottom: float,
) -> float:
    height = int(min((right - left) * rng.uniform(0.3, 0.9), bottom - top))
    if height < 20:
        return bottom
    picture = material.backgrounds.photograph(rng, (height, int(right - left)))
    sheet.paste(picture, int(left), int(top))
    return top + height


def _list(
    rng: np.random.Generator,
    sheet: Sheet,
    material: Material,
    corpus: Corpus,
    pen: Pen,
    left: float,
    right: float,
    top: float,
    bottom: float,
) -> float:
    numbered = rng.random() < 0.5
    indent = pen.size * rng.uniform(1.4, 2.2)
    for number in range(1, int(rng.integers(2, 7))):
        if top > bottom - 1.5 * pen.size:
            break
        baseline = top + pen.size
        line = pen.fitting(
            material.text(rng, corpus, int(rng.integers(8, 60))), right - left - indent
        )
        if numbered:
            # One line with its number, as a detector sees it.
            line = pen.fitting(f"{number}. {line}", right - left)
            sheet.write(line, left, baseline, pen)
        else:
            radius = pen.size * 0.14
            middle = (left + pen.size * 0.5, baseline - pen.size * 0.35)
            box = (middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius)
            sheet.draw.ellipse(box, fill=pen.colour)
            sheet.write(line, left + indent, baseline, pen)
        top += pen.size * 1.5
    return top


def table(
    rng: np.random.Generator,
    sheet: Sheet,
    material: Material,
    corpus: Corpus,
    pen: Pen,
    left: float,
    right: float,
    top: float,
    bottom: float,
) -> float:
    """Rows of short texts and numbers, with or without rules; returns the row below."""
    columns = int(np.clip((right - left) / (pen.size * rng.uniform(4, 9)), 2, 8))
    rows = min(int(rng.integers(3, 16)), int((bottom - top) / (2 * pen.size)))
    if rows < 2:
        return bottom
    shares = rng.uniform(0.6, 1.4, columns)
    places = np.concatenate([[0], np.cumsum(shares / shares.sum())])
    edges: list[float] = (left + places * (right - left)).tolist()
    height = pen.size * rng.uniform(1.5, 2.4)
    ruled, crossed = rng.random() < 0.7, rng.random() < 0.5
    numeric = rng.random(columns) < 0.5
    anchors = rng.choice([0.0, 0.5, 1.0], columns, p=[0.5, 0.3, 0.2])
    for row in range(rows):
        y = top + row * height
        if ruled:
            sheet.draw.line((left, y, right, y), fill=pen.colour, width=1)
        for column in range(columns):
            if rng.random() < 0.08:
                continue
            low, high = edges[column] + 0.5 * pen.size, edges[column + 1] - 0.5 * pen.size
            if row == 0:
                text = fields.label(rng, corpus.language)
            elif numeric[column]:
                text = fields.number(rng, corpus.language)
            else:
                text = fields.value(rng, corpus)
            text = pen.fitting(text, high - low)
            anchor = float(anchors[column])
            baseline = y + height / 2 + 0.36 * pen.size
            sheet.write(text, low + anchor * (high - low), baseline, pen, anchor=anchor)
    end = top + rows * height
    if ruled:
        sheet.draw.line((left, end, right, end), fill=pen.colour, width=1)
        if crossed:
            for x in edges:
                sheet.draw.line((x, top, x, end), fill=pen.colour, width=1)
    return end + 0.5 * pen.size


def receipt(rng: np.random.Generator, sheet: Sheet, material: Material) -> None:
    """A till receipt: shop, items with prices, sums, thanks."""
    corpus = material.corpus(rng)
    ink = _print_ink(rng, sheet)
    size = sheet.width / rng.uniform(14, 26)
    pen = material.pen(rng, corpus.language, size, ink)
    large = replace(pen, size=round(pen.size * rng.uniform(1.2, 1.9)))
    margin = sheet.width * rng.uniform(0.03, 0.1)
    right = sheet.width - margin
    leading = size * rng.uniform(1.15, 1.7)
    row = sheet.height * rng.uniform(0.01, 0.04) + large.size

    def centred(text: str, with_pen: Pen) -> None:
        nonlocal row
        text = with_pen.fitting(text, right - margin)
        sheet.write(text, sheet.width / 2, row, with_pen, anchor=0.5)
        row += max(leading, 1.2 * with_pen.size)

    def pair(text: str, amount: str, with_pen: Pen) -> None:
        nonlocal row
        price_width = with_pen.length(with_pen.typeface.readable(amount))
        room = right - margin - price_width - with_pen.size
        sheet.write(with_pen.fitting(text, room), margin, row, with_pen)
        sheet.write(amount, right, row, with_pen, anchor=1.0)
        row += max(leading, 1.2 * with_pen.size)

    def rule() -> None:
        nonlocal row
        y = row - 0.5 * size
        if rng.random() < 0.5:
            sheet.draw.line((margin, y, right, y), fill=ink, width=max(1, int(size / 14)))
        else:
            step = size * rng.uniform(0.4, 0.8)
            for x in np.arange(margin, right, step).tolist():
                sheet.draw.line((x, y, x + step * 0.6, y), fill=ink, width=max(1, int(size / 14)))
        row += 0.7 * size

    centred(capwords(corpus.phrase(rng, int(rng.integers(1, 4)))), large)
    for _ in range(int(rng.integers(1, 5))):
        kind = rng.integers(3)
        if kind == 0:
            centred(fields.place(rng, corpus), pen)
        elif kind == 1:
            centred(fields.telephone(rng, corpus.language), pen)
        else:
            centred(fields.label(rng, corpus.language) + ": " + fields.value(rng, corpus), pen)
    pair(fields.date(rng, corpus.language), fields.time(rng, corpus.language), pen)
    rule()
    columns = rng.random() < 0.4
    while row < sheet.height * rng.uniform(0.55, 0.85):
        item = corpus.phrase(rng, int(rng.integers(1, 4)))
        if corpus.language == "en":
            item = item.upper() if rng.random() < 0.5 else item.capitalize()
        amount = fields.price(rng, corpus.language)
        if columns:
            sheet.write(f"{rng.integers(1, 20)}", margin + 0.62 * (right - margin), row, pen)
            text = pen.fitting(item, 0.55 * (right - margin))
            sheet.write(text, margin, row, pen)
            if pen.length(pen.typeface.readable(amount)) < 0.28 * (right - margin):
                sheet.write(amount, right, row, pen, anchor=1.0)
            row += leading
        else:
            pair(item, amount, pen)
        if rng.random() < 0.15:
            text = f"{rng.integers(1, 9)} x {fields.price(rng, corpus.language)}"
            sheet.write(text, margin + 2 * size, row, pen)
            row += leading
    rule()
    for _ in range(int(rng.integers(1, 5))):
        with_pen = large if rng.random() < 0.2 else pen
        name = fields.label(rng, corpus.language)
        pair(name, fields.price(rng, corpus.language), with_pen)
    rule()
    if rng.random() < 0.4:
        inset = 0.15 * (right - margin)
        barcode(rng, sheet.draw, (margin + inset, row, right - inset, row + 2.5 * size), ink)
        row += 4 * size
    while row < sheet.height - 2 * size and rng.random() < 0.7:
        centred(material.text(rng, corpus, 20), pen)


def form(rng: np.random.Generator, sheet: Sheet, material: Material) -> None:
    """Labels with values beside, on rules or in boxes, under headings."""
    corpus = material.corpus(rng)
    ink = _print_ink(rng, sheet)
    size = float(np.exp(rng.uniform(np.log(12), np.log(26))))
    pen = material.pen(rng, corpus.language, size, ink)
    filled = material.pen(rng, corpus.language, size * rng.uniform(0.9, 1.3), ink)
    if rng.random() < 0.4:
        filled = replace(filled, colour=(int(rng.integers(90, 190)), 40, 20))  # a ball pen
    title = material.pen(rng, corpus.language, size * rng.uniform(1.4, 2.4), ink)
    margin = sheet.width * rng.uniform(0.03, 0.1)
    row = sheet.height * rng.uniform(0.01, 0.06)
    heading = title.fitting(capwords(corpus.phrase(rng, 4)), sheet.width - 2 * margin)
    sheet.write(
        heading,
        sheet.width / 2,
        row + title.size,
        title,
        anchor=0.5,
        underline=rng.random() < 0.3,
    )
    row += 1.8 * title.size
    columns = int(rng.integers(1, 4)) if sheet.width > 30 * size else 1
    step = size * rng.uniform(1.6, 3.0)
    style = rng.integers(3)
    while row < sheet.height - 2 * step:
        kind = rng.random()
        if kind < 0.08:
            end = sheet.height - step
            row = table(rng, sheet, material, corpus, pen, margin, sheet.width - margin, row, end)
        elif kind < 0.16:
            row = _paragraph(
                rng,
                sheet,
                material,
                corpus,
                pen,
                left=margin,
                right=sheet.width - margin,
                top=row,
                lines=int(rng.integers(1, 4)),
                leading=1.4,
            )
        elif kind < 0.2:
            _ornament(rng, sheet, margin, row, 4 * size, ink)
            row += 4.5 * size
        else:
            width = (sheet.width - 2 * margin) / columns
            for column in range(columns):
                left = margin + column * width
                if style == 2:
                    sheet.draw.rectangle((left, row, left + width, row + step), outline=ink)
                    left += 0.4 * size
                baseline = row + step / 2 + 0.36 * size
                _field(
                    rng,
                    sheet,
                    corpus,
                    pen,
                    filled,
                    left=left,
                    right=margin + (column + 1) * width - size,
                    baseline=baseline,
                    ruled=style == 1,
                )
            row += step
    if rng.random() < 0.3:
        left, top = margin + rng.uniform(0, 0.6) * sheet.width, sheet.height - 3.5 * size
        scribble(rng, sheet.draw, (left, top, left + 8 * size, top + 3 * size), filled.colour)


def _field(
    rng: np.random.Generator,
    sheet: Sheet,
    corpus: Corpus,
    pen: Pen,
    filled: Pen,
    *,
    left: float,
    right: float,
    baseline: float,
    ruled: bool,
) -> None:
    """A label, and a value behind it in most cases."""
    if rng.random() < 0.1:
        side = 0.8 * pen.size
        box = (left, baseline - side, left + side, baseline)
        fill = pen.colour if rng.random() < 0.3 else None
        sheet.draw.rectangle(box, outline=pen.colour, fill=fill)
        left += 1.5 * pen.size
    colon = "：" if corpus.language == "zh" else ":"
    name = fields.label(rng, corpus.language) + (colon if rng.random() < 0.7 else "")
    advance = sheet.write(pen.fitting(name, 0.5 * (right - left)), left, baseline, pen)
    # With a gap below one em, a reader would take both for one line.
    left += advance + pen.size * rng.uniform(1.2, 3.0)
    if ruled and left < right:
        row = baseline + 0.2 * pen.size
        sheet.draw.line((left, row, right, row), fill=pen.colour)
    if rng.random() < 0.8:
        sheet.write(filled.fitting(fields.value(rng, corpus), right - left), left, baseline, filled)


def _ornament(
    rng: np.random.Generator, sheet: Sheet, left: float, top: float, side: float, ink: Colour
) -> None:
    """Something that is no text, in a square or, for some, a wider box."""
    draw = ORNAMENTS[rng.integers(len(ORNAMENTS))]
    draw(rng, sheet.draw, (left, top, left + side * rng.uniform(1.0, 2.5), top + side), ink)


def poster(rng: np.random.Generator, sheet: Sheet, material: Material) -> None:
    """Advertisement, package, slide, picture from the web: blocks of large and small text."""
    corpus = material.corpus(rng)
    taken = np.zeros((sheet.height, sheet.width), np.bool_)
    largest = min(sheet.width, sheet.height) * rng.uniform(0.06, 0.2)
    alignment = (0.0, 0.5, 1.0)[rng.integers(3)]
    for _ in range(int(rng.integers(3, 16))):
        if rng.random() < 0.15:
            side = rng.uniform(0.4, 2.0) * largest
            place = _free_place(rng, taken, 2.6 * side, 1.1 * side)
            if place is not None:
                _ornament(rng, sheet, place[0], place[1], side, as_colour(colour(rng)))
            continue
        if rng.random() < 0.3:
            corpus = material.corpus(rng)
        size = max(largest * np.exp(-rng.exponential(0.9)), 12.0)
        pen = spaced(rng, material.pen(rng, corpus.language, size, (0, 0, 0)))
        if corpus.language == "zh" and rng.random() < 0.12:
            _vertical_block(rng, sheet, corpus, taken, replace(pen, vertical=True))
        else:
            lines = 1 if size > 0.6 * largest else int(rng.integers(1, 6))
            _block(rng, sheet, material, corpus, taken, pen, lines=lines, alignment=alignment)


_Mask = np.typing.NDArray[np.bool_]


def _free_place(
    rng: np.random.Generator, taken: _Mask, width: float, height: float
) -> tuple[int, int, int, int] | None:
    """Takes a box (left, top, right, bottom) where nothing is yet; None without room."""
    if height >= taken.shape[0] or width >= taken.shape[1]:
        return None
    for _ in range(12):
        left = int(rng.integers(0, int(taken.shape[1] - width) + 1))
        top = int(rng.integers(0, int(taken.shape[0] - height) + 1))
        right, bottom = int(left + width), int(top + height)
        if not taken[top:bottom, left:right].any():
            taken[top:bottom, left:right] = True
            return left, top, right, bottom
    return None


def _block(
    rng: np.random.Generator,
    sheet: Sheet,
    material: Material,
    corpus: Corpus,
    taken: _Mask,
    pen: Pen,
    *,
    lines: int,
    alignment: float,
) -> None:
    """One or more lines in one style, on a board in some cases."""
    size = pen.size
    width = min(sheet.width * 0.94, size * rng.uniform(4, 18))
    leading = rng.uniform(1.15, 1.6)
    place = _free_place(rng, taken, width, (lines - 1) * leading * size + 1.5 * size)
    if place is None:
        return
    pen = _inked(rng, sheet, place, pen)
    left, top, _, _ = place
    baseline = top + 1.05 * size
    for _ in range(lines):
        if rng.random() < 0.25:
            text = fields.value(rng, corpus)
        elif lines == 1:
            text = corpus.phrase(rng, int(rng.integers(1, 5)))
        else:
            text = material.text(rng, corpus, int(width / size))
        text = pen.fitting(cased(rng, text, corpus.language), width - 0.4 * size)
        start = left + 0.2 * size + alignment * (width - 0.4 * size)
        sheet.write(text, start, baseline, pen, anchor=alignment, underline=rng.random() < 0.04)
        baseline += leading * size


def _vertical_block(
    rng: np.random.Generator, sheet: Sheet, corpus: Corpus, taken: _Mask, pen: Pen
) -> None:
    """Columns of Chinese, from right to left."""
    columns = int(rng.integers(1, 4))
    step = pen.size * rng.uniform(1.3, 1.8)
    length = min(pen.size * rng.uniform(3, 12), 0.9 * sheet.height)
    place = _free_place(rng, taken, (columns - 1) * step + 1.4 * pen.size, length + pen.size)
    if place is None:
        return
    pen = _inked(rng, sheet, place, pen)
    for column in range(columns):
        text = "".join(c for c in corpus.phrase(rng, 6) if is_chinese(c))
        middle = place[2] - 0.7 * pen.size - column * step
        sheet.write(pen.fitting(text, length), middle, place[1] + 0.5 * pen.size, pen)


def _inked(rng: np.random.Generator, sheet: Sheet, box: tuple[int, int, int, int], pen: Pen) -> Pen:
    """A pen that can be read in the box, for which a board is put there in some cases."""
    ground, unevenness = sheet.lightness(box)
    if rng.random() < 0.25 or needs_board(unevenness, pen.size):
        board = colour(rng)
        ground, unevenness = float(board.mean()), 0.0
        radius = int(rng.integers(0, int(pen.size / 2) + 1))
        sheet.draw.rounded_rectangle(box, radius=radius, fill=as_colour(board))
    ink = contrasting(rng, ground, at_least=min(70 + 1.5 * unevenness, 120))
    return decorated(rng, replace(pen, colour=ink), ground)


def needs_board(unevenness: float, size: int) -> bool:
    """Whether nobody could read text of ``size`` pixels on a ground of this deviation."""
    return unevenness > (25 if size < 24 else 40)


def cased(rng: np.random.Generator, text: str, language: Language) -> str:
    """As it is, in capitals, or with capital initials."""
    style = rng.random()
    if language == "zh" or style < 0.4:
        return text
    return text.upper() if style < 0.7 else capwords(text)


def spaced(rng: np.random.Generator, pen: Pen) -> Pen:
    """Now and then with letters apart."""
    if rng.random() < 0.15:
        return replace(pen, letter_gap=pen.size * float(rng.uniform(0.03, 0.5)))
    return pen


def decorated(rng: np.random.Generator, pen: Pen, ground: float) -> Pen:
    """Now and then bold, outlined, shadowed, or let through."""
    if pen.size > 24 and rng.random() < 0.3:
        stroke = max(1, int(pen.size * rng.uniform(0.02, 0.06)))
        outline = contrasting(rng, float(np.mean(pen.colour)), at_least=100)
        pen = replace(pen, stroke=stroke, outline=outline if rng.random() < 0.7 else None)
    if pen.size > 20 and rng.random() < 0.2:
        level = 0 if np.mean(pen.colour) > ground else 255
        pen = replace(pen, shadow=(level, level, level))
    if rng.random() < 0.1:
        pen = replace(pen, opacity=float(rng.uniform(0.7, 0.95)))
    return pen
