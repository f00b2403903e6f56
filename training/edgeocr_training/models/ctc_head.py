"""Features of each step to the classes of CTC (Graves et al., 2006); class 0 is the blank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError

PP_OCR_CLASSES: Final = 6625
"""The 6,623 characters of PP-OCR's Chinese dictionary, space, and the blank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CtcHeadConfig:
    """The default is PP-OCRv2's."""

    mid_channels: int | None = 96
    """Of a linear layer before the classes, without an activation between; None leaves it out,
    as in PP-OCR."""
    classes: int = PP_OCR_CLASSES
    """With the blank."""

    def build(self, in_channels: int) -> CtcHead:
        """Raises RecipeError for fewer than two classes or a width below 1."""
        if self.classes < 2:
            raise RecipeError(
                f"classes is {self.classes}; a recogniser has two at least, one the blank"
            )
        if self.mid_channels is not None and self.mid_channels < 1:
            raise RecipeError(f"mid_channels is {self.mid_channels}; it is positive, or None")
        return CtcHead(in_channels, self)


class CtcHead(nn.Module):
    """``features`` makes what the centres of the classes lie in, ``classes`` the logits."""

    def __init__(self, in_channels: int, config: CtcHeadConfig) -> None:
        super().__init__()
        # Weights and biases begin within 1 / sqrt(inputs): as in PP-OCR, and PyTorch's default.
        self.features: nn.Module = nn.Identity()
        if config.mid_channels is not None:
            self.features = nn.Linear(in_channels, config.mid_channels)
            in_channels = config.mid_channels
        self.classes = nn.Linear(in_channels, config.classes)

    def forward(self, sequence_BTC: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, mid_channels) and float32 logits (B, T, classes)."""
        features_BTC = self.features(sequence_BTC)
        return features_BTC, self.classes(features_BTC).float()
