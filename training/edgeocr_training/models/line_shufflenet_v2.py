"""ShuffleNetV2 (Ma et al., arXiv:1807.11164) for classifiers of text lines.

PP-OCR compares x0.5 with MobileNetV3 and doesn't say which strides it has there; here rows are
halved five times and columns twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.convolution import ConvNorm, Stride
from edgeocr_training.models.text_line import FeatureBackbone

_STAGES: Final = {
    0.5: (48, 96, 192),
    1.0: (116, 232, 464),
}
"""Channels of the stages by scale."""
_UNITS: Final = (4, 8, 4)
"""Of each stage; the first halves the rows."""
_STEM: Final = 24
_LAST: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LineShuffleNetV2Config:
    """The default is what PP-OCR compares."""

    scale: float = 0.5

    def build(self) -> LineShuffleNetV2:
        """Raises RecipeError for another scale than 0.5 or 1."""
        if self.scale not in _STAGES:
            raise RecipeError(f"ShuffleNetV2 has no scale {self.scale}; there are {[*_STAGES]}")
        return LineShuffleNetV2(self)


class ShuffleUnit(nn.Module):
    """Half of the channels pass by 1x1, depthwise and 1x1; then both halves are interleaved."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = _branch(channels // 2, channels // 2, stride=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        kept_BCHW, changed_BCHW = x_BCHW.chunk(2, dim=1)
        return _interleaved(kept_BCHW, self.branch(changed_BCHW))


class HalvingUnit(nn.Module):
    """Both branches see all channels; each gives half of the wider output."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: Stride) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(
            ConvNorm(in_channels, in_channels, kernel=3, stride=stride, groups=in_channels),
            ConvNorm(in_channels, out_channels // 2, kernel=1, activation="relu"),
        )
        self.branch = _branch(in_channels, out_channels // 2, stride=stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return _interleaved(self.shortcut(x_BCHW), self.branch(x_BCHW))


class LineShuffleNetV2(FeatureBackbone):
    """Stem and maximum, three stages, a last 1x1: (B, C, H / 32, W / 4)."""

    def __init__(self, config: LineShuffleNetV2Config) -> None:
        super().__init__()
        self.out_channels = _LAST
        layers: list[nn.Module] = [
            ConvNorm(3, _STEM, kernel=3, stride=2, activation="relu"),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        channels = _STEM
        for width, units in zip(_STAGES[config.scale], _UNITS, strict=True):
            layers.append(HalvingUnit(channels, width, stride=(2, 1)))
            layers += [ShuffleUnit(width) for _ in range(units - 1)]
            channels = width
        layers.append(ConvNorm(channels, _LAST, kernel=1, activation="relu"))
        self.layers = nn.Sequential(*layers)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        feature_BCHW: Tensor = self.layers(image_B3HW)
        return feature_BCHW


def _branch(in_channels: int, out_channels: int, *, stride: Stride) -> nn.Sequential:
    return nn.Sequential(
        ConvNorm(in_channels, out_channels, kernel=1, activation="relu"),
        ConvNorm(out_channels, out_channels, kernel=3, stride=stride, groups=out_channels),
        ConvNorm(out_channels, out_channels, kernel=1, activation="relu"),
    )


def _interleaved(first_BCHW: Tensor, second_BCHW: Tensor) -> Tensor:
    """Channels of both in turn, so that the next unit changes half of each."""
    return torch.stack((first_BCHW, second_BCHW), dim=2).flatten(1, 2)
