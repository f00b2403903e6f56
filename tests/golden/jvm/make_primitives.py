"""Records what OpenCV, Clipper and the SDK make of random input, for the JVM's own versions.

    python tests/golden/jvm/make_primitives.py

Images are not stored: both sides draw them from the same generator.
"""

from __future__ import annotations

import hashlib
import json
import sys
import unicodedata
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.geometry import min_area_quad, unclip_polygon
from edgeocr.pixels import RESIZING, crop_line
from edgeocr.reading_order import reading_order
from edgeocr.rectangles import min_area_rectangle

TARGET: Final = Path(__file__).with_name("primitives.json")


def noise(seed: int, size: int) -> NDArray[np.uint8]:
    """Bytes 16 to 23 of D. Knuth's generator (MMIX), which any language has in one line."""
    values = np.empty(size, np.uint8)
    state = seed
    for i in range(size):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        values[i] = state >> 56
    return values


def digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def resizes() -> list[dict[str, Any]]:
    """From (height, width) to (height, width)."""
    sizes = (
        (20, 30, 48, 77), (50, 60, 100, 120), (64, 64, 32, 32), (37, 91, 48, 118), (37, 91, 48, 50),
        (33, 44, 74, 99), (96, 32, 48, 16), (1, 7, 48, 20), (5, 1, 48, 20), (1, 1, 3, 3),
        (48, 60, 48, 60), (48, 61, 48, 60), (47, 60, 48, 60), (7, 200, 48, 13), (90, 8, 11, 96),
    )  # fmt: skip
    cases = []
    for seed, (height, width, new_height, new_width) in enumerate(sizes):
        image = noise(seed, height * width * 3).reshape(height, width, 3)
        grey = noise(seed, height * width).reshape(height, width)
        real = cv2.resize(grey.astype(np.float32) / np.float32(7), (new_width, new_height))
        cases.append(
            {
                "seed": seed,
                "from": [height, width],
                "to": [new_height, new_width],
                "colour": digest(
                    cv2.resize(image, (new_width, new_height), interpolation=RESIZING)
                ),
                "grey": digest(cv2.resize(grey, (new_width, new_height), interpolation=RESIZING)),
                "real_mean": float(real.mean()),
                "real_corner": [float(value) for value in real[:2, :2].ravel()],
            }
        )
    return cases


