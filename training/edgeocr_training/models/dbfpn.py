"""The neck of PP-OCR and PP-OCRv2: a feature pyramid without normalisation or activation.

After Lin et al., arXiv:1612.03144, with the levels concatenated as in DB (Liao et al.,
arXiv:1911.08947).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.interfaces import Neck


@dataclass(frozen=True, slots=True, kw_only=True)
class DbFpnConfig:
    """PP-OCR's mobile detectors have 96 channels, its servers and teachers 256."""

    channels: int = 96
    """Of the pyramid; its output has as many."""

    def build(self, in_channels: Sequence[int]) -> DbFpn:
        """Raises RecipeError where the four levels can't share the channels."""
        check_pyramid_channels(self.channels)
        return DbFpn(in_channels, self.channels)


def check_pyramid_channels(channels: int) -> None:
    """Raises RecipeError unless four levels can share the channels."""
    if channels < 4 or channels % 4:
        raise RecipeError(f"a pyramid of four levels has 4, 8, 12... channels, not {channels}")


def fuse_pyramid(
    features: Sequence[Tensor], lateral: nn.ModuleList, smooth: nn.ModuleList
) -> Tensor:
    """Adds each level, doubled, to the finer one; concatenates all, coarsest first.

    Args:
        features: at strides 4, 8, 16 and 32.
        lateral: brings each level to the channels of the pyramid.
        smooth: brings each sum to a quarter of them.

    Returns:
        (B, C, H/4, W/4).
    """
    coarsest_first = list(zip(features, lateral, smooth, strict=True))[::-1]
    sums = [layer(feature) for feature, layer, _ in coarsest_first]
    for i in range(1, len(sums)):
        sums[i] = sums[i] + upsample(sums[i - 1], 2)
    levels = [layer(level) for level, (_, _, layer) in zip(sums, coarsest_first, strict=True)]
    finest = len(levels) - 1
    return torch.cat([upsample(level, 2 ** (finest - i)) for i, level in enumerate(levels)], dim=1)


def upsample(x_BCHW: Tensor, factor: int) -> Tensor:
    """Repeats every pixel ``factor`` times in both directions."""
    return x_BCHW if factor == 1 else F.interpolate(x_BCHW, scale_factor=factor, mode="nearest")


class DbFpn(Neck):
    """1x1 convolutions to C, top-down sums, 3x3 convolutions to C/4, concatenation at stride 4."""

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.lateral = nn.ModuleList(
            nn.Conv2d(inputs, channels, 1, bias=False) for inputs in in_channels
        )
        self.smooth = nn.ModuleList(
            nn.Conv2d(channels, channels // 4, 3, padding=1, bias=False) for _ in in_channels
        )
        for layer in (*self.lateral, *self.smooth):
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return fuse_pyramid(features, self.lateral, self.smooth)
