"""A backbone of recognisers for INT8 on small processors.

PP-OCRv2's backbone spends most of its arithmetic where a line still has eight or sixteen rows.
This one looks at strokes in two dimensions with few channels, down to four rows; these become
one by a convolution that tells top from bottom, and the rest goes along the line, where a step
costs the least. The stem overlaps and the first residuals see neighbours above and below: rigid
patches, which are cheaper still, lose the tilted and curved words of street scenes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.activations import Activation, make_activation
from edgeocr_training.models.convolution import NORM_EPSILON, ConvNorm
from edgeocr_training.models.edge_backbone import Downsampling, Residual
from edgeocr_training.models.text_line import LineBackbone
from edgeocr_training.models.time_block import TimeBlock

_ROWS: Final = 4
"""That are left of 32 when they become one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLineBackboneConfig:
    """Widths and depths."""

    stem: int = 16
    """Channels at half of the image's resolution."""
    channels: tuple[int, int] = (32, 64)
    """At 8 and at 4 rows, of a quarter of the columns."""
    residuals: tuple[int, int] = (2, 2)
    """Inverted residuals there."""
    line_channels: int = 192
    """Along the line."""
    line_kernels: tuple[int, ...] = (5, 5, 7, 7, 9, 9)
    """Steps that each block along the line sees; a block for each."""
    expansion: int = 2
    """Of the channels within a residual."""
    activation: Activation = "hard_swish"
    """Along the line. The 2-D part has ReLU, which a convolution does for nothing."""

    def build(self) -> EdgeLineBackbone:
        """Raises RecipeError for a width below 1, a depth below 0, or an even kernel."""
        widths = (self.stem, *self.channels, self.line_channels, self.expansion)
        if min(widths) < 1 or min(self.residuals) < 0:
            raise RecipeError(f"a backbone has no such widths and depths: {self}")
        for kernel in self.line_kernels:
            if kernel < 1 or kernel % 2 == 0:
                raise RecipeError(f"line_kernels is {self.line_kernels}; each is odd")
        return EdgeLineBackbone(self)


class EdgeLineBackbone(LineBackbone):
    """Stem, a stage of 8 and one of 4 rows, one convolution to a single row, blocks over time."""

    def __init__(self, config: EdgeLineBackboneConfig) -> None:
        super().__init__()
        first, second = config.channels
        self.stem = ConvNorm(3, config.stem, kernel=3, stride=2, activation="relu")
        self.stages = nn.Sequential(
            Downsampling(config.stem, first, activation="relu"),
            *(
                Residual(first, expansion=config.expansion, kernel=3, activation="relu")
                for _ in range(config.residuals[0])
            ),
            Downsampling(first, second, activation="relu", stride=(2, 1)),
            *(
                Residual(second, expansion=config.expansion, kernel=5, activation="relu")
                for _ in range(config.residuals[1])
            ),
        )
        self.out_channels = config.line_channels
        self.collapse = nn.Conv2d(second, config.line_channels, (_ROWS, 1), bias=False)
        nn.init.kaiming_normal_(self.collapse.weight, nonlinearity="relu")
        self.collapse_norm = nn.BatchNorm2d(config.line_channels, eps=NORM_EPSILON)
        self.activation = make_activation(config.activation)
        self.blocks = nn.Sequential(
            *(
                TimeBlock(
                    config.line_channels,
                    kernel=kernel,
                    expansion=config.expansion,
                    gated=True,
                    activation=config.activation,
                )
                for kernel in config.line_kernels
            )
        )

    def forward(self, image_B3HW: Tensor) -> Tensor:
        rows_BC4T = self.stages(self.stem(image_B3HW))
        line_BC1T = self.activation(self.collapse_norm(self.collapse(rows_BC4T)))
        feature_BC1T: Tensor = self.blocks(line_BC1T)
        return feature_BC1T
