"""A residual over the steps of a line: the part of which the edge recogniser is made."""

from __future__ import annotations

from torch import Tensor, nn

from edgeocr_training.models.activations import Activation
from edgeocr_training.models.convolution import ConvNorm
from edgeocr_training.models.squeeze_excite import SqueezeExcite

_GATE_SLOPE = 1 / 6


class TimeBlock(nn.Module):
    """x plus depthwise convolution over time, gate, 1x1 expansion, 1x1 projection.

    The depthwise convolution comes first, at the fewest channels. An activation stands behind
    the expansion alone.
    """

    def __init__(
        self, channels: int, *, kernel: int, expansion: int, gated: bool, activation: Activation
    ) -> None:
        super().__init__()
        inner = channels * expansion
        self.depthwise = ConvNorm(channels, channels, kernel=(1, kernel), groups=channels)
        self.gate = SqueezeExcite(channels, slope=_GATE_SLOPE) if gated else nn.Identity()
        self.expand = ConvNorm(channels, inner, kernel=1, activation=activation)
        self.project = ConvNorm(inner, channels, kernel=1)

    def forward(self, x_BC1T: Tensor) -> Tensor:
        y_BC1T: Tensor = self.project(self.expand(self.gate(self.depthwise(x_BC1T))))
        return x_BC1T + y_BC1T
