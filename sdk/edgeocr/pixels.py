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
RESIZING: Final = cv2.INTER_LINEAR_EXACT
"""Bilinear in whole numbers. ``cv2.INTER_LINEAR`` is not the same on every processor: where an
image is made smaller, a quarter of the bytes differ by 1 between x86-64 and aarch64."""
_STEP_BITS: Final = 5
_STEPS: Final = 1 << _STEP_BITS
"""Places between two neighbouring pixels that OpenCV's fixed-point maps tell apart."""
_BEYOND: Final = 4
"""Pixels outside of an image from which on a cubic sees nothing but its border."""
_TAPS: Final = 2
"""Pixels on each side of a place that a cubic weights."""
_BAND_PIXELS: Final = 1 << 15
"""Pixels that are warped at once, so that their places stay in a processor's cache."""


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
        resized = cv2.resize(image_BGR, (new_width, new_height), interpolation=RESIZING)
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
    ``MAX_CROP_SIDE`` and ``MAX_CROP_PIXELS``; cubic at places rounded to 1/32 pixel, repeating
    the image's border outside. The pixels do not depend on the processor.

    Args:
        image_BGR: (H, W, 3) uint8.
        quad_42: corners clockwise from the top-left in image pixels.
        turned: turn the crop by 90 degrees counter-clockwise; None for PP-OCR's rule, which
            turns those at least 1.5 times as high as wide.

    Raises:
        ImageError: the quad is not finite, encloses less than a square pixel, or has three
            corners on one line.
    """
    quad = np.asarray(quad_42, dtype=np.float32)
    if not np.isfinite(quad).all() or polygon_area(quad) < 1:
        raise ImageError(f"no line can be cut from the quad {quad.tolist()}: it has no area")
    width, height = _crop_size(quad)
    if turned is None:
        turned = height >= TALL_LINE * width
    to_image = _rectangle_to_quad(quad, width, height)
    if turned:
        # Where np.rot90 would put them: row 0 of the turned crop is column width - 1.
        along_x, along_y, origin = to_image.T
        to_image = np.stack([along_y, -along_x, along_x * (width - 1) + origin], axis=1)
        width, height = height, width
    pixels = _copied(image_BGR, to_image, width, height)
    if pixels is None:
        pixels = _warp(image_BGR, to_image, width, height)
    return LineCrop(pixels=pixels, to_image=to_image, turned=turned)


def _rectangle_to_quad(quad_42: Points, width: int, height: int) -> NDArray[np.float64]:
    """The projective map that sends the corners of a rectangle at (0, 0) to those of a quad.

    Solved by hand after Heckbert, Fundamentals of Texture Mapping and Image Warping (1989),
    section 2.2.3: a solver of linear systems rounds differently on every processor, and places
    half-way between two steps of ``_warp`` would fall to either side.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad_42.tolist()
    right_x, right_y, below_x, below_y = x1 - x2, y1 - y2, x3 - x2, y3 - y2
    skew_x, skew_y = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    determinant = right_x * below_y - below_x * right_y
    if determinant == 0:
        raise ImageError(
            f"no line can be cut from the quad {quad_42.tolist()}: three corners are on one line"
        )
    g = (skew_x * below_y - below_x * skew_y) / determinant
    h = (right_x * skew_y - skew_x * right_y) / determinant
    of_unit_square: NDArray[np.float64] = np.array(
        [
            [x1 - x0 + g * x1, x3 - x0 + h * x3, x0],
            [y1 - y0 + g * y1, y3 - y0 + h * y3, y0],
            [g, h, 1.0],
        ]
    )
    return np.divide(of_unit_square, [width, height, 1.0])


