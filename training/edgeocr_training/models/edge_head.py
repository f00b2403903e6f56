"""A DB head of few operations. Its maps have half of the image's resolution, or all of it.

At half there is a quarter of the pixels to compute, to hand over and to train on. But the kernel of
text that is ten pixels high is two of them there, and its box as coarse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import torch
from torch import Tensor, nn

from edgeocr_training.models.convolution import NORM_EPSILON
from edgeocr_training.models.db_head import DB_STEEPNESS, DbHead
from edgeocr_training.models.edge_neck import SeparableConvolution

_FINE_CHANNELS: Final = 8
"""At half of the image's resolution, on the way to all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeHeadConfig:
    """The binarisation is DB's."""

    steepness: float = DB_STEEPNESS
    """k of the binarisation, see :mod:`.db_head`."""
    map_stride: Literal[1, 2] = 2
    """Pixels of the image per pixel of a map."""

    def build(self, in_channels: int) -> DbHead:
        """Raises RecipeError unless the step of the binarisation rises."""
        branch = CoarseMapBranch if self.map_stride == 2 else FineMapBranch
        return DbHead(
            partial(branch, in_channels), map_stride=self.map_stride, steepness=self.steepness
        )


class CoarseMapBranch(nn.Module):
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


class FineMapBranch(nn.Module):
    """Separable convolution, then two transposed ones, thin between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.refine = SeparableConvolution(channels, kernel=3)
        self.upscale = nn.ConvTranspose2d(channels, _FINE_CHANNELS, 2, stride=2)
        self.upscale_norm = nn.BatchNorm2d(_FINE_CHANNELS, eps=NORM_EPSILON)
        self.relu = nn.ReLU()
        self.emit = nn.ConvTranspose2d(_FINE_CHANNELS, 1, 2, stride=2)

    def forward(self, feature_BCHW: Tensor) -> Tensor:
        """From (B, C, H/4, W/4) to float32 probabilities (B, 1, H, W)."""
        x_BCHW = self.upscale_norm(self.upscale(self.refine(feature_BCHW)))
        logits_B1HW: Tensor = self.emit(self.relu(x_BCHW))
        return torch.sigmoid(logits_B1HW.float())
