"""Scales with which every processor computes the same integers.

XNNPACK's kernels differ between processors where a result lies half-way between two integers, or
so close to it that float32 can't tell:

* a product is scaled by a float32 and rounded half to even on x86-64, scaled by an integer of 31
  bits and rounded half up on Arm;
* the sum of a mean is scaled and moved to the zero point by a multiplication and an addition,
  which compilers for Arm make one fused operation of, with one rounding instead of two.

Convolutions and additions have one arithmetic on all of them. Which products and sums there can
be is known, so a result's scale is raised by the least that makes all of them agree: most often
not at all, else by a few units in the last place of a float32, some millionths of a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgeocr_training.compression.quantization.affine import (
    HIGHEST,
    LOWEST,
    AffineQuantization,
)

_TRIES: Final = 1000
"""Scales that are looked at; the last one is larger by a ten-thousandth."""
_LARGEST_MAP: Final = 4096
"""Pixels of a mean. Sums of more lie so close to each other that no scale spares all of them."""

_EVERY: Final = np.arange(LOWEST, HIGHEST + 1, dtype=np.int64)


def portable_product(
    first: AffineQuantization, second: AffineQuantization, result: AffineQuantization
) -> AffineQuantization:
    """That of a product of two tensors, where every product of two of their integers is rounded
    alike; ``result`` itself where it is so already, or where no scale so close does it.
    """
    products = np.unique(
        np.multiply.outer(_EVERY - first.zero_point, _EVERY - second.zero_point)
    ).astype(np.int64)
    factor = np.float32(first.scale) * np.float32(second.scale)
    limits = LOWEST - result.zero_point, HIGHEST - result.zero_point

    def agree(scale: np.float32) -> bool:
        ratio = np.float32(factor / scale)
        even, up = _half_to_even(products, ratio), _half_up(products, ratio)
        return bool(np.array_equal(np.clip(even, *limits), np.clip(up, *limits)))

    return _first(result, agree)


def portable_mean(
    count: int, source: AffineQuantization, result: AffineQuantization
) -> AffineQuantization:
    """That of a mean over ``count`` pixels, where every sum of so many integers is rounded alike;
    ``result`` itself where it is so already, where no scale so close does it, or where the sums
    are too many.
    """
    if count > _LARGEST_MAP:
        return result
    sums = np.arange(LOWEST * count, HIGHEST * count + 1, dtype=np.int64)

    def agree(scale: np.float32) -> bool:
        raised = replace(result, scale=float(scale))
        twice = scaled_mean(sums, count, source, raised)
        once = _fused_mean(sums, count, source, raised)
        return bool(np.array_equal(twice, once))

    return _first(result, agree)


def scaled_mean(
    sums: NDArray[Any], count: int, source: AffineQuantization, result: AffineQuantization
) -> NDArray[np.int8]:
    """The mean of ``count`` integers as x86-64 computes it from their sums, zero points and all."""
    scale = _mean_scale(count, source, result)
    offset = np.float32(result.zero_point) - np.float32(count * source.zero_point) * scale
    return _rounded(sums.astype(np.float32) * scale + offset)


def _fused_mean(
    sums: NDArray[Any], count: int, source: AffineQuantization, result: AffineQuantization
) -> NDArray[np.int8]:
    """The same on Arm. A double holds each product exactly, and rounds its sum so finely that
    float32, in which it ends, is rounded once.
    """
    scale = np.float64(_mean_scale(count, source, result))
    offset = np.float32(result.zero_point - count * source.zero_point * scale)
    return _rounded((sums * scale + offset).astype(np.float32))


def _mean_scale(count: int, source: AffineQuantization, result: AffineQuantization) -> np.float32:
    share = np.float32(1) / np.float32(count)
    return np.float32(np.float32(source.scale) / np.float32(result.scale) * share)


def _rounded(values: NDArray[np.float32]) -> NDArray[np.int8]:
    return np.rint(np.clip(values, LOWEST, HIGHEST)).astype(np.int8)


def _half_to_even(products: NDArray[np.int64], ratio: np.float32) -> NDArray[np.int64]:
    rounded: NDArray[np.float32] = np.rint(products.astype(np.float32) * ratio)
    return rounded.astype(np.int64)


def _half_up(products: NDArray[np.int64], ratio: np.float32) -> NDArray[np.int64]:
    """Doubled high half of the product of 32 bits, then a rounding shift (SQDMULH, SRSHL)."""
    fraction, exponent = np.frexp(ratio)
    multiplier = int(np.ldexp(np.float64(fraction), 31))
    shift = max(-int(exponent), 1)
    high: NDArray[np.int64] = ((products << (shift + int(exponent))) * multiplier) >> 31
    return (high + (1 << (shift - 1))) >> shift


def _first(result: AffineQuantization, agree: Callable[[np.float32], bool]) -> AffineQuantization:
    scale = np.float32(result.scale)
    for _ in range(_TRIES):
        if agree(scale):
            return replace(result, scale=float(scale))
        scale = np.nextafter(scale, np.float32(np.inf))
    return result
