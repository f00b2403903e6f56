"""MobileNetV3-small (Howard et al., arXiv:1905.02244) for text lines, as PP-OCR has it.

Columns are halved by the stem and by a 2x2 maximum at the end alone: letters are narrower than
they are high. The gates have a slope of 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.convolution import ConvNorm, round_channels
from edgeocr_training.models.mobilenet_v3 import LAST_CHANNELS, SCALES, SMALL, InvertedResidual
from edgeocr_training.models.text_line import LineBackbone, RowPool

RowStrides: TypeAlias = tuple[int, int, int, int]

_STEM: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LineMobileNetV3Config:
    """The default is the backbone of PP-OCR's mobile recogniser."""

    scale: float = 0.5
    """Width relative to the paper's, one of :data:`~edgeocr_training.models.mobilenet_v3.SCALES`.
    """
    row_strides: RowStrides = (1, 2, 2, 2)
    """Of the four residuals that halve the map in the paper. PP-OCR's recogniser keeps the rows
    of the first; its classifier halves them four times."""

    def build(self) -> LineMobileNetV3:
        """Raises RecipeError for a scale that PP-OCR doesn't know, or other strides."""
        if self.scale not in SCALES:
            raise RecipeError(f"MobileNetV3 has no scale {self.scale}; there are {SCALES}")
        if not set(self.row_strides) <= {1, 2} or self.row_strides.count(2) < 3:
            raise RecipeError(
                f"row_strides is {self.row_strides}; three or four are 2, the others 1, so that "
                "of a line 32 pixels high one row is left"
            )
        return LineMobileNetV3(self)


class LineMobileNetV3(LineBackbone):
    """Stem, 11 inverted residuals, a last 1x1, and the maximum."""

    def __init__(self, config: LineMobileNetV3Config) -> None:
        super().__init__()
        channels = round_channels(_STEM * config.scale)
        self.stem = ConvNorm(3, channels, kernel=3, stride=2, activation="hard_swish")
        residuals = []
        row_strides = iter(config.row_strides)
        for block in SMALL:
            # As in PP-OCR, a residual that could halve rows adds no input, even where it doesn't.
            shape = replace(block, stride=(next(row_strides), 1)) if block.stride == 2 else block
            residuals.append(
                InvertedResidual(channels, shape, scale=config.scale, squeeze_excite=True)
            )
            channels = round_channels(config.scale * block.out)
        self.residuals = nn.Sequential(*residuals)
        self.out_channels = round_channels(config.scale * LAST_CHANNELS["small"])
        self.last = ConvNorm(channels, self.out_channels, kernel=1, activation="hard_swish")
        self.pool = RowPool()

    def forward(self, image_B3HW: Tensor) -> Tensor:
        # Of a classifier's image 32 pixels high a single row is left.
        feature_BCHW: Tensor = self.pool(self.last(self.residuals(self.stem(image_B3HW))))
        return feature_BCHW
