"""MobileNetV3 (Howard et al., arXiv:1905.02244) as PP-OCR's detectors use it.

Differences from the paper: the gates have a slope of 0.2, the first block expands although its
channels stay the same, and there is no classifier. PP-OCR takes "large" at half the width and
leaves out squeeze-and-excitation: at 640x640 pixels the gates cost much and give little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.activations import Activation
from edgeocr_training.models.convolution import ConvNorm, Stride, round_channels
from edgeocr_training.models.interfaces import Backbone
from edgeocr_training.models.squeeze_excite import SqueezeExcite

SCALES: Final = (0.35, 0.5, 0.75, 1.0, 1.25)
"""Widths that PP-OCR knows, relative to the paper's."""

_GATE_SLOPE: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualShape:
    """One inverted residual at scale 1."""

    kernel: int
    expanded: int
    out: int
    gated: bool
    activation: Activation
    stride: Stride


def _shapes(*rows: tuple[int, int, int, bool, Activation, int]) -> tuple[ResidualShape, ...]:
    return tuple(
        ResidualShape(
            kernel=k, expanded=expanded, out=out, gated=gated, activation=act, stride=stride
        )
        for k, expanded, out, gated, act, stride in rows
    )


LARGE: Final = _shapes(
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2),
    (3, 200, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 480, 112, True, "hard_swish", 1),
    (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2),
    (5, 960, 160, True, "hard_swish", 1),
    (5, 960, 160, True, "hard_swish", 1),
)
SMALL: Final = _shapes(
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hard_swish", 2),
    (5, 240, 40, True, "hard_swish", 1),
    (5, 240, 40, True, "hard_swish", 1),
    (5, 120, 48, True, "hard_swish", 1),
    (5, 144, 48, True, "hard_swish", 1),
    (5, 288, 96, True, "hard_swish", 2),
    (5, 576, 96, True, "hard_swish", 1),
    (5, 576, 96, True, "hard_swish", 1),
)
LAST_CHANNELS: Final = {"large": 960, "small": 576}
"""Of the 1x1 convolution after the last residual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV3Config:
    """Which MobileNetV3; the default is the backbone of PP-OCR's mobile detectors."""

    size: Literal["large", "small"] = "large"
    scale: float = 0.5
    """Width relative to the paper's, one of :data:`SCALES`."""
    squeeze_excite: bool = False
    """Gates in the blocks that have them in the paper."""

    def build(self) -> MobileNetV3:
        """Raises RecipeError for a scale that PP-OCR doesn't know."""
        if self.scale not in SCALES:
            raise RecipeError(f"MobileNetV3 has no scale {self.scale}; there are {SCALES}")
        return MobileNetV3(self)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, gate, 1x1 projection without activation.

    The input is added where neither the size nor the channels change.
    """

    def __init__(
        self, in_channels: int, block: ResidualShape, *, scale: float, squeeze_excite: bool
    ) -> None:
        super().__init__()
        expanded = round_channels(scale * block.expanded)
        out_channels = round_channels(scale * block.out)
        self.expand = ConvNorm(in_channels, expanded, kernel=1, activation=block.activation)
        self.depthwise = ConvNorm(
            expanded,
            expanded,
            kernel=block.kernel,
            stride=block.stride,
            groups=expanded,
            activation=block.activation,
        )
        gated = squeeze_excite and block.gated
        self.gate = SqueezeExcite(expanded, slope=_GATE_SLOPE) if gated else nn.Identity()
        self.project = ConvNorm(expanded, out_channels, kernel=1)
        self.adds_input = block.stride == 1 and in_channels == out_channels

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.project(self.gate(self.depthwise(self.expand(x_BCHW))))
        return x_BCHW + y_BCHW if self.adds_input else y_BCHW


class MobileNetV3(Backbone):
    """Taps before each block that halves the map, from stride 4 on, and after a last 1x1."""

    def __init__(self, config: MobileNetV3Config) -> None:
        super().__init__()
        channels = round_channels(16 * config.scale)
        self.stem = ConvNorm(3, channels, kernel=3, stride=2, activation="hard_swish")
        blocks = LARGE if config.size == "large" else SMALL
        stages: list[nn.Sequential] = []
        stage: list[nn.Module] = []
        out_channels = []
        at_quarter = False
        for block in blocks:
            if block.stride == 2:
                if at_quarter:
                    stages.append(nn.Sequential(*stage))
                    out_channels.append(channels)
                    stage = []
                at_quarter = True
            stage.append(
                InvertedResidual(
                    channels, block, scale=config.scale, squeeze_excite=config.squeeze_excite
                )
            )
            channels = round_channels(config.scale * block.out)
        last = round_channels(config.scale * LAST_CHANNELS[config.size])
        stage.append(ConvNorm(channels, last, kernel=1, activation="hard_swish"))
        self.stages = nn.ModuleList([*stages, nn.Sequential(*stage)])
        self.out_channels = (*out_channels, last)
