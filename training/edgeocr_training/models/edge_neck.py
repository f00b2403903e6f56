"""A feature pyramid of depthwise-separable convolutions.

Levels are added, not concatenated: the finest map, which costs the most, stays as thin as the
pyramid. Upsampling repeats pixels; the converter writes that so that no size is in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.convolution import ConvNorm
from edgeocr_training.models.dbfpn import upsample
from edgeocr_training.models.interfaces import Neck

_KERNELS: Final = (3, 5, 5, 5)
"""Of the depthwise convolutions at strides 4, 8, 16 and 32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeNeckConfig:
    """How wide the pyramid is."""

    channels: int = 24

    def build(self, in_channels: Sequence[int]) -> EdgeNeck:
        """Raises RecipeError for a width below 1."""
        if self.channels < 1:
            raise RecipeError(f"a pyramid can't have {self.channels} channels")
        return EdgeNeck(in_channels, self.channels)


class SeparableConvolution(nn.Sequential):
    """Depthwise, then 1x1, each with BatchNorm and ReLU."""

    def __init__(self, channels: int, *, kernel: int) -> None:
        super().__init__(
            ConvNorm(channels, channels, kernel=kernel, groups=channels, activation="relu"),
            ConvNorm(channels, channels, kernel=1, activation="relu"),
        )


class EdgeNeck(Neck):
    """From the coarsest level: 1x1 to C, plus the level before doubled, separable convolution."""

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.lateral = nn.ModuleList(ConvNorm(inputs, channels, kernel=1) for inputs in in_channels)
        self.smooth = nn.ModuleList(
            SeparableConvolution(channels, kernel=kernel) for kernel in _KERNELS
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        levels = list(zip(features, self.lateral, self.smooth, strict=True))
        coarsest, lateral, smooth = levels.pop()
        fused_BCHW: Tensor = smooth(lateral(coarsest))
        for feature, lateral, smooth in reversed(levels):
            fused_BCHW = smooth(lateral(feature) + upsample(fused_BCHW, 2))
        return fused_BCHW
