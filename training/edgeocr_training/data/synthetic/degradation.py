"""What cameras, scanners and messengers do to a picture: light, blur, noise, compression.

Every function takes and gives (H, W, 3) uint8 BGR of the same size, and moves nothing: outlines
of text stay where they are.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.synthetic.backgrounds import clouds

Picture = NDArray[np.uint8]

_NOISE_TILE: Final = 512


def shadow(rng: np.random.Generator, picture: Picture) -> Picture:
    """Uneven light: a falling-off to one side, or the shadow of a thing, with a soft edge."""
    height, width = picture.shape[:2]
    small = (max(height // 8, 2), max(width // 8, 2))
    if rng.random() < 0.5:
        knots = rng.uniform(0.5, 1.1, (2, 2)).astype(np.float32)
        light = cv2.resize(knots, (small[1], small[0]))
    else:
        light = np.ones(small, np.float32)
        corners = rng.uniform(-0.4, 1.4, (int(rng.integers(3, 6)), 2)) * (small[1], small[0])
        outline = cv2.convexHull(corners.astype(np.int32))
        cv2.fillConvexPoly(light, outline, float(rng.uniform(0.45, 0.9)))
        light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.5, 0.5 + max(small) / 10))
    full = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
    levels = cv2.convertScaleAbs(full, alpha=200.0)
    shaded = cv2.multiply(picture, cv2.merge([levels] * 3), scale=1 / 200)
    return np.asarray(shaded, np.uint8)


def tone(rng: np.random.Generator, picture: Picture) -> Picture:
    """Exposure, contrast, gamma and white balance."""
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    gamma = np.exp(rng.normal(0, 0.25))
    gain = 1 + rng.normal(0, 0.06, 3) * (rng.random() < 0.5)
    contrast = rng.uniform(0.55, 1.1)
    floor = rng.uniform(0, 1 - min(contrast, 1.0))
    table = (levels**gamma * contrast + floor) * gain * 255
    return np.asarray(cv2.LUT(picture, np.clip(table, 0, 255).astype(np.uint8)[:, None]), np.uint8)


def defocus(rng: np.random.Generator, picture: Picture, *, radius: float) -> Picture:
    """A Gaussian blur of up to ``radius`` pixels of standard deviation."""
    sigma = rng.uniform(0.3, max(radius, 0.31))
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def motion(rng: np.random.Generator, picture: Picture, *, length: float) -> Picture:
    """A straight smear of up to ``length`` pixels."""
    reach = rng.uniform(1.5, max(length, 1.6))
    side = 2 * int(np.ceil(reach / 2)) + 1
    angle = rng.uniform(0, np.pi)
    step = np.array([np.cos(angle), np.sin(angle)]) * reach / 2
    middle = np.array([side // 2, side // 2])
    # Fixed point with 4 bits, so that short smears keep their direction.
    start, end = (np.rint((middle + sign * step) * 16).astype(int).tolist() for sign in (-1, 1))
    kernel = np.zeros((side, side), np.uint8)
    cv2.line(kernel, start, end, 255, 1, cv2.LINE_AA, shift=4)
    weights = kernel.astype(np.float32)
    return np.asarray(cv2.filter2D(picture, -1, weights / weights.sum()), np.uint8)


def noise(rng: np.random.Generator, picture: Picture, *, deviation: float) -> Picture:
    """Sensor noise of up to ``deviation`` grey levels, white or, as after demosaicing, soft."""
    height, width = picture.shape[:2]
    tile = _noise_tile(soft=bool(rng.random() < 0.5), coloured=bool(rng.random() < 0.6))
    rows, columns = rng.integers(0, _NOISE_TILE, 2)
    tile = np.roll(tile, (int(rows), int(columns)), (0, 1))
    repeats = (-(-height // _NOISE_TILE), -(-width // _NOISE_TILE), 1)
    grain = np.ascontiguousarray(np.tile(tile, repeats)[:height, :width])
    strength = rng.uniform(0.5, max(deviation, 0.6)) / 32
    return np.asarray(cv2.addWeighted(picture, 1.0, grain, strength, -128 * strength), np.uint8)


@cache
def _noise_tile(*, soft: bool, coloured: bool) -> NDArray[np.uint8]:
    """(512, 512, 3): 128 plus noise of deviation 32. Always the same: drawing is the slow part."""
    side = _NOISE_TILE
    grain = np.random.default_rng(0).standard_normal((side, side, 3 if coloured else 1), np.float32)
    grain = np.repeat(grain, 1 if coloured else 3, axis=2)
    if soft:
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.8))
        grain /= grain.std()
    return np.clip(128 + 32 * grain, 0, 255).astype(np.uint8)


def low_resolution(rng: np.random.Generator, picture: Picture, *, factor: float) -> Picture:
    """Made smaller by up to ``factor`` and enlarged again."""
    height, width = picture.shape[:2]
    scale = 1 / rng.uniform(1.0, max(factor, 1.01))
    small_size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(picture, small_size, interpolation=cv2.INTER_AREA)
    way = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)[rng.integers(2)]
    return np.asarray(cv2.resize(small, (width, height), interpolation=way), np.uint8)


def jpeg(rng: np.random.Generator, picture: Picture, *, lowest_quality: int) -> Picture:
    """Compressed and decoded again, at a quality of ``lowest_quality`` to 95."""
    quality = int(rng.integers(min(lowest_quality, 95), 96))
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def photocopied(rng: np.random.Generator, picture: Picture) -> Picture:
    """Grey with hard contrast, specks and a dark edge, as old copies and faxes are."""
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    ground = float(np.median(grey[::8, ::8]))
    # Between the ground and its ink, nearer to the ground.
    pivot = 0.75 * ground if ground > 127 else 1.25 * ground + 20
    levels = 127 + rng.uniform(1.2, 4.0) * (np.arange(256) - pivot)
    hard = np.asarray(cv2.LUT(grey, np.clip(levels, 0, 255).astype(np.uint8)), np.uint8)
    height, width = hard.shape
    specks = int(rng.integers(0, 300))
    rows, columns = rng.integers(height, size=specks), rng.integers(width, size=specks)
    hard[rows, columns] = rng.integers(256, size=specks)
    if rng.random() < 0.3:
        strip = hard[:, : int(rng.uniform(0.005, 0.05) * width) + 1]
        strip[:] = strip * np.linspace(rng.uniform(0, 0.5), 1, strip.shape[1])
    return np.asarray(cv2.merge([hard] * 3), np.uint8)


def stains(rng: np.random.Generator, picture: Picture) -> Picture:
    """Fading, dirt and folds of paper, as scans of old sheets show them."""
    height, width = picture.shape[:2]
    relief = clouds(rng, (height, width), finest=int(rng.integers(8, 60))) * rng.uniform(2, 8)
    for _ in range(int(rng.integers(0, 3))):
        at = int(rng.integers(width))
        relief[:, at : at + 2] -= rng.uniform(5, 25)
    levels = cv2.convertScaleAbs(relief + 128)
    return np.asarray(cv2.addWeighted(picture, 1.0, cv2.merge([levels] * 3), 1.0, -128.0), np.uint8)
