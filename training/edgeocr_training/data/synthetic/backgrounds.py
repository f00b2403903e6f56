"""What text stands on: photographs, paper, walls, plain and patterned colour."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.errors import ImageError
from edgeocr.images import load_image
from edgeocr_training.errors import DataError, SampleError

Size = tuple[int, int]
"""(height, width)"""

_LONGEST_SIDE: Final = 1280
"""Larger pictures are kept at this size."""
_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_PACKAGED: Final = (
    (
        "skimage",
        "data",
        "brick.png chelsea.png coffee.png grass.png gravel.png hubble_deep_field.jpg moon.png "
        "retina.jpg rocket.jpg ihc.png",
    ),
    ("sklearn", "datasets/images", "china.jpg flower.jpg"),
)
"""Pictures without text inside of packages."""


class Backgrounds:
    """Draws backgrounds of any size.

    Args:
        sources: picture files and folders, searched to any depth; the pictures must be free of
            text, since text in them is not labelled. Where there are none, the pictures of
            scikit-image and scikit-learn if these are installed.

    Raises:
        DataError: a source does not exist, or a folder has no pictures.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        pictures: list[str] = []
        for source in map(Path, sources):
            if source.is_dir():
                inside = sorted(p for p in source.rglob("*") if p.suffix.lower() in _SUFFIXES)
                if not inside:
                    raise DataError(f"{source} has no pictures ({' '.join(_SUFFIXES)})")
                pictures += map(str, inside)
            elif source.is_file():
                pictures.append(str(source))
            else:
                raise DataError(f"there is no picture or folder {source}")
        self._pictures = tuple(pictures) if sources else _packaged_pictures()

    def surface(self, rng: np.random.Generator, size: Size) -> NDArray[np.uint8]:
        """Anything: photographs where there are any, else procedural. (H, W, 3) BGR."""
        if self._pictures and rng.random() < 0.6:
            return self.photograph(rng, size)
        return _SURFACES[rng.integers(len(_SURFACES))](rng, size)

    def photograph(self, rng: np.random.Generator, size: Size) -> NDArray[np.uint8]:
        """A part of a picture, or coloured shapes where there are no pictures. (H, W, 3) BGR."""
        if not self._pictures:
            return shapes(rng, size)
        picture = _picture(self._pictures[rng.integers(len(self._pictures))])
        height, width = size
        least = max(height / picture.shape[0], width / picture.shape[1])
        # A small part is not the whole made small: that would be finer than any texture.
        scale = max(least * rng.uniform(1.0, 1.6), rng.uniform(0.4, 1.5))
        part_height, part_width = (max(round(side / scale), 1) for side in size)
        top = int(rng.integers(0, picture.shape[0] - part_height + 1))
        left = int(rng.integers(0, picture.shape[1] - part_width + 1))
        part = picture[top : top + part_height, left : left + part_width]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        enlarged = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
        gain = rng.uniform(0.6, 1.2)
        return np.asarray(cv2.convertScaleAbs(enlarged, alpha=gain), np.uint8)


def _packaged_pictures() -> tuple[str, ...]:
    found = []
    for package, folder, names in _PACKAGED:
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            paths = (Path(root) / folder / name for name in names.split())
            found += [str(path) for path in paths if path.is_file()]
    return tuple(found)


@lru_cache(maxsize=48)
def _picture(path: str) -> NDArray[np.uint8]:
    try:
        picture = load_image(path)
    except ImageError as error:
        raise SampleError(f"the background can't be used: {error}") from error
    shrink = _LONGEST_SIDE / max(picture.shape[:2])
    if shrink >= 1:
        return picture
    return np.asarray(
        cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8
    )


def colour(rng: np.random.Generator, *, lightness: float | None = None) -> NDArray[np.float32]:
    """(3,) BGR in [0, 255], more often dull than bright.

    Args:
        rng: of the colour.
        lightness: mean of the channels; any where it is None.
    """
    level = rng.uniform(10, 245) if lightness is None else lightness
    tint = rng.normal(0, 1, 3) * rng.choice([4.0, 20.0, 70.0])
    tinted = level + tint - tint.mean()
    return np.asarray(np.clip(tinted, 0, 255), np.float32)