def _copied(
    image_BGR: NDArray[np.uint8], to_image_33: NDArray[np.float64], width: int, height: int
) -> NDArray[np.uint8] | None:
    """What ``_warp`` does where every place is a pixel of the image, as with upright boxes.

    Returns:
        (height, width, 3) uint8; None where there are other places.
    """
    if not np.array_equal(to_image_33, np.rint(to_image_33)) or to_image_33[2, :2].any():
        return None
    steps: NDArray[np.int64] = to_image_33[:2].astype(np.int64)
    last = steps[:, :2] * (width - 1, height - 1)
    first = steps[:, 2] + np.minimum(last, 0).sum(axis=1)
    farthest = steps[:, 2] + np.maximum(last, 0).sum(axis=1)
    image_height, image_width = image_BGR.shape[:2]
    if (first < 0).any() or (farthest >= (image_width, image_height)).any():
        return None
    column, row = steps[:, 2].tolist()
    row_bytes, column_bytes, channel_bytes = image_BGR.strides
    right, down = ((steps[0] * column_bytes + steps[1] * row_bytes)[:2]).tolist()
    return np.lib.stride_tricks.as_strided(
        image_BGR[row:, column:], (height, width, 3), (down, right, channel_bytes), writeable=False
    ).copy()


def _warp(
    image_BGR: NDArray[np.uint8], to_image_33: NDArray[np.float64], width: int, height: int
) -> NDArray[np.uint8]:
    """Resample an image by a projective map: cubic, at steps of 1/32 pixel.

    ``cv2.warpPerspective`` on bytes rounds places and products differently from one processor,
    and from one version, to the next. Hence the places are computed here, in doubles, whose
    additions, products and quotients are the same everywhere; and the pixels are resampled as
    16-bit ones, which OpenCV does in 32-bit floats on every processor, where bytes are done in
    16-bit floats on those that have them.

    Returns:
        (height, width, 3) uint8.
    """
    (a, b, c), (d, e, f), (g, h, i) = to_image_33.tolist()
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    x = np.arange(width, dtype=np.float64)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        y = np.arange(top, min(top + rows, height), dtype=np.float64)[:, None]
        # Where a quad is not convex some places lie at infinity, and at its border.
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = _STEPS / ((h * y + i) + g * x)
            column = _whole_steps(((b * y + c) + a * x) * steps, image_BGR.shape[1])
            row = _whole_steps(((e * y + f) + d * x) * steps, image_BGR.shape[0])
        pixels[top : top + rows] = _resampled(image_BGR, column, row)
    return pixels


def _resampled(
    image_BGR: NDArray[np.uint8], column: NDArray[np.int32], row: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """The image's pixels at places in steps, cubic; (H, W, 3) uint8 for maps of (H, W)."""
    places = np.empty((*column.shape, 2), dtype=np.int16)
    window = []
    for axis, steps in ((1, column), (0, row)):
        whole = steps >> _STEP_BITS
        first = max(0, int(whole.min()) - _TAPS)
        first = min(first, image_BGR.shape[axis] - 1)
        window.append(slice(first, max(first, int(whole.max()) + _TAPS) + 1))
        np.subtract(whole, first, out=places[..., 1 - axis], casting="same_kind")
    part = ((row & (_STEPS - 1)) << _STEP_BITS) + (column & (_STEPS - 1))
    wide = cv2.remap(
        image_BGR[window[1], window[0]].astype(np.uint16),
        places,
        part.astype(np.uint16),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.minimum(wide, 255).astype(np.uint8)


def _whole_steps(place: NDArray[np.float64], side: int) -> NDArray[np.int32]:
    """A coordinate in steps, rounded half to even, no farther outside than anything changes."""
    # fmin and fmax rather than clip, which keeps a place that is not a number.
    within = np.fmin(np.fmax(place, -_BEYOND * _STEPS), (side - 1 + _BEYOND) * _STEPS)
    rounded: NDArray[np.int32] = np.rint(within).astype(np.int32)
    return rounded


def _crop_size(quad_42: Points) -> tuple[int, int]:
    """Width and height of the crop before it is turned, in whole pixels."""
    width, height = (max(side, 1.0) for side in quad_size(quad_42))
    shrink = min(
        1.0, MAX_CROP_SIDE / max(width, height), math.sqrt(MAX_CROP_PIXELS / (width * height))
    )
    return max(1, int(width * shrink)), max(1, int(height * shrink))
