"""Rounding in training: ranges to scales, and weights to the steps of their rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgeocr_training.compression.quantization.affine import HIGHEST, LOWEST, SMALLEST_SCALE


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


def clip_and_round(
    x: Tensor,
    *,
    scale: Tensor,
    zero_point: Tensor,
    lower: Tensor | None = None,
    upper: Tensor | None = None,
) -> Tensor:
    """Clips, and rounds to the 256 steps of a scale, halves to even.

    The gradient passes to x where it lies between the ends, to an end where x lies beyond it, and
    to nothing where the steps end before. Values and gradients are those of ``torch.clamp`` and
    ``torch.fake_quantize_per_tensor_affine`` for ends that differ. They are not used because the
    one's gradient of an end is slow on a CPU, and the other's loop is no vector code there.

    Args:
        x: float32, any shape.
        scale: scalar, positive.
        zero_point: scalar, an integer in [-128, 127].
        lower: scalar; None for no end but that of the steps.
        upper: likewise.
    """
    rounded: Tensor = _ClipAndRound.apply(x, lower, upper, scale, zero_point)  # type: ignore[no-untyped-call]
    return rounded


class _ClipAndRound(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        lower: Tensor | None,
        upper: Tensor | None,
        scale: Tensor,
        zero_point: Tensor,
    ) -> Tensor:
        clips = lower is not None or upper is not None
        clipped = x.clamp(lower, upper) if clips else x
        steps = (clipped * scale.reciprocal()).round_()
        covered = steps.clamp(LOWEST - zero_point, HIGHEST - zero_point)
        passes = steps.eq(covered)
        _, learns_lower, learns_upper, *_ = ctx.needs_input_grad
        ctx.save_for_backward(
            passes & x.eq(clipped) if clips else passes,
            passes & (x < lower) if lower is not None and learns_lower else None,
            passes & (x > upper) if upper is not None and learns_upper else None,
        )
        return covered.mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        within, below, above = ctx.saved_tensors
        return (
            gradient * within,
            None if below is None else (gradient * below).sum(),
            None if above is None else (gradient * above).sum(),
            None,
            None,
        )


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
