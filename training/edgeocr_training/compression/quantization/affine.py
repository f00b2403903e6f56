"""Affine quantization: a real value r is stored as the int8 q with ``r = scale (q - zero_point)``.

Jacob et al., arXiv:1712.05877, eq. 1. The arithmetic of ranges stands here once, for training,
calibration and conversion alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

LOWEST: Final = -128
HIGHEST: Final = 127
SMALLEST_SCALE: Final = 1e-5
"""A tensor that is always zero would get a scale for which XNNPACK makes no runtime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AffineQuantization:
    """Of one activation."""

    scale: float
    """Positive, and a float32 exactly: that is what a TFLite file holds."""
    zero_point: int
    """In [-128, 127]."""

    @property
    def low(self) -> float:
        """The least value that is represented."""
        return (LOWEST - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """The greatest value that is represented."""
        return (HIGHEST - self.zero_point) * self.scale

    def times(self, factor: float) -> AffineQuantization:
        """Of the tensor that holds ``factor`` times the value by the same integers."""
        return AffineQuantization(
            scale=float(np.float32(self.scale * factor)), zero_point=self.zero_point
        )


UNIT: Final = AffineQuantization(scale=1 / 256, zero_point=-128)
"""Of [0, 1): what TFLite demands of a sigmoid's output."""
UP_TO_6: Final = AffineQuantization(scale=float(np.float32(6 / 255)), zero_point=-128)
"""Of relu6."""


def affine_parameters(low: Tensor, high: Tensor, *, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Scale and zero point that cover a range.

    Symmetric: ``scale = max(|low|, |high|) / 127`` and a zero point of 0, as PP-OCR has it.
    Asymmetric: ``scale = (high - low) / 255`` and ``zero_point = round(-128 - low / scale)``: the
    range is moved by less than a step, so that 0 is represented exactly (arXiv:1712.05877, section
    3). Zero padding and the zeros behind a ReLU would carry an error otherwise.

    Args:
        low: scalar; 0 is taken where it is positive.
        high: scalar; 0 is taken where it is negative.
        symmetric: see above.

    Returns:
        float32 and int32 scalars.
    """
    low, high = low.float().clamp(max=0), high.float().clamp(min=0)
    if symmetric:
        scale = (torch.maximum(-low, high) / HIGHEST).clamp_min(SMALLEST_SCALE)
        return scale, torch.zeros_like(scale, dtype=torch.int32)
    scale = ((high - low) / (HIGHEST - LOWEST)).clamp_min(SMALLEST_SCALE)
    zero_point = (LOWEST - low / scale).round().clamp(LOWEST, HIGHEST)
    return scale, zero_point.to(torch.int32)


def row_scales(weights_RT: Tensor) -> Tensor:
    """``max |w| / 127`` of every row: a step of the weights of each output channel.

    A row of zeros gets the step of the widest one, with which it stays zero.
    """
    largest_R = weights_RT.detach().abs().amax(dim=1)
    widest = largest_R.amax().clamp_min(SMALLEST_SCALE)
    return torch.where(largest_R > 0, largest_R, widest) / HIGHEST


def fake_quantize_rows(weights_RT: Tensor) -> Tensor:
    """Weights rounded to the steps of their rows; the gradient passes unchanged."""
    scales_R = row_scales(weights_RT)
    zeros_R = torch.zeros_like(scales_R, dtype=torch.int32)
    rounded_RT: Tensor = torch.fake_quantize_per_channel_affine(
        weights_RT, scales_R, zeros_R, 0, -HIGHEST, HIGHEST
    )
    return rounded_RT
