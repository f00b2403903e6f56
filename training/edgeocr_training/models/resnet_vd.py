"""ResNet-vd (He et al., arXiv:1812.01187) of basic blocks: the backbone of PP-OCR's teachers.

Against ResNet: three 3x3 convolutions as a stem, and a shortcut that halves by average pooling
before its 1x1 convolution, which otherwise would read a quarter of the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.convolution import ConvNorm
from edgeocr_training.models.interfaces import Backbone

_CHANNELS: Final = (64, 128, 256, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNetVdConfig:
    """The default is ResNet18_vd; (3, 4, 6, 3) blocks make ResNet34_vd."""

    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    """Of the stages at strides 4, 8, 16 and 32."""

    def build(self) -> ResNetVd:
        """Raises RecipeError for a stage without a block."""
        if min(self.blocks) < 1:
            raise RecipeError(f"each stage of a ResNet has a block at least, not {self.blocks}")
        return ResNetVd(self)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, ReLU behind their sum."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, first: bool) -> None:
        """``first`` blocks of a stage change the shape, and have a convolution as a shortcut."""
        super().__init__()
        self.conv1 = ConvNorm(in_channels, out_channels, kernel=3, stride=stride, activation="relu")
        self.conv2 = ConvNorm(out_channels, out_channels, kernel=3)
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool2d(stride))
        if first:
            shortcut.append(ConvNorm(in_channels, out_channels, kernel=1))
        self.shortcut = nn.Sequential(*shortcut)
        self.relu = nn.ReLU()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.relu(self.conv2(self.conv1(x_BCHW)) + self.shortcut(x_BCHW))
        return y_BCHW


class ResNetVd(Backbone):
    """Taps after each of the four stages."""

    out_channels = _CHANNELS

    def __init__(self, config: ResNetVdConfig) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            ConvNorm(3, 32, kernel=3, stride=2, activation="relu"),
            ConvNorm(32, 32, kernel=3, activation="relu"),
            ConvNorm(32, 64, kernel=3, activation="relu"),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        stages = []
        channels = 64
        for i, (width, count) in enumerate(zip(_CHANNELS, config.blocks, strict=True)):
            stride = 1 if i == 0 else 2
            blocks = [BasicBlock(channels, width, stride=stride, first=True)]
            blocks += [BasicBlock(width, width, stride=1, first=False) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
            channels = width
        self.stages = nn.ModuleList(stages)
