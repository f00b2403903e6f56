"""A DB text detector: backbone, neck and head, and the pixels that it wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn

from edgeocr_training.models.db_head import DbHeadConfig
from edgeocr_training.models.dbfpn import DbFpnConfig
from edgeocr_training.models.interfaces import (
    Backbone,
    BackboneConfig,
    DbMaps,
    Head,
    HeadConfig,
    Neck,
    NeckConfig,
)
from edgeocr_training.models.mobilenet_v3 import MobileNetV3Config
from edgeocr_training.models.normalisation import Channels3, normalise_pixels

SIZE_MULTIPLE: Final = 32
"""Of the sides of every image that a detector takes."""

# PP-OCR applies ImageNet's statistics, which are in RGB order, to BGR pixels.
IMAGENET_MEAN: Final[Channels3] = (0.485, 0.456, 0.406)
IMAGENET_STD: Final[Channels3] = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """The default is PP-OCRv2's student."""

    backbone: BackboneConfig = field(default_factory=MobileNetV3Config)
    neck: NeckConfig = field(default_factory=DbFpnConfig)
    head: HeadConfig = field(default_factory=DbHeadConfig)
    mean: Channels3 = IMAGENET_MEAN
    """Of pixels in [0, 1]."""
    std: Channels3 = IMAGENET_STD

    def build(self) -> Detector:
        """A detector with random weights, from the global random generator of torch.

        Raises:
            RecipeError: a part can't be built so.
        """
        backbone = self.backbone.build()
        neck = self.neck.build(backbone.out_channels)
        head = self.head.build(neck.out_channels)
        return Detector(backbone=backbone, neck=neck, head=head, mean=self.mean, std=self.std)


class Detector(nn.Module):
    """Image to DB maps."""

    channel_order: Final = "BGR"

    def __init__(
        self, *, backbone: Backbone, neck: Neck, head: Head, mean: Channels3, std: Channels3
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.mean = mean
        self.std = std
        # Training steps take a quarter less time on a CPU; images come in this order anyhow.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in stubs

    @property
    def map_stride(self) -> int:
        """Pixels of the image per pixel of the maps."""
        return self.head.map_stride

    def normalise(self, image_BHW3: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 BGR to (B, 3, H, W) float32 as the network takes it."""
        return normalise_pixels(image_BHW3, mean=self.mean, std=self.std)

    def forward(self, image_B3HW: Tensor) -> DbMaps:
        """All maps, for training.

        Args:
            image_B3HW: normalised float; sides are multiples of :data:`SIZE_MULTIPLE`.

        Raises:
            ValueError: sides are no such multiples.
        """
        maps: DbMaps = self.head(self._feature(image_B3HW))
        return maps

    def probability(self, image_B3HW: Tensor) -> Tensor:
        """The probability map (B, 1, H / map_stride, W / map_stride) alone, float32 in [0, 1].

        Raises:
            ValueError: as :meth:`forward`.
        """
        probability_B1HW: Tensor = self.head.probability_branch(self._feature(image_B3HW))
        return probability_B1HW

    def probability_only(self) -> ProbabilityDetector:
        """The part that inference needs, sharing the weights."""
        return ProbabilityDetector(self)

    def _feature(self, image_B3HW: Tensor) -> Tensor:
        height, width = image_B3HW.shape[-2:]
        if height % SIZE_MULTIPLE or width % SIZE_MULTIPLE:
            raise ValueError(
                f"a detector takes images whose sides are multiples of {SIZE_MULTIPLE}, "
                f"not {height}x{width}"
            )
        feature_BCHW: Tensor = self.neck(self.backbone(image_B3HW))
        return feature_BCHW


class ProbabilityDetector(nn.Module):
    """A detector without its threshold branch: ``forward`` gives the probability map."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.backbone = detector.backbone
        self.neck = detector.neck
        self.probability_branch = detector.head.probability_branch

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """(B, 3, H, W) normalised float to (B, 1, H / map_stride, W / map_stride)."""
        feature_BCHW = self.neck(self.backbone(image_B3HW))
        probability_B1HW: Tensor = self.probability_branch(feature_BCHW)
        return probability_B1HW
