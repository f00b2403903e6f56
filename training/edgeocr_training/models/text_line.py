"""What the recognisers of text lines are made of, and what describes each part.

A line becomes a sequence: its image is pooled to a height of 1, and each column that is left is
a step in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import torch.nn.functional as F
from torch import Tensor, nn

LINE_HEIGHT: Final = 32
"""Of every image that a recogniser takes, in pixels."""
COLUMNS_PER_STEP: Final = 4
"""Pixels of the image per step in time."""


class FeatureBackbone(nn.Module):
    """Image (B, 3, H, W) to one feature map (B, out_channels, h, w)."""

    out_channels: int


class LineBackbone(FeatureBackbone):
    """Image (B, 3, 32, W) to features (B, out_channels, 1, W / 4)."""


class RowPool(nn.Module):
    """The maximum of 2x2, or of two columns where a single row is left, which can't be halved."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return F.max_pool2d(x_BCHW, (min(2, x_BCHW.shape[2]), 2))


class SequenceNeck(nn.Module):
    """Features (B, C, 1, T) to features with their surroundings (B, T, out_channels)."""

    out_channels: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CtcOutput:
    """What a recogniser computes of a line; T = W / 4 steps, K classes, class 0 the blank."""

    features_BTC: Tensor
    """What the classes are a linear function of."""
    backbone_BCHW: Tensor
    """(B, C, 1, T)."""
    logits_BTK: Tensor
    """float32."""


class LineBackboneConfig(Protocol):
    """A frozen dataclass that describes a backbone."""

    def build(self) -> LineBackbone: ...


class SequenceNeckConfig(Protocol):
    """A frozen dataclass that describes a neck."""

    def build(self, in_channels: int) -> SequenceNeck: ...
