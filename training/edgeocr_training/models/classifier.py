"""A classifier that tells lines that stand upright (class 0) from those on their head (class 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.line_mobilenet_v3 import LineMobileNetV3Config
from edgeocr_training.models.normalisation import HALF, Channels3, normalise_pixels
from edgeocr_training.models.text_line import FeatureBackbone

CLASSES: Final = 2
_SMALLEST: Final = 32
"""Side of an image, in pixels."""


class FeatureBackboneConfig(Protocol):
    """A frozen dataclass that describes a backbone."""

    def build(self) -> FeatureBackbone: ...


def _pp_ocr_backbone() -> FeatureBackboneConfig:
    return LineMobileNetV3Config(scale=0.35, row_strides=(2, 2, 2, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierConfig:
    """The default is PP-OCR's, 48x192."""

    backbone: FeatureBackboneConfig = field(default_factory=_pp_ocr_backbone)
    height: int = 48
    """Of the image, in pixels. PP-OCR compares 48x192 with 32x100."""
    width: int = 192
    wide_channels: int | None = None
    """Of a layer between pooling and classes, as PP-LCNet has one of 1280; None leaves it out."""
    mean: Channels3 = HALF
    """Of pixels in [0, 1]."""
    std: Channels3 = HALF

    def build(self) -> Classifier:
        """A classifier with random weights, from the global random generator of torch.

        Raises:
            RecipeError: a part can't be built so, or images would be too small for it.
        """
        if min(self.height, self.width) < _SMALLEST:
            raise RecipeError(
                f"a classifier of {self.height}x{self.width} can't be: rows are halved five "
                f"times, so that each side has at least {_SMALLEST} pixels"
            )
        if self.wide_channels is not None and self.wide_channels < 1:
            raise RecipeError(f"wide_channels is {self.wide_channels}; it is positive, or None")
        return Classifier(self)


class Classifier(nn.Module):
    """Image of a line to the logits of both directions."""

    channel_order: Final = "BGR"

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.height = config.height
        self.width = config.width
        self.mean = config.mean
        self.std = config.std
        self.backbone = config.backbone.build()
        channels = self.backbone.out_channels
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(1)]
        if config.wide_channels is not None:
            layers += [nn.Conv2d(channels, config.wide_channels, 1, bias=False), nn.Hardswish()]
            channels = config.wide_channels
        self.pool = nn.Sequential(*layers, nn.Flatten())
        self.classes = nn.Linear(channels, CLASSES)

    def normalise(self, image_BHW3: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 BGR to (B, 3, H, W) float32 as the network takes it."""
        return normalise_pixels(image_BHW3, mean=self.mean, std=self.std)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Normalised images to float32 logits (B, 2).

        Raises:
            ValueError: the images have another size.
        """
        height, width = image_B3HW.shape[-2:]
        if (height, width) != (self.height, self.width):
            raise ValueError(
                f"the classifier takes images of {self.height}x{self.width}, not {height}x{width}"
            )
        logits_B2: Tensor = self.classes(self.pool(self.backbone(image_B3HW)))
        return logits_B2.float()
