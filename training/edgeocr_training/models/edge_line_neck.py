"""The neck of an edge recogniser: depthwise convolutions over time in place of an LSTM.

XNNPACK computes all of it in integers, all steps of a line at once. A step sees a few letters to
each side; an LSTM sees the whole line.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.activations import Activation
from edgeocr_training.models.convolution import ConvNorm
from edgeocr_training.models.text_line import SequenceNeck
from edgeocr_training.models.time_block import TimeBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLineNeckConfig:
    """The default gives as many features as PP-OCRv2's BiLSTM."""

    channels: int = 128
    kernels: tuple[int, ...] = (9, 9)
    """Steps that each block sees; a block for each."""
    expansion: int = 1
    """Of the channels within a block."""
    activation: Activation = "hard_swish"

    def build(self, in_channels: int) -> EdgeLineNeck:
        """Raises RecipeError for a width below 1 or an even kernel."""
        if min(self.channels, self.expansion) < 1:
            raise RecipeError(f"a neck has no such widths: {self}")
        for kernel in self.kernels:
            if kernel < 1 or kernel % 2 == 0:
                raise RecipeError(f"kernels is {self.kernels}; each is odd")
        return EdgeLineNeck(in_channels, self)


class EdgeLineNeck(SequenceNeck):
    """1x1 to the channels of the neck, then blocks over time."""

    def __init__(self, in_channels: int, config: EdgeLineNeckConfig) -> None:
        super().__init__()
        self.out_channels = config.channels
        self.reduce = ConvNorm(in_channels, config.channels, kernel=1, activation=config.activation)
        self.blocks = nn.Sequential(
            *(
                TimeBlock(
                    config.channels,
                    kernel=kernel,
                    expansion=config.expansion,
                    gated=False,
                    activation=config.activation,
                )
                for kernel in config.kernels
            )
        )

    def forward(self, feature_BC1T: Tensor) -> Tensor:
        sequence_BC1T: Tensor = self.blocks(self.reduce(feature_BC1T))
        return sequence_BC1T.squeeze(2).transpose(1, 2)
