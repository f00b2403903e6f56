"""Signs, labels and writing on things, each in a perspective of its own."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.synthetic import fields
from edgeocr_training.data.synthetic.backgrounds import gradient, plain, wall
from edgeocr_training.data.synthetic.corpora import Corpus
from edgeocr_training.data.synthetic.layouts import (
    cased,
    contrasting,
    decorated,
    needs_board,
    spaced,
)
from edgeocr_training.data.synthetic.material import Material
from edgeocr_training.data.synthetic.projection import Bend, lay, mapped, onto, tilted
from edgeocr_training.data.synthetic.sheet import Pen, Sheet, WrittenLine


def scene(
    rng: np.random.Generator, size: tuple[int, int], material: Material
) -> tuple[NDArray[np.uint8], list[WrittenLine]]:
    """A picture (H, W, 3) uint8 BGR of ``size`` with a few texts in it, and these."""
    picture = material.backgrounds.surface(rng, size)
    taken = np.zeros(size, np.uint8)
    lines: list[WrittenLine] = []
    slant = rng.choice([2.0, 6.0, 15.0, 40.0], p=[0.35, 0.35, 0.2, 0.1])
    for _ in range(int(rng.integers(1, 12))):
        lines += _sign(rng, picture, taken, material, slant=slant)
    return picture, lines


def _sign(
    rng: np.random.Generator,
    picture: NDArray[np.uint8],
    taken: NDArray[np.uint8],
    material: Material,
    *,
    slant: float,
) -> list[WrittenLine]:
    """Adds a sign, or writing without one, where there is room."""
    corpus = material.corpus(rng)
    largest = max(0.16 * min(picture.shape[:2]), 13.0)
    size = round(float(np.exp(rng.uniform(np.log(12), np.log(largest)))))
    pen = spaced(rng, material.pen(rng, corpus.language, size, (0, 0, 0)))
    if corpus.language == "zh" and rng.random() < 0.12:
        pen = replace(pen, vertical=True)
    texts = _texts(rng, corpus, pen, longest=0.9 * picture.shape[1])
    if not texts:
        return []
    margin = size * rng.uniform(0.15, 0.8)
    step = rng.uniform(1.15, 1.5) * size
    along = round(max(map(pen.length, texts)) + 2 * margin + 0.3 * size)
    across = round((len(texts) - 1) * step + 1.3 * size + 2 * margin)
    height, width = (along, across) if pen.vertical else (across, along)
    bend = None
    if rng.random() < 0.15:
        bend = Bend(
            amplitude=rng.uniform(0.03, 0.12) * width,
            waves=rng.uniform(0.3, 1.0),
            phase=rng.uniform(0, 2 * np.pi),
            width=width,
        )
    seen_height = height + 2 * (bend.margin if bend else 0)
    target = _free_place(rng, taken, seen_height, width, slant=slant)
    if target is None:
        return []
    cv2.fillConvexPoly(taken, np.rint(target).astype(np.int32), 1)

    low, high = np.floor(target.min(0)).astype(int), np.ceil(target.max(0)).astype(int)
    behind = picture[low[1] : high[1], low[0] : high[0]].mean(2)
    on_board = rng.random() < 0.6 or needs_board(float(behind.std()), size)
    if on_board:
        face = _board(rng, (height, width))
        ground, unevenness = float(face.mean()), float(face.mean(2).std())
    else:
        ground, unevenness = float(behind.mean()), float(behind.std())
    ink = contrasting(rng, ground, at_least=min(60 + 1.5 * unevenness, 120))
    pen = decorated(rng, replace(pen, colour=ink), ground)
    if not on_board:
        # Only what is written will cover the picture: its edges must have no other colour.
        face = np.full((height, width, 3), pen.rim, np.uint8)
    sheet = Sheet(face)
    if on_board and rng.random() < 0.3:
        inset = 0.3 * margin
        box = (inset, inset, width - inset, height - inset)
        sheet.draw.rectangle(box, outline=pen.colour, width=max(1, size // 12))
    anchor = (0.0, 0.5, 0.5, 1.0)[rng.integers(4)]
    for number, text in enumerate(texts):
        place = margin + number * step
        if pen.vertical:
            sheet.write(text, width - place - 0.65 * size, margin + 0.15 * size, pen)
        else:
            start = margin + 0.15 * size + anchor * (width - 2 * margin - 0.3 * size)
            sheet.write(text, start, place + size, pen, anchor=anchor)

    front, lines = sheet.picture, sheet.lines
    cover = np.full((height, width), 255, np.uint8) if on_board else sheet.cover
    if rng.random() < 0.3:
        # Seen less sharply than what is around it.
        sigma = max(rng.uniform(0, 0.04) * size, 0.3)
        front = np.asarray(cv2.GaussianBlur(front, (0, 0), sigma), np.uint8)
        cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), sigma), np.uint8)
    if bend:
        front, cover = bend.picture(front), bend.picture(cover)
        lines = [replace(line, polygon=bend.polygon(line.polygon)) for line in lines]
    homography = onto(seen_height, width, target)
    lay(picture, front, homography, cover=cover)
    return [replace(line, polygon=mapped(line.polygon, homography)) for line in lines]


def _texts(rng: np.random.Generator, corpus: Corpus, pen: Pen, *, longest: float) -> list[str]:
    """One line or a few, none of them empty."""
    texts = []
    for _ in range(int(rng.choice([1, 2, 3, 5], p=[0.6, 0.2, 0.12, 0.08]))):
        if rng.random() < 0.2 and not pen.vertical:
            text = fields.value(rng, corpus)
        else:
            text = corpus.phrase(rng, int(rng.integers(1, 5)))
        texts.append(pen.fitting(cased(rng, text, corpus.language), longest))
    return [text for text in texts if text]


def _board(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.uint8]:
    kind = rng.random()
    if kind < 0.6:
        return plain(rng, size)
    return gradient(rng, size, strength=0.3) if kind < 0.85 else wall(rng, size)


def _free_place(
    rng: np.random.Generator, taken: NDArray[np.uint8], height: int, width: int, *, slant: float
) -> NDArray[np.float32] | None:
    """Where a sign fits: its corners (4, 2) in the picture; None without room."""
    for _ in range(8):
        seen = tilted(rng, height, width, slant=slant, tilt=18)
        spread = np.ptp(seen, axis=0)
        room = np.array(taken.shape[::-1]) - spread - 4
        if (room <= 0).any():
            continue
        target = seen - seen.min(0) + 2 + rng.uniform(0, 1, 2) * room
        mask = np.zeros_like(taken)
        low, high = np.floor(target.min(0)).astype(int), np.ceil(target.max(0)).astype(int)
        box = (slice(low[1], high[1]), slice(low[0], high[0]))
        cv2.fillConvexPoly(mask[box], np.rint(target - low).astype(np.int32), 1)
        if not (taken[box] & mask[box]).any():
            return np.asarray(target, np.float32)
    return None
