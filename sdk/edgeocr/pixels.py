"""From pixels to network inputs: tables, resizing and padding, line crops.

Normalising a pixel and quantizing it depend on nothing but its 8-bit value and its channel,
so both together are one table of 256 entries per channel, and an int8 model's input never
exists as floats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.errors import ImageError
from edgeocr.geometry import Points, polygon_area, quad_size

TALL_LINE: Final = 1.5
"""Height over width from which a crop is turned by 90 degrees, as in PP-OCR."""
SINGLE_CHARACTER: Final = 2.5
"""Height over width below which a tall box may be one upright "1" or "I" with its margins."""
MAX_CROP_SIDE: Final = 32_000
"""Longest side of a crop in pixels; OpenCV's warps count in 16 bits."""
MAX_CROP_PIXELS: Final = 4_000_000
"""Pixels of a crop; larger ones are shrunk: recognisers see lines some 50 pixels high."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InputTable:
    """What every 8-bit value becomes at the input of one network."""

    values: NDArray[np.int8] | NDArray[np.float32]
    """(256, 3) int8 or float32; column c is for channel c of a BGR pixel."""
    channel_order: Literal["BGR", "RGB"]
    """Order of the channels that the network wants."""
    zero: int | float
    """What a real 0 is at the input: the zero point, or 0.0."""


def input_table(
    *,
    mean: Sequence[float],
    std: Sequence[float],
    channel_order: Literal["BGR", "RGB"],
    scale: float | None,
    zero_point: int = 0,
) -> InputTable:
    """Fold normalisation and input quantization into one table.

    A value x becomes ``r = (x / 255 - mean) / std``, and with a scale
    ``clip(round(r / scale) + zero_point, -128, 127)``. It is computed in float64; ties are
    rounded to even, as NumPy and PyTorch do.

    Args:
        mean: three values in ``channel_order``.
        std: three values in ``channel_order``.
        channel_order: of the network's input.
        scale: of the input's quantization; None for a float32 input.
        zero_point: of the input's quantization.
    """
    if channel_order == "RGB":
        mean, std = tuple(reversed(mean)), tuple(reversed(std))
    real = (np.arange(256)[:, None] / 255 - np.array(mean)) / np.array(std)
    if scale is None:
        return InputTable(values=real.astype(np.float32), channel_order=channel_order, zero=0.0)
    quantized = np.clip(np.round(real / scale) + zero_point, -128, 127).astype(np.int8)
    return InputTable(values=quantized, channel_order=channel_order, zero=zero_point)


def fit(
    image_BGR: NDArray[np.uint8],
    *,
    height: int,
    width: int,
    table: InputTable,
    pad: int | None = None,
    scale: float | None = None,
) -> tuple[NDArray[np.int8] | NDArray[np.float32], tuple[float, float]]:
    """Resize into the top-left of a network input, keep the aspect, fill the rest.

    Bilinear like PP-OCR's resizing, on 8-bit pixels, before they are normalised.

    Args:
        image_BGR: (H, W, 3) uint8.
        height: of the input in pixels.
        width: of the input in pixels.
        table: of the network.
        pad: 8-bit value of the pixels to the right and below; None fills with the
            network's zero, as PP-OCR's recogniser has it.
        scale: network pixels per image pixel; None for the largest at which the image fits.
            A larger one than that is reduced to it.

    Returns:
        (1, height, width, 3) int8 or float32, and network pixels per image pixel along x
        and along y: sides are whole pixels, so the two differ a little.
    """
    image_height, image_width = image_BGR.shape[:2]
    largest = min(height / image_height, width / image_width)
    scale = largest if scale is None else min(scale, largest)
    # Up to the next whole pixel as in PP-OCR; the hair stands for the division's rounding.
    new_height = min(height, max(1, math.ceil(image_height * scale - 1e-6)))
    new_width = min(width, max(1, math.ceil(image_width * scale - 1e-6)))
    batch = _placed(image_BGR, new_height, new_width, height, width, table, pad)
    return batch, (new_width / image_width, new_height / image_height)


def stretch(
    image_BGR: NDArray[np.uint8], *, height: int, width: int, table: InputTable
) -> tuple[NDArray[np.int8] | NDArray[np.float32], tuple[float, float]]:
    """Resize to exactly the size of a network input, as PP-OCR's detector does.

    Args:
        image_BGR: (H, W, 3) uint8.
        height: of the input in pixels.
        width: of the input in pixels.
        table: of the network.

    Returns:
        (1, height, width, 3) int8 or float32, and network pixels per image pixel along x
        and along y.
    """
    image_height, image_width = image_BGR.shape[:2]
    batch = _placed(image_BGR, height, width, height, width, table, None)
    return batch, (width / image_width, height / image_height)


def _placed(
    image_BGR: NDArray[np.uint8],
    new_height: int,
    new_width: int,
    height: int,
    width: int,
    table: InputTable,
    pad: int | None,
) -> NDArray[np.int8] | NDArray[np.float32]:
    """The image, resized, in the top-left of a network input of the given size."""
    resized: NDArray[Any] = image_BGR
    if (new_height, new_width) != image_BGR.shape[:2]:
        resized = cv2.resize(image_BGR, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    values: NDArray[Any] = table.values
    if table.channel_order == "RGB":
        resized, values = cv2.cvtColor(resized, cv2.COLOR_BGR2RGB), values[:, ::-1]
    batch = np.empty((1, height, width, 3), dtype=values.dtype)
    filler = np.full(3, table.zero) if pad is None else values[pad]
    batch[0, new_height:] = filler
    batch[0, :new_height, new_width:] = filler
    # Straight into the batch: a copy of a page costs as much as the look-up.
    target = batch[0, :new_height, :new_width]
    cv2.LUT(resized, np.ascontiguousarray(values)[None], dst=target)
    return batch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineCrop:
    """A line cut out of an image and straightened."""

    pixels: NDArray[np.uint8]
    """(h, w, 3) uint8 BGR."""
    to_image: NDArray[np.float64]
    """(3, 3) projective map from points of ``pixels`` to points of the image."""
    turned: bool
    """Whether the crop is turned by 90 degrees counter-clockwise, as tall lines are."""


def may_be_single_character(quad_42: Points) -> bool:
    """Whether a tall quad could also be one upright narrow character.

    A "1" and a short vertical line have the same shape. Recognise such a quad both ways,
    ``crop_line(..., turned=True)`` and ``turned=False``, and keep the upright reading where
    it is a single character with the better score.
    """
    width, height = _crop_size(quad_42)
    return TALL_LINE * width <= height < SINGLE_CHARACTER * width


def crop_line(
    image_BGR: NDArray[np.uint8], quad_42: Points, *, turned: bool | None = None
) -> LineCrop:
    """Cut a line out of an image by perspective, like PP-OCR.

    The crop is as large as the longer of each pair of opposite edges, up to
    ``MAX_CROP_SIDE`` and ``MAX_CROP_PIXELS``; cubic, repeating the image's border outside.

    Args:
        image_BGR: (H, W, 3) uint8.
        quad_42: corners clockwise from the top-left in image pixels.
        turned: turn the crop by 90 degrees counter-clockwise; None for PP-OCR's rule, which
            turns those at least 1.5 times as high as wide.

    Raises:
        ImageError: the quad is not finite or encloses less than a square pixel.
    """
    quad = np.asarray(quad_42, dtype=np.float32)
    if not np.isfinite(quad).all() or polygon_area(quad) < 1:
        raise ImageError(f"no line can be cut from the quad {quad.tolist()}: it has no area")
    width, height = _crop_size(quad)
    if turned is None:
        turned = height >= TALL_LINE * width
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    if turned:
        # Where np.rot90 would put them: row 0 of the turned crop is column width - 1.
        corners = np.column_stack([corners[:, 1], width - 1 - corners[:, 0]])
        width, height = height, width
    to_image = np.asarray(cv2.getPerspectiveTransform(corners, quad), dtype=np.float64)
    pixels = cv2.warpPerspective(
        image_BGR,
        to_image,
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return LineCrop(pixels=np.asarray(pixels, dtype=np.uint8), to_image=to_image, turned=turned)


def _crop_size(quad_42: Points) -> tuple[int, int]:
    """Width and height of the crop before it is turned, in whole pixels."""
    width, height = (max(side, 1.0) for side in quad_size(quad_42))
    shrink = min(
        1.0, MAX_CROP_SIDE / max(width, height), math.sqrt(MAX_CROP_PIXELS / (width * height))
    )
    return max(1, int(width * shrink)), max(1, int(height * shrink))