def random_mask(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Slanted bars and blots, with holes and single pixels."""
    mask = np.zeros((height, width), np.uint8)
    for _ in range(6):
        centre, size = random.uniform((0, 0), (width, height)), random.uniform((2, 2), (60, 14))
        corners = cv2.boxPoints((tuple(centre), tuple(size), float(random.uniform(-90, 90))))
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
    mask[random.random(mask.shape) < 0.02] ^= 1
    return mask


def contours() -> list[dict[str, Any]]:
    random = np.random.default_rng(11)
    cases = []
    for height, width in ((24, 40), (40, 64), (1, 9), (9, 1), (64, 48)):
        mask = random_mask(random, height, width)
        found, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        rows = ["".join(map(str, row)) for row in mask]
        cases.append({"mask": rows, "contours": [contour.ravel().tolist() for contour in found]})
    return cases


def rectangles() -> list[dict[str, Any]]:
    """Of point sets: corners of the rectangle as they come, and the ordered quad."""
    random = np.random.default_rng(12)
    sets: list[NDArray[Any]] = [
        random.integers(0, 300, (int(random.integers(3, 40)), 2)) for _ in range(60)
    ]
    for _ in range(60):
        found, _ = cv2.findContours(
            random_mask(random, 60, 90), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
        )
        sets.append(max(found, key=len).reshape(-1, 2))
    sets += [
        np.array([[3, 4], [9, 4], [9, 20], [3, 20]]),
        np.array([[5, 0], [10, 5], [5, 10], [0, 5]]),
    ]
    cases = []
    for points in sets:
        points = points.astype(np.int32)
        rectangle = min_area_rectangle(points)
        cases.append(
            {
                "points": points.ravel().tolist(),
                "corners": rectangle.corners.ravel().tolist(),
                "quad": min_area_quad(points)[0].ravel().tolist(),
                "short_side": rectangle.shorter_side,
            }
        )
    return cases


def fills() -> list[dict[str, Any]]:
    """Polygons of (height, width) masks: convex and crooked ones; some reach outside."""
    random = np.random.default_rng(13)
    cases = []
    for i in range(150):
        height, width = (int(side) for side in random.integers(1, 60, 2))
        reach = 0 if i % 6 else 6  # Convex ones only: kernels at the border of a map.
        corners = random.integers(-reach, (width + reach, height + reach), (3 + i % 6, 2))
        if i % 2 == 0:
            hull = cv2.convexHull(corners.astype(np.int32)).reshape(-1, 2).astype(np.int64)
            corners = hull if len(hull) >= 3 else corners
        mask = np.zeros((height, width), np.uint8)
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
        cases.append(
            {
                "size": [height, width],
                "points": corners.ravel().tolist(),
                "area": int(mask.sum()),
                "sha256": digest(mask),
            }
        )
    return cases


def unclips() -> list[dict[str, Any]]:
    """Of rectangles: the rectangle around the grown outline."""
    random = np.random.default_rng(14)
    cases = []
    for i in range(360):
        centre, size = random.uniform(-20, 300, 2), random.uniform((3, 3), (200, 30))
        degrees = float(random.choice([-90, -45, random.uniform(-90, 0)]))
        if i % 3:  # On whole pixels, as kernels of upright lines are.
            centre, size = np.round(centre), np.round(size)
        corners = np.asarray(cv2.boxPoints((tuple(centre), tuple(size), degrees)), np.float32)
        ratio = (0.1, 0.5, 1.6, 3.0)[i % 4]
        grown = unclip_polygon(corners, ratio)
        quad = (
            np.concatenate([min_area_quad(points)[0] for points in grown]) if grown else np.empty(0)
        )
        cases.append(
            {
                "corners": [float(value) for value in corners.ravel()],
                "ratio": ratio,
                "quad": [float(value) for value in quad.ravel()],
            }
        )
    return cases


def crops() -> list[dict[str, Any]]:
    """Out of one image of 90 x 120: whole pixels, resampled ones, and any four corners."""
    image = noise(99, 90 * 120 * 3).reshape(90, 120, 3)
    random = np.random.default_rng(17)
    quads = [
        (10, 12, 60, 12, 60, 30, 10, 30), (10, 12, 22, 12, 22, 60, 10, 60),
        (8, 20, 70, 28, 68, 46, 6, 38), (20, 8, 34, 11, 26, 70, 12, 66),
        (-12, -6, 40, 2, 38, 20, -14, 14), (90, 70, 130, 84, 124, 98, 84, 86),
        (60, 30, 10, 30, 10, 12, 60, 12), (0, 0, 119, 0, 119, 89, 0, 89),
        (10, 10, 110, 10, 40, 30, 10, 80),
    ]  # fmt: skip
    quads += [tuple(corners) for corners in random.integers(-30, 150, (24, 8)).tolist()]
    cases = []
    for corners in quads:
        quad = np.array(corners, np.float32).reshape(4, 2)
        crop = crop_line(image, quad).pixels
        cases.append(
            {
                "quad": list(corners),
                "size": list(crop.shape[:2]),
                "sha256": digest(crop),
            }
        )
    return cases


def orders() -> list[dict[str, Any]]:
    """Pages of random boxes: lines with gaps, columns with a heading, skewed, and chaos."""
    random = np.random.default_rng(15)
    cases = []
    for i in range(40):
        boxes = []
        for row in range(int(random.integers(2, 9))):
            y = 40 * row + float(random.uniform(-3, 3))
            x = float(random.uniform(0, 40))
            for _ in range(int(random.integers(1, 4))):
                length = float(random.uniform(20, 260))
                boxes.append([x, y, x + length, y + float(random.uniform(18, 30))])
                x += length + float(random.choice([8, 60, 120]))
            if i % 2 and row > 1:
                boxes.append([620, y, 620 + float(random.uniform(250, 300)), y + 24])
        if i % 5 == 0:
            corners = random.uniform(0, 300, (12, 2))
            boxes = [[*corner, *(corner + random.uniform(10, 80, 2))] for corner in corners]
        quads = np.array([[[x, y], [u, y], [u, v], [x, v]] for x, y, u, v in boxes])
        angle = float(random.choice([0, 0.08, -0.2, np.pi / 2]))
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        quads = np.round(quads @ turn, 2).astype(np.float32)[random.permutation(len(quads))]
        cases.append(
            {
                "quads": [[round(float(v), 2) for v in quad.ravel()] for quad in quads],
                "order": reading_order(quads),
            }
        )
    return cases


def wide_characters() -> list[list[int]]:
    """Ranges of characters that are wide or full-width; what lies between and isn't is narrow."""
    ranges: list[list[int]] = []
    for code in range(0x110000):
        if unicodedata.category(chr(code)) != "Cn":
            wide = unicodedata.east_asian_width(chr(code)) in ("W", "F")
            if not ranges or ranges[-1][2] != wide:
                ranges.append([code, code, wide])
            ranges[-1][1] = code
    return ranges


def main() -> int:
    """Writes ``primitives.json``."""
    cv2.setNumThreads(1)
    document = {
        "opencv": cv2.__version__,
        "resizes": resizes(),
        "contours": contours(),
        "rectangles": rectangles(),
        "fills": fills(),
        "unclips": unclips(),
        "crops": crops(),
        "orders": orders(),
        "widths": wide_characters(),
    }
    TARGET.write_text(json.dumps(document, separators=(",", ":")) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
