"""PP-LCNet (Cui et al., arXiv:2109.15099) for classifiers of text lines.

PaddleOCR's later classifiers have it. Columns are halved once, rows five times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor

from edgeocr_training.models.pp_lcnet import PpLcNetConfig
from edgeocr_training.models.text_line import FeatureBackbone

_STRIDES: Final = (2, (2, 1), (2, 1), (2, 1), (2, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePpLcNetConfig:
    """How wide the network is."""

    scale: float = 0.25

    def build(self) -> LinePpLcNet:
        """Raises RecipeError for a scale that was not published."""
        return LinePpLcNet(self)


class LinePpLcNet(FeatureBackbone):
    """The last map of the trunk, (B, C, H / 32, W / 2)."""

    def __init__(self, config: LinePpLcNetConfig) -> None:
        super().__init__()
        self.trunk = PpLcNetConfig(scale=config.scale, strides=_STRIDES).build()
        self.out_channels = self.trunk.out_channels[-1]

    def forward(self, image_B3HW: Tensor) -> Tensor:
        feature_BCHW: Tensor = self.trunk(image_B3HW)[-1]
        return feature_BCHW
