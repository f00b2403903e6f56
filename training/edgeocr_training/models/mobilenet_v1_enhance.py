"""The backbone of PP-OCRv2's recogniser, which PaddleOCR calls MobileNetV1Enhance.

It is the trunk of PP-LCNet (Cui et al., arXiv:2109.15099) with other strides: columns are halved
once, rows four times, and a 2x2 maximum halves both at the end. PaddleOCR counts its widths at
twice the scale, so that PP-OCRv2's x0.5 is PP-LCNet x1.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.pp_lcnet import PpLcNetConfig
from edgeocr_training.models.text_line import LineBackbone

_STRIDES: Final = (2, 1, (2, 1), (2, 1), (2, 1))
_EARLY_STRIDES: Final = (2, 1, (2, 2), (2, 1), (2, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV1EnhanceConfig:
    """The default is PP-OCRv2's; the four points of PP-LCNet are its switches."""

    scale: float = 1.0
    """Width as PP-LCNet counts it."""
    hard_swish: bool = True
    """ReLU where False."""
    gated_blocks: int = 2
    """Of 13, the last so many."""
    large_kernels: int = 7
    """Blocks with 5x5 kernels instead of 3x3; of 13, the last so many."""
    wide_channels: int | None = None
    """Of a 1x1 convolution after pooling, as PP-LCNet has one of 1280 before its classes.
    PP-OCRv2's recogniser has none."""
    early_columns: bool = False
    """Whether columns are halved for the second time where eight rows begin, and the maximum at
    the end takes rows alone. There are as many steps, the same weights fit, and half of the
    arithmetic is left."""

    def build(self) -> MobileNetV1Enhance:
        """Raises RecipeError for a scale that was not published, more than 13 blocks, or a
        width below 1.
        """
        if self.wide_channels is not None and self.wide_channels < 1:
            raise RecipeError(f"wide_channels is {self.wide_channels}; it is positive, or None")
        return MobileNetV1Enhance(self)


class MobileNetV1Enhance(LineBackbone):
    """Stem, 13 depthwise-separable blocks, 2x2 maximum, and the wide layer where there is one."""

    def __init__(self, config: MobileNetV1EnhanceConfig) -> None:
        super().__init__()
        self.trunk = PpLcNetConfig(
            scale=config.scale,
            strides=_EARLY_STRIDES if config.early_columns else _STRIDES,
            hard_swish=config.hard_swish,
            gated_blocks=config.gated_blocks,
            large_kernels=config.large_kernels,
        ).build()
        self.pool = nn.MaxPool2d((2, 1) if config.early_columns else 2)
        channels = self.trunk.out_channels[-1]
        self.wide: nn.Module = nn.Identity()
        if config.wide_channels is not None:
            self.wide = nn.Sequential(
                nn.Conv2d(channels, config.wide_channels, 1, bias=False),
                nn.Hardswish() if config.hard_swish else nn.ReLU(),
            )
            channels = config.wide_channels
        self.out_channels = channels

    def forward(self, image_B3HW: Tensor) -> Tensor:
        feature_BCHW: Tensor = self.wide(self.pool(self.trunk(image_B3HW)[-1]))
        return feature_BCHW
