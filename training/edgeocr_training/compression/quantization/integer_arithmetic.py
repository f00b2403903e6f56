"""XNNPACK's integer kernels, to the bit, in NumPy.

What is multiplied and added is an integer of 32 bits; what scales it down again is a float32,
rounded half to even ("fp32 requantization"). Additions alone are scaled by integers, and rounded
half up. Maps are (B, C, H, W) int8.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from edgeocr_training.compression.quantization.affine import (
    CONSTANT_3,
    HIGHEST,
    LOWEST,
    AffineQuantization,
)
from edgeocr_training.compression.quantization.device_graph import Convolution, Recurrence
from edgeocr_training.compression.quantization.portable_scales import scaled_mean

Int8: TypeAlias = NDArray[np.int8]

_MULTIPLIER_BITS = 20
"""Of the larger multiplier of an addition."""


def quantize(values: NDArray[np.floating[Any]], quantization: AffineQuantization) -> Int8:
    """Reals to integers, as an image enters."""
    steps = np.rint(values.astype(np.float64) / quantization.scale) + quantization.zero_point
    return np.clip(steps, LOWEST, HIGHEST).astype(np.int8)


def dequantize(values: Int8, quantization: AffineQuantization) -> NDArray[np.float32]:
    """Integers to the reals that they stand for."""
    centred = values.astype(np.float32) - np.float32(quantization.zero_point)
    return centred * np.float32(quantization.scale)


def requantize(
    sums: NDArray[np.int32], scale: NDArray[np.float32] | np.float32, zero_point: int, *, relu: bool
) -> Int8:
    """``round(float32(sum) scale) + zero_point``, clamped.

    Args:
        sums: of products.
        scale: that of a step of the sums over that of a step of the result; it has to spread
            over the sums.
        zero_point: of the result.
        relu: clamps at the zero point instead of at -128.
    """
    scaled = np.rint(sums.astype(np.float32) * np.asarray(scale, np.float32))
    lowest = max(LOWEST, zero_point) if relu else LOWEST
    # Clamped before the zero point is added, as the kernels do, so that nothing overflows.
    scaled = np.clip(scaled, lowest - zero_point, HIGHEST - zero_point)
    return (scaled + zero_point).astype(np.int8)


def convolve(x: Int8, source: AffineQuantization, operation: Convolution) -> Int8:
    """Dense, depthwise or, of a single pixel or 1x1, what a fully connected layer computes."""
    integer_weights = operation.integer_weights_OIHW
    # No sum of so few products reaches 2^24, up to which float32 holds every integer.
    small = 255 * HIGHEST * integer_weights[0].size < 2**24
    exact = torch.float32 if small else torch.float64
    centred = torch.from_numpy(x).to(exact) - source.zero_point
    weights = torch.from_numpy(integer_weights).to(exact)
    sums = F.conv2d(
        centred,
        weights,
        stride=operation.stride,
        padding=operation.padding,
        groups=x.shape[1] if operation.depthwise else 1,
    ).numpy()
    # In 32 bits, as the device adds.
    totals = sums.astype(np.int64) + operation.integer_bias_O(source)[None, :, None, None]
    scales_O = operation.bias_scales_O(source) / np.float32(operation.quantization.scale)
    return requantize(
        totals.astype(np.int32),
        scales_O[None, :, None, None],
        operation.quantization.zero_point,
        relu=operation.relu,
    )


def add(
    x: Int8,
    first: AffineQuantization,
    y: Int8,
    second: AffineQuantization,
    result: AffineQuantization,
    *,
    low: int = LOWEST,
    high: int = HIGHEST,
) -> Int8:
    """``x + y``: both terms times integers of 21 bits, shifted down together, rounded half up.

    Args:
        x: first term.
        first: of ``x``.
        y: second term, of the same shape or one that spreads over it.
        second: of ``y``.
        result: of the sum.
        low: least integer of the result, above -128 behind a ReLU.
        high: greatest one.
    """
    ratios = [np.float32(term.scale) / np.float32(result.scale) for term in (first, second)]
    _, exponent = np.frexp(max(ratios))
    shift = _MULTIPLIER_BITS - (int(exponent) - 1)
    multiplied: NDArray[np.int64] = np.full((), 1 << (shift - 1), np.int64)
    for values, term, ratio in ((x, first, ratios[0]), (y, second, ratios[1])):
        multiplier = int(np.rint(np.ldexp(np.float64(ratio), shift)))
        multiplied = multiplied + (values.astype(np.int64) - term.zero_point) * multiplier
    shifted = (multiplied >> shift) + result.zero_point
    return np.asarray(np.clip(shifted, low, high), np.int8)


def open_gate(x: Int8, source: AffineQuantization, result: AffineQuantization) -> Int8:
    """relu6(x + 3), where 3 is an integer, too."""
    three, quantization = np.array(HIGHEST, np.int8), CONSTANT_3
    limits = quantize(np.array([0.0, 6.0]), result)
    return add(x, source, three, quantization, result, low=int(limits[0]), high=int(limits[1]))


def multiply(
    x: Int8,
    first: AffineQuantization,
    y: Int8,
    second: AffineQuantization,
    result: AffineQuantization,
) -> Int8:
    """``x y``; one of them may be (B, C, 1, 1)."""
    products = (x.astype(np.int32) - first.zero_point) * (y.astype(np.int32) - second.zero_point)
    scale = np.float32(first.scale) * np.float32(second.scale) / np.float32(result.scale)
    return requantize(products, scale, result.zero_point, relu=False)


def mean(x: Int8, source: AffineQuantization, result: AffineQuantization) -> Int8:
    """Over the map of each channel."""
    sums = x.sum(axis=(2, 3), keepdims=True, dtype=np.int32)
    return scaled_mean(sums, x.shape[2] * x.shape[3], source, result)


def sigmoid(x: Int8, source: AffineQuantization, result: AffineQuantization) -> Int8:
    """By a table of all 256 values."""
    every = np.arange(LOWEST, HIGHEST + 1).astype(np.int8)
    reals = dequantize(every, source)
    with np.errstate(over="ignore"):  # infinity in the denominator is a 0, as it should be
        values = np.float32(1) / (np.float32(1) + np.exp(-reals))
    steps = np.rint(values / np.float32(result.scale)) + result.zero_point
    table = np.clip(steps, LOWEST, HIGHEST).astype(np.int8)
    return np.asarray(table[x.astype(np.int16) - LOWEST])


@torch.inference_mode()
def recur(x_BC1T: Int8, source: AffineQuantization, operation: Recurrence) -> Int8:
    """An LSTM in floats between integers. Runtimes sum in other orders: where a value lies between
    two integers one may give the other one.
    """
    reals_BTC = torch.from_numpy(dequantize(x_BC1T, source)[:, :, 0].transpose(0, 2, 1).copy())
    sequence_BTD = operation.lstm(reals_BTC)[0].numpy()
    return quantize(sequence_BTD, operation.quantization).transpose(0, 2, 1)[:, :, None]


def depth_to_space(x: Int8) -> Int8:
    """(B, 4 C, H, W) to (B, C, 2 H, 2 W)."""
    count, channels, height, width = x.shape
    blocks = x.reshape(count, 2, 2, channels // 4, height, width)
    shuffled = blocks.transpose(0, 3, 4, 1, 5, 2)
    return shuffled.reshape(count, channels // 4, 2 * height, 2 * width)


def maximum(x: Int8, kernel: tuple[int, int]) -> Int8:
    """Over windows that touch each other; what is left over at the end goes."""
    rows, columns = x.shape[2] // kernel[0], x.shape[3] // kernel[1]
    cut = x[:, :, : rows * kernel[0], : columns * kernel[1]]
    windows = cut.reshape(*x.shape[:2], rows, kernel[0], columns, kernel[1])
    return np.asarray(windows.max(axis=(3, 5)))
