"""What a detector is made of: backbone, neck and head, and what describes each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn


class Backbone(nn.Module):
    """Image to feature maps: a stem, then stages, each with a tap behind it."""

    stem: nn.Module
    stages: nn.ModuleList
    """Four, at strides 4, 8, 16 and 32."""
    out_channels: tuple[int, ...]
    """Of the stages."""

    def forward(self, image_BCHW: Tensor) -> list[Tensor]:
        """Feature maps of all stages, (B, out_channels[0], H/4, W/4) first."""
        x_BCHW = self.stem(image_BCHW)
        features = []
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            features.append(x_BCHW)
        return features


class Neck(nn.Module):
    """Feature maps of several strides to one."""

    out_channels: int

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From maps at strides 4, 8, 16 and 32 to one (B, out_channels, H/4, W/4)."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DbMaps:
    """What a DB detector predicts in training; float32 in [0, 1]."""

    probability_B1HW: Tensor
    """That a pixel lies in the shrunk kernel of a text."""
    threshold_B1HW: Tensor
    """By which the probability is cut, high at the borders of texts."""
    binary_B1HW: Tensor
    """Approximate binarisation of the probability by the threshold."""


class Head(nn.Module):
    """Feature map to probabilities."""

    map_stride: int
    """Pixels of the image per pixel of the maps."""
    probability_branch: nn.Module
    """Feature map to float32 probabilities (B, 1, H, W) alone: all that inference needs."""

    def forward(self, feature_BCHW: Tensor) -> DbMaps:
        """All maps, for training."""
        raise NotImplementedError


class BackboneConfig(Protocol):
    """A frozen dataclass that describes a backbone."""

    def build(self) -> Backbone: ...


class NeckConfig(Protocol):
    """A frozen dataclass that describes a neck."""

    def build(self, in_channels: Sequence[int]) -> Neck: ...


class HeadConfig(Protocol):
    """A frozen dataclass that describes a head."""

    def build(self, in_channels: int) -> Head: ...
