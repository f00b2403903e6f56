"""Nonlinearities by name.

Hard-swish is PyTorch's own operator: it trains fast, and the converter writes it as
``x relu6(x + 3) / 6``, all of which XNNPACK computes in integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import torch.nn.functional as F
from torch import Tensor, nn

Activation: TypeAlias = Literal["relu", "relu6", "hard_swish"]

_ACTIVATIONS: Final[Mapping[Activation, Callable[[], nn.Module]]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hard_swish": nn.Hardswish,
}


def make_activation(name: Activation | None) -> nn.Module:
    """The module of that name; None is the identity."""
    return nn.Identity() if name is None else _ACTIVATIONS[name]()


class HardSigmoid(nn.Module):
    """clip(slope x + 0.5, 0, 1), for gates.

    PP-OCR has two of them: a slope of 0.2 in its MobileNetV3 and its necks, 1/6 in PP-LCNet.
    """

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        # A clip to [0, 1] stays float in TFLite; RELU6 has an integer kernel.
        return F.relu6(6 * self.slope * x + 3) / 6

    def extra_repr(self) -> str:
        return f"slope={self.slope:g}"
