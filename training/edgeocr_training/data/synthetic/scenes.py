"""Signs, labels and writing on things, each in a perspective of its own."""

from __future__ import annotations

from dataclasses import replace
from string import capwords

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.synthetic import fields
from edgeocr_training.data.synthetic.backgrounds import colour, gradient, wall
from edgeocr_training.data.synthetic.layouts import Material, contrasting, decorated, spaced
from edgeocr_training.data.synthetic.projection import mapped, onto, tilted
from edgeocr_training.data.synthetic.sheet import Sheet, WrittenLine


def scene(
    rng: np.random.Generator, size: tuple[int, int], material: Material
) -> tuple[NDArray[np.uint8], list[WrittenLine]]:
    """A picture (H, W, 3) uint8 BGR of ``size`` with a few texts in it, and these."""
    picture = material.backgrounds.surface(rng, size)
    taken = np.zeros(size, np.uint8)
    lines: list[WrittenLine] = []
    slant = rng.choice([2.0, 6.0, 15.0])
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
    size = round(float(np.exp(rng.uniform(np.log(12), np.log(0.16 * min(picture.shape[:2]))))))
    pen = spaced(rng, material.pen(rng, corpus.language, size, (0, 0, 0)))
    texts = []
    for _ in range(int(rng.choice([1, 2, 3, 5], p=[0.6, 0.2, 0.12, 0.08]))):
        if rng.random() < 0.2:
            text = fields.value(rng, corpus)
        else:
            text = corpus.phrase(rng, int(rng.integers(1, 5)))
        if corpus.language == "en":
            style = rng.random()
            text = text.upper() if style < 0.4 else capwords(text) if style < 0.7 else text
        text = pen.fitting(text, 0.9 * picture.shape[1])
        if text:
            texts.append(text)
    if not texts:
        return []
    margin = size * rng.uniform(0.15, 0.8)
    leading = rng.uniform(1.15, 1.5)
    width = round(max(map(pen.width, texts)) + 2 * margin + 0.3 * size)
    height = round(((len(texts) - 1) * leading + 1.3) * size + 2 * margin)
    target = _free_place(rng, taken, height, width, slant=slant)
    if target is None:
        return []
    cv2.fillConvexPoly(taken, np.rint(target).astype(np.int32), 1)

    homography = onto(height, width, target)
    low = np.floor(target.min(0)).astype(int) - 1
    high = np.ceil(target.max(0)).astype(int) + 2
    region = picture[low[1] : high[1], low[0] : high[0]]
    moved = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]], np.float64) @ homography
    extent = (int(high[0] - low[0]), int(high[1] - low[1]))

    on_board = rng.random() < 0.6
    if on_board:
        make = (gradient, wall)[int(rng.random() < 0.3)]
        face = make(rng, (height, width)) if rng.random() < 0.4 else _flat(rng, (height, width))
    else:
        # What the sign stands on, seen as the sign is seen: writing on the thing itself.
        face = np.asarray(
            cv2.warpPerspective(region, moved, (width, height), flags=_BACK, borderMode=_EDGE),
            np.uint8,
        )
    sheet = Sheet(face)
    ground = sheet.lightness((0, 0, width, height))
    pen = decorated(rng, replace(pen, colour=contrasting(rng, ground, at_least=70)), ground)
    if on_board and rng.random() < 0.3:
        inset = 0.3 * margin
        box = (inset, inset, width - inset, height - inset)
        sheet.draw.rectangle(box, outline=pen.colour, width=max(1, size // 12))
    anchor = (0.0, 0.5, 0.5, 1.0)[rng.integers(4)]
    baseline = margin + size
    for text in texts:
        start = margin + 0.15 * size + anchor * (width - 2 * margin - 0.3 * size)
        sheet.write(text, start, baseline, pen, anchor=anchor)
        baseline += leading * size
    soft = rng.uniform(0, 0.05) * size if rng.random() < 0.3 else 0.0
    written = sheet.picture
    if soft > 0.3:
        written = np.asarray(cv2.GaussianBlur(written, (0, 0), min(soft, 1.5)), np.uint8)
    seen = cv2.warpPerspective(written, moved, extent, flags=cv2.INTER_LINEAR)
    cover = cv2.warpPerspective(np.full((height, width), 255, np.uint8), moved, extent)
    share = cover[:, :, None].astype(np.float32) / 255
    region[:] = (seen * share + region * (1 - share)).astype(np.uint8)
    return [
        WrittenLine(polygon=mapped(line.polygon, homography), text=line.text)
        for line in sheet.lines
    ]


_BACK = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_EDGE = cv2.BORDER_REPLICATE


def _flat(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.full((*size, 3), colour(rng), np.uint8)


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
