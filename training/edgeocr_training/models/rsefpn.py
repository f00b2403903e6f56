"""The neck of PP-OCRv3's and PP-OCRv4's mobile detectors: DBFPN with a gate after each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from edgeocr_training.models.dbfpn import check_pyramid_channels, fuse_pyramid
from edgeocr_training.models.interfaces import Neck
from edgeocr_training.models.squeeze_excite import SqueezeExcite

_GATE_SLOPE: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RseFpnConfig:
    """The default is PP-OCRv3's."""

    channels: int = 96
    """Of the pyramid; its output has as many."""

    def build(self, in_channels: Sequence[int]) -> RseFpn:
        """Raises RecipeError where the four levels can't share the channels."""
        check_pyramid_channels(self.channels)
        return RseFpn(in_channels, self.channels)


class GatedConvolution(nn.Module):
    """y + gate(y) with y a convolution without bias."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
        nn.init.kaiming_uniform_(self.conv.weight, nonlinearity="relu")
        self.gate = SqueezeExcite(out_channels, slope=_GATE_SLOPE)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.conv(x_BCHW)
        gated_BCHW: Tensor = self.gate(y_BCHW)
        return y_BCHW + gated_BCHW


class RseFpn(Neck):
    """:class:`~edgeocr_training.models.dbfpn.DbFpn` of gated convolutions."""

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.lateral = nn.ModuleList(
            GatedConvolution(inputs, channels, kernel=1) for inputs in in_channels
        )
        self.smooth = nn.ModuleList(
            GatedConvolution(channels, channels // 4, kernel=3) for _ in in_channels
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return fuse_pyramid(features, self.lateral, self.smooth)
