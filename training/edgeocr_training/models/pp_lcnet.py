"""PP-LCNet (Cui et al., arXiv:2109.15099): depthwise-separable convolutions without shortcuts.

Its four points, each of which can be switched off: hard-swish, gates in the last two blocks,
5x5 kernels in the last seven, and a wide layer between pooling and classes. With other strides
it is the recogniser's backbone of PP-OCRv2, which PaddleOCR calls MobileNetV1Enhance and whose
widths it counts at twice the scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.convolution import ConvNorm, Stride, round_channels
from edgeocr_training.models.interfaces import Backbone
from edgeocr_training.models.squeeze_excite import SqueezeExcite

SCALES: Final = (0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5)
"""Widths that PP-LCNet was published in."""

_STEM: Final = 16
_STAGES: Final = ((32,), (64, 64), (128, 128), (256,) * 6, (512, 512))
"""Channels of the blocks at scale 1. Each stage after the first begins with a stride."""
_BLOCKS: Final = sum(map(len, _STAGES))
_GATE_SLOPE: Final = 1 / 6


@dataclass(frozen=True, slots=True, kw_only=True)
class PpLcNetConfig:
    """The default is PP-LCNet x1.0."""

    scale: float = 1.0
    """Width, one of :data:`SCALES`."""
    strides: tuple[Stride, Stride, Stride, Stride, Stride] = (2, 2, 2, 2, 2)
    """Of the stem and of the last four stages."""
    hard_swish: bool = True
    """ReLU where False."""
    gated_blocks: int = 2
    """Of 13, the last so many."""
    large_kernels: int = 7
    """Blocks with 5x5 kernels instead of 3x3; of 13, the last so many."""

    def build(self) -> PpLcNet:
        """Raises RecipeError for a scale that was not published, or more than 13 blocks."""
        if self.scale not in SCALES:
            raise RecipeError(f"PP-LCNet has no scale {self.scale}; there are {SCALES}")
        for count in (self.gated_blocks, self.large_kernels):
            if not 0 <= count <= _BLOCKS:
                raise RecipeError(f"PP-LCNet has {_BLOCKS} blocks; {count} of them can't differ")
        return PpLcNet(self)


class SeparableBlock(nn.Sequential):
    """Depthwise convolution, gate, 1x1 convolution."""

    def __init__(
        self, in_channels: int, out_channels: int, *, block: int, stride: Stride, net: PpLcNetConfig
    ) -> None:
        activation: Final = "hard_swish" if net.hard_swish else "relu"
        kernel = 5 if block >= _BLOCKS - net.large_kernels else 3
        gated = block >= _BLOCKS - net.gated_blocks
        super().__init__(
            ConvNorm(
                in_channels,
                in_channels,
                kernel=kernel,
                stride=stride,
                groups=in_channels,
                activation=activation,
            ),
            SqueezeExcite(in_channels, slope=_GATE_SLOPE) if gated else nn.Identity(),
            ConvNorm(in_channels, out_channels, kernel=1, activation=activation),
        )


class PpLcNet(Backbone):
    """Taps after each of the last four stages: at strides 4, 8, 16 and 32 by default."""

    def __init__(self, config: PpLcNetConfig) -> None:
        super().__init__()
        channels = round_channels(_STEM * config.scale)
        stem_stride, *stage_strides = config.strides
        first = ConvNorm(
            3,
            channels,
            kernel=3,
            stride=stem_stride,
            activation="hard_swish" if config.hard_swish else "relu",
        )
        stages = []
        taps = []
        block = 0
        for widths, first_stride in zip(_STAGES, (1, *stage_strides), strict=True):
            blocks = []
            for i, width in enumerate(widths):
                out_channels = round_channels(width * config.scale)
                stride = first_stride if i == 0 else 1
                blocks.append(
                    SeparableBlock(channels, out_channels, block=block, stride=stride, net=config)
                )
                channels = out_channels
                block += 1
            stages.append(nn.Sequential(*blocks))
            taps.append(channels)
        self.stem = nn.Sequential(first, stages[0])
        self.stages = nn.ModuleList(stages[1:])
        self.out_channels = tuple(taps[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class PpLcNetClassifierConfig:
    """The default classifies ImageNet."""

    backbone: PpLcNetConfig = field(default_factory=PpLcNetConfig)
    classes: int = 1000
    wide_channels: int | None = 1280
    """Of the layer between pooling and classes; None leaves it out."""

    def build(self) -> PpLcNetClassifier:
        """Raises RecipeError where the backbone can't be built."""
        return PpLcNetClassifier(self)


class PpLcNetClassifier(nn.Module):
    """Backbone, mean over the map, wide layer with hard-swish, dropout, classes."""

    def __init__(self, config: PpLcNetClassifierConfig) -> None:
        super().__init__()
        self.backbone = config.backbone.build()
        channels = self.backbone.out_channels[-1]
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(1)]
        if config.wide_channels is not None:
            layers += [nn.Conv2d(channels, config.wide_channels, 1, bias=False), nn.Hardswish()]
            channels = config.wide_channels
        # Paddle scales down at inference, PyTorch up in training: the weights learn the rest.
        layers += [nn.Flatten(), nn.Dropout(0.2), nn.Linear(channels, config.classes)]
        self.head = nn.Sequential(*layers)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits (B, classes)."""
        logits_BK: Tensor = self.head(self.backbone(image_BCHW)[-1])
        return logits_BK