def clouds(
    rng: np.random.Generator, size: Size, *, finest: int, octaves: int = 3
) -> NDArray[np.float32]:
    """Smooth noise, (H, W), of mean 0 and deviation about 1.

    Args:
        rng: of the noise.
        size: of what is returned.
        finest: pixels between the knots of the finest octave; each coarser one doubles them.
        octaves: to be added up, the coarser the stronger.
    """
    height, width = size
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        step = finest << octave
        grid = rng.standard_normal((height // step + 3, width // step + 3), np.float32)
        smooth = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
        total += np.asarray(smooth, np.float32) * np.float32(2.0 ** (octave - octaves + 1))
    return total


def tinted(base: NDArray[np.float32], relief: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A colour (3,) made lighter and darker by a relief (H, W) in grey levels."""
    sheet = cv2.merge([relief + float(channel) for channel in base])
    return np.asarray(np.clip(sheet, 0, 255), np.uint8)


def plain(rng: np.random.Generator, size: Size) -> NDArray[np.uint8]:
    """One colour."""
    return np.full((*size, 3), colour(rng), np.uint8)


def gradient(rng: np.random.Generator, size: Size, *, strength: float = 1.0) -> NDArray[np.uint8]:
    """From one colour to another, in any direction; of less strength, to one nearby."""
    height, width = size
    knots = np.stack([colour(rng) for _ in range(4)]).reshape(2, 2, 3)
    knots = knots[0, 0] + np.float32(strength) * (knots - knots[0, 0])
    if rng.random() < 0.7:
        knots[1] = knots[0]
    if rng.random() < 0.5:
        knots = knots.transpose(1, 0, 2)
    smooth = cv2.resize(np.ascontiguousarray(knots), (width, height))
    return np.asarray(smooth, np.uint8)


def paper(rng: np.random.Generator, size: Size) -> NDArray[np.uint8]:
    """A sheet: white, yellowed or coloured, with some unevenness."""
    lightness = rng.uniform(225, 255) if rng.random() < 0.7 else rng.uniform(150, 240)
    base = colour(rng, lightness=lightness) * 0.3 + 0.7 * np.float32(lightness)
    if rng.random() < 0.4:
        base -= np.array([rng.uniform(5, 35), 4, 0], np.float32)
    if rng.random() < 0.4:
        return np.full((*size, 3), np.clip(base, 0, 255), np.uint8)
    relief = clouds(rng, size, finest=int(rng.integers(16, 200))) * rng.uniform(0.5, 4)
    return tinted(base.astype(np.float32), relief.astype(np.float32))


def wall(rng: np.random.Generator, size: Size) -> NDArray[np.uint8]:
    """Plaster, stone, cloth: a colour with fine and coarse unevenness."""
    relief = clouds(rng, size, finest=int(rng.integers(2, 5)), octaves=6) * rng.uniform(3, 14)
    return tinted(colour(rng), relief.astype(np.float32))


def boards(rng: np.random.Generator, size: Size) -> NDArray[np.uint8]:
    """Wood or metal: streaks along one direction."""
    height, width = size
    across = rng.random() < 0.5
    grid = rng.standard_normal((height // 3 + 1, 4) if across else (4, width // 3 + 1), np.float32)
    streaks = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
    base = colour(rng, lightness=rng.uniform(40, 200)) + np.array([-15, 0, 12], np.float32)
    return tinted(base, np.asarray(streaks, np.float32) * np.float32(rng.uniform(4, 20)))


def tiles(rng: np.random.Generator, size: Size) -> NDArray[np.uint8]:
    """Bricks, tiles, shelves: rows of boxes, each of its own shade, with joints."""
    image = plain(rng, size)
    base = colour(rng)
    high, wide = int(rng.integers(20, 160)), int(rng.integers(30, 260))
    joint = int(rng.integers(1, 6))
    offset = wide // 2 if rng.random() < 0.6 else 0
    spread = rng.uniform(2, 25)
    for row, top in enumerate(range(0, size[0], high)):
        for left in range(-wide + (row % 2) * offset, size[1], wide):
            shade = base + rng.normal(0, spread)
            box = (left, top), (left + wide - joint, top + high - joint)
            cv2.rectangle(image, *box, shade.clip(0, 255).tolist(), cv2.FILLED)
    return image


def shapes(rng: np.random.Generator, size: Size) -> NDArray[np.uint8]:
    """Things one can't name: blocks, discs and bands of colour, some of them out of focus."""
    height, width = size
    image = gradient(rng, size)
    for _ in range(int(rng.integers(4, 30))):
        centre = rng.uniform(0, 1, 2) * (width, height)
        extent = np.exp(rng.uniform(np.log(15), np.log(0.6 * max(size)), 2))
        ink = colour(rng).tolist()
        kind = rng.integers(3)
        if kind == 0:
            box = cv2.boxPoints((centre.tolist(), extent.tolist(), float(rng.normal(0, 25))))
            cv2.fillConvexPoly(image, box.astype(np.int32), ink, cv2.LINE_AA)
        elif kind == 1:
            axes = (extent / 2).astype(int).tolist()
            middle = centre.astype(int).tolist()
            cv2.ellipse(image, middle, axes, rng.uniform(0, 180), 0, 360, ink, cv2.FILLED)
        else:
            ends = rng.uniform(-0.2, 1.2, (2, 2)) * (width, height)
            thick = int(rng.integers(2, 40))
            start, end = ends.astype(int).tolist()
            cv2.line(image, start, end, ink, thick, cv2.LINE_AA)
        if rng.random() < 0.1:
            image = np.asarray(cv2.blur(image, (9, 9)), np.uint8)
    return image


_SURFACES: Final[tuple[Callable[[np.random.Generator, Size], NDArray[np.uint8]], ...]] = (
    plain,
    gradient,
    paper,
    wall,
    boards,
    tiles,
    shapes,
)
