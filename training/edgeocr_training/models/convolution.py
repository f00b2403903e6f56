"""A convolution with batch normalisation and an activation, and the channels that it may have."""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor, nn

from edgeocr_training.models.activations import Activation, make_activation

Stride: TypeAlias = int | tuple[int, int]
"""Of a convolution; a pair is (vertical, horizontal)."""

NORM_EPSILON = 1e-5
"""Of batch normalisation, as in Paddle. Both frameworks keep 0.9 of the running statistics."""


class ConvNorm(nn.Module):
    """Convolution without bias, padded to keep the size at stride 1; BatchNorm; activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int | tuple[int, int],
        stride: Stride = 1,
        groups: int = 1,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2),
            groups=groups,
            bias=False,
        )
        # Paddle's default; for depthwise kernels it is far smaller there, which the
        # normalisation that follows undoes.
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        self.norm = nn.BatchNorm2d(out_channels, eps=NORM_EPSILON)
        self.activation = make_activation(activation)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.activation(self.norm(self.conv(x_BCHW)))
        return y_BCHW


def round_channels(channels: float, *, divisor: int = 8) -> int:
    """The nearest multiple of ``divisor``, at least one of it, and not less than 90 %."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
