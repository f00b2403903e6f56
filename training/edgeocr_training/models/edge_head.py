"""A DB head whose maps have half of the image's resolution.

A quarter of the pixels to compute, to hand over and to train on.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgeocr_training.models.db_head import DB_STEEPNESS, DbHead
from edgeocr_training.models.edge_neck import SeparableConvolution


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeHeadConfig:
    """The binarisation is DB's."""

    steepness: float = DB_STEEPNESS
    """k of the binarisation, see :mod:`.db_head`."""

    def build(self, in_channels: int) -> DbHead:
        """Raises RecipeError unless the step of the binarisation rises."""
        return DbHead(lambda: EdgeMapBranch(in_channels), map_stride=2, steepness=self.steepness)


class EdgeMapBranch(nn.Module):
    """Separable convolution, then a transposed one to twice the resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.refine = SeparableConvolution(channels, kernel=3)
        self.emit = nn.ConvTranspose2d(channels, 1, 2, stride=2)

    def forward(self, feature_BCHW: Tensor) -> Tensor:
        """From (B, C, H/4, W/4) to float32 probabilities (B, 1, H/2, W/2)."""
        logits_B1HW: Tensor = self.emit(self.refine(feature_BCHW))
        # Under autocast too: near 1 a bfloat16 has steps of 1/256.
        return torch.sigmoid(logits_B1HW.float())
