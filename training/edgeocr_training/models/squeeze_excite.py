"""Squeeze-and-excitation (Hu et al., arXiv:1709.01507): a gate per channel from the whole map."""

from __future__ import annotations

from torch import Tensor, nn

from edgeocr_training.models.activations import HardSigmoid


class SqueezeExcite(nn.Module):
    """x * gate, gate = hard_sigmoid(W2 relu(W1 mean(x))), with a quarter of the channels between.

    Both 1x1 convolutions have a bias.
    """

    def __init__(self, channels: int, *, slope: float) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)
        self.relu = nn.ReLU()
        self.gate = HardSigmoid(slope)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        squeezed_BC11 = self.relu(self.reduce(x_BCHW.mean((2, 3), keepdim=True)))
        gated_BCHW: Tensor = x_BCHW * self.gate(self.expand(squeezed_BC11))
        return gated_BCHW
