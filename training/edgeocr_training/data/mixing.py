"""Mixup and CutMix: two samples in one, and the classes of both.

Both act on a batch, whose samples they mix with a permutation of the same batch. All randomness
comes from the global random generator of torch, as dropout's does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

ALPHA: Final = 0.2
"""Of the beta distribution, in PaddleClas' recipes for ImageNet."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedBatch:
    """Images with the classes that they show."""

    image_BCHW: Tensor
    probability_BK: Tensor
    """float32, rows sum to 1; a target of ``torch.nn.functional.cross_entropy``."""


def mixup(image_BCHW: Tensor, label_B: Tensor, *, classes: int, alpha: float = ALPHA) -> MixedBatch:
    """Adds images: ``λ x_i + (1 - λ) x_j`` with one λ ~ Beta(α, α) for the batch.

    Zhang et al., arXiv:1710.09412.

    Args:
        image_BCHW: floating point.
        label_B: int64 in [0, classes).
        classes: K.
        alpha: positive.
    """
    weight = _weight(alpha)
    partner_B = torch.randperm(len(image_BCHW), device=image_BCHW.device)
    mixed_BCHW = weight * image_BCHW + (1 - weight) * image_BCHW[partner_B]
    return MixedBatch(
        image_BCHW=mixed_BCHW,
        probability_BK=_shared(label_B, partner_B, weight, classes),
    )


def cutmix(
    image_BCHW: Tensor, label_B: Tensor, *, classes: int, alpha: float = ALPHA
) -> MixedBatch:
    """Puts a rectangle of another image into each, with one λ ~ Beta(α, α) for the batch.

    The rectangle has the shape of the image and ``1 - λ`` of its area, its middle anywhere; what
    reaches over the edge is cut off, and λ becomes the share of the area that is left. Yun et al.,
    arXiv:1905.04899.

    Args:
        image_BCHW: floating point or uint8; is not changed.
        label_B: int64 in [0, classes).
        classes: K.
        alpha: positive.
    """
    height, width = image_BCHW.shape[-2:]
    side = math.sqrt(1 - _weight(alpha))
    top, bottom = _cut(height, side)
    left, right = _cut(width, side)
    partner_B = torch.randperm(len(image_BCHW), device=image_BCHW.device)
    mixed_BCHW = image_BCHW.clone()
    mixed_BCHW[..., top:bottom, left:right] = image_BCHW[partner_B, :, top:bottom, left:right]
    weight = 1 - (bottom - top) * (right - left) / (height * width)
    return MixedBatch(
        image_BCHW=mixed_BCHW,
        probability_BK=_shared(label_B, partner_B, weight, classes),
    )


def _weight(alpha: float) -> float:
    return float(torch.distributions.Beta(alpha, alpha).sample())


def _cut(length: int, share: float) -> tuple[int, int]:
    """From and to, of about ``share`` of the length about a middle anywhere."""
    extent = int(length * share)
    start = int(torch.randint(length, ())) - extent // 2
    return max(start, 0), min(start + extent, length)


def _shared(label_B: Tensor, partner_B: Tensor, weight: float, classes: int) -> Tensor:
    probability_BK = torch.nn.functional.one_hot(label_B, classes).float()
    return weight * probability_BK + (1 - weight) * probability_BK[partner_B]
