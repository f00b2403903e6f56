"""The head of DB (Liao et al., arXiv:1911.08947): probability, threshold and their difference.

The binarisation B = 1 / (1 + exp(-k (P - T))) is a step that has a gradient. Inference needs P
alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.convolution import NORM_EPSILON
from edgeocr_training.models.interfaces import DbMaps, Head

DB_STEEPNESS: Final = 50.0
"""k, of the paper and of PP-OCR."""

_NORM_SHIFT: Final = 1e-4
"""Of the head's batch normalisations when training begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DbHeadConfig:
    """The default is that of PP-OCR and of the paper."""

    steepness: float = DB_STEEPNESS
    """k of the binarisation."""

    def build(self, in_channels: int) -> DbHead:
        """Raises RecipeError unless the step of the binarisation rises."""
        return DbHead(lambda: MapBranch(in_channels), steepness=self.steepness)


class MapBranch(nn.Module):
    """Two transposed convolutions bring a quarter of the image's size to the whole of it."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        channels = in_channels // 4
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.conv_norm = nn.BatchNorm2d(channels, eps=NORM_EPSILON)
        self.upscale = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.upscale_norm = nn.BatchNorm2d(channels, eps=NORM_EPSILON)
        self.emit = nn.ConvTranspose2d(channels, 1, 2, stride=2)
        self.relu = nn.ReLU()
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        for norm in (self.conv_norm, self.upscale_norm):
            nn.init.constant_(norm.bias, _NORM_SHIFT)
        for layer in (self.upscale, self.emit):
            assert layer.bias is not None
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.uniform_(layer.bias, -(channels**-0.5), channels**-0.5)

    def forward(self, feature_BCHW: Tensor) -> Tensor:
        """From (B, C, H/4, W/4) to float32 probabilities (B, 1, H, W)."""
        x_BCHW = self.relu(self.conv_norm(self.conv(feature_BCHW)))
        x_BCHW = self.relu(self.upscale_norm(self.upscale(x_BCHW)))
        logits_B1HW: Tensor = self.emit(x_BCHW)
        # Under autocast too: near 1 a bfloat16 has steps of 1/256.
        return torch.sigmoid(logits_B1HW.float())


class DbHead(Head):
    """A branch for the probability and one, alike, for the threshold."""

    def __init__(
        self,
        make_branch: Callable[[], nn.Module],
        *,
        map_stride: int = 1,
        steepness: float = DB_STEEPNESS,
    ) -> None:
        """Makes both branches.

        Args:
            make_branch: each takes the feature map and gives probabilities (B, 1, H, W).
            map_stride: pixels of the image per pixel of the branches' maps.
            steepness: k of the binarisation.

        Raises:
            RecipeError: the step of the binarisation doesn't rise.
        """
        super().__init__()
        if not steepness > 0:
            raise RecipeError(f"the step of the binarisation must rise, not by {steepness}")
        self.probability_branch = make_branch()
        self.threshold_branch = make_branch()
        self.map_stride = map_stride
        self.steepness = steepness

    def forward(self, feature_BCHW: Tensor) -> DbMaps:
        probability_B1HW = self.probability_branch(feature_BCHW)
        threshold_B1HW = self.threshold_branch(feature_BCHW)
        return DbMaps(
            probability_B1HW=probability_B1HW,
            threshold_B1HW=threshold_B1HW,
            binary_B1HW=torch.sigmoid(self.steepness * (probability_B1HW - threshold_B1HW)),
        )
