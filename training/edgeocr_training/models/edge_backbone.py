"""A backbone for INT8 on small processors: what XNNPACK computes fast, and little of it.

Inverted residuals (Sandler et al., arXiv:1801.04381) without gates. Resolution falls by a
depthwise convolution before the channels grow, so that the widest maps stay thin. ReLU, which
a convolution does for nothing, on the two large resolutions; hard-swish, two more passes over a
map, on the small ones. 5x5 kernels at strides 16 and 32 see whole lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.activations import Activation
from edgeocr_training.models.convolution import ConvNorm, Stride
from edgeocr_training.models.interfaces import Backbone

PerStage: TypeAlias = tuple[int, int, int, int]
"""A number for each of the strides 4, 8, 16 and 32."""

_KERNELS: Final[PerStage] = (3, 3, 5, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeBackboneConfig:
    """Widths and depths."""

    stem: int = 8
    """Channels at half of the image's resolution."""
    channels: PerStage = (16, 32, 48, 80)
    residuals: PerStage = (1, 2, 3, 3)
    """Inverted residuals of a stage, behind the convolutions that begin it."""
    expansion: int = 2
    """Of the channels within a residual."""
    deep_activation: Activation = "hard_swish"
    """At strides 16 and 32. The converter may compute the layer before a hard-swish twice, to
    give its two factors scales of their own; ReLU and ReLU6 cost nothing."""

    def build(self) -> EdgeBackbone:
        """Raises RecipeError for a width below 1 or a depth below 0."""
        if min(self.stem, *self.channels, self.expansion) < 1 or min(self.residuals) < 0:
            raise RecipeError(f"a backbone has no such widths and depths: {self}")
        return EdgeBackbone(self)


class Downsampling(nn.Module):
    """Depthwise convolution with a stride, then 1x1 to more channels without activation."""

    def __init__(
        self, in_channels: int, out_channels: int, *, activation: Activation, stride: Stride = 2
    ) -> None:
        super().__init__()
        self.depthwise = ConvNorm(
            in_channels,
            in_channels,
            kernel=3,
            stride=stride,
            groups=in_channels,
            activation=activation,
        )
        self.widen = ConvNorm(in_channels, out_channels, kernel=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.widen(self.depthwise(x_BCHW))
        return y_BCHW


class Residual(nn.Module):
    """x plus 1x1 expansion, depthwise convolution, 1x1 projection without activation."""

    def __init__(
        self, channels: int, *, expansion: int, kernel: int, activation: Activation
    ) -> None:
        super().__init__()
        inner = channels * expansion
        self.expand = ConvNorm(channels, inner, kernel=1, activation=activation)
        self.depthwise = ConvNorm(inner, inner, kernel=kernel, groups=inner, activation=activation)
        self.project = ConvNorm(inner, channels, kernel=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.project(self.depthwise(self.expand(x_BCHW)))
        return x_BCHW + y_BCHW


class EdgeBackbone(Backbone):
    """A 3x3 convolution of stride 2, then a stage for each of the strides 4, 8, 16 and 32."""

    def __init__(self, config: EdgeBackboneConfig) -> None:
        super().__init__()
        self.out_channels = config.channels
        self.stem = ConvNorm(3, config.stem, kernel=3, stride=2, activation="relu")
        in_channels = (config.stem, *config.channels[:-1])
        deep = config.deep_activation
        activations: tuple[Activation, ...] = ("relu", "relu", deep, deep)
        self.stages = nn.ModuleList(
            nn.Sequential(
                Downsampling(before, channels, activation=activation),
                *(
                    Residual(
                        channels,
                        expansion=config.expansion,
                        kernel=kernel,
                        activation=activation,
                    )
                    for _ in range(residuals)
                ),
            )
            for before, channels, residuals, kernel, activation in zip(
                in_channels,
                config.channels,
                config.residuals,
                _KERNELS,
                activations,
                strict=True,
            )
        )
