"""What stands beside text and is none: a detector has to learn to pass it over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import ImageDraw

Colour = tuple[int, int, int]
"""BGR."""


def barcode(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[float, ...], ink: Colour
) -> None:
    """Upright bars."""
    left, top, right, bottom = box
    module = max((right - left) / 120, 1.0)
    while left < right - 8 * module:
        bar = module * float(rng.integers(1, 5))
        draw.rectangle((left, top, left + bar, bottom), fill=ink)
        left += bar + module * float(rng.integers(1, 5))


def matrix_code(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[float, ...], ink: Colour
) -> None:
    """Squares on a grid with three large ones in the corners, as QR codes have them."""
    left, top, right, bottom = box
    cells = int(rng.integers(21, 33))
    module = min(right - left, bottom - top) / cells

    def square(column: int, row: int, side: int, fill: Colour) -> None:
        x, y = left + column * module, top + row * module
        reach = max(side * module - 1, 0)
        draw.rectangle((x, y, x + reach, y + reach), fill=fill)

    paper = (255, 255, 255)
    square(-1, -1, cells + 2, paper)
    for column, row in np.argwhere(rng.random((cells, cells)) < 0.5).tolist():
        square(column, row, 1, ink)
    for column, row in ((0, 0), (cells - 7, 0), (0, cells - 7)):
        square(column - 1, row - 1, 9, paper)
        square(column, row, 7, ink)
        square(column + 1, row + 1, 5, paper)
        square(column + 2, row + 2, 3, ink)


def stamp(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[float, ...], ink: Colour
) -> None:
    """A ring with a star in it, in red more often than not."""
    left, top, right, bottom = box
    fill = (40, 40, int(rng.integers(150, 230))) if rng.random() < 0.7 else ink
    reach = min(right - left, bottom - top) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    ring = (x - reach, y - reach, x + reach, y + reach)
    draw.ellipse(ring, outline=fill, width=max(1, int(reach / 14)))
    star(rng, draw, (x - 0.4 * reach, y - 0.4 * reach, x + 0.4 * reach, y + 0.4 * reach), fill)


def star(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[float, ...], ink: Colour
) -> None:
    """A star, triangle or many-sided wheel."""
    left, top, right, bottom = box
    points = int(rng.integers(3, 9))
    angles = np.arange(2 * points) * np.pi / points - np.pi / 2
    reach = np.where(np.arange(2 * points) % 2, rng.uniform(0.3, 0.9), 1.0)
    x = (left + right) / 2 + (right - left) / 2 * reach * np.cos(angles)
    y = (top + bottom) / 2 + (bottom - top) / 2 * reach * np.sin(angles)
    draw.polygon(list(zip(x.tolist(), y.tolist(), strict=True)), fill=ink)


def scribble(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[float, ...], ink: Colour
) -> None:
    """A curve like a signature that nobody can read. Not for everywhere: some think it is text."""
    left, top, right, bottom = box
    knots = int(rng.integers(5, 14))
    along = np.linspace(0, knots - 1, 12 * knots)
    x = np.interp(along, np.arange(knots), np.sort(rng.uniform(left, right, knots)))
    swing = rng.uniform(0.2, 0.5) * (bottom - top)
    y = (top + bottom) / 2 + swing * np.sin(along * rng.uniform(1.5, 3.5) + rng.uniform(0, 6))
    x = x + swing * 0.6 * np.cos(along * rng.uniform(1.5, 4.0))
    width = max(1, int((bottom - top) / 22))
    draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=ink, width=width, joint="curve")


def bubbles(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, box: tuple[float, ...], ink: Colour
) -> None:
    """A row of discs, rings or squares: ratings, steps, buttons."""
    left, top, right, bottom = box
    count = int(rng.integers(2, 8))
    side = min((right - left) / (1.5 * count), bottom - top)
    shape = draw.ellipse if rng.random() < 0.6 else draw.rectangle
    for place in range(count):
        x = left + 1.5 * side * place
        area = (x, top, x + side, top + side)
        if rng.random() < 0.5:
            shape(area, fill=ink)
        else:
            shape(area, outline=ink, width=max(1, int(side / 10)))


ORNAMENTS: Final[
    tuple[
        Callable[[np.random.Generator, ImageDraw.ImageDraw, tuple[float, ...], Colour], None], ...
    ]
] = (barcode, matrix_code, stamp, star, bubbles)
