"""A recogniser of text lines: backbone, neck and CTC head, and the pixels that it wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from torch import Tensor, nn

from edgeocr_training.models.bilstm_neck import BiLstmConfig
from edgeocr_training.models.ctc_head import CtcHead, CtcHeadConfig
from edgeocr_training.models.mobilenet_v1_enhance import MobileNetV1EnhanceConfig
from edgeocr_training.models.normalisation import HALF, Channels3, normalise_pixels
from edgeocr_training.models.text_line import (
    COLUMNS_PER_STEP,
    LINE_HEIGHT,
    CtcOutput,
    LineBackbone,
    LineBackboneConfig,
    SequenceNeck,
    SequenceNeckConfig,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserConfig:
    """The default is PP-OCRv2's."""

    backbone: LineBackboneConfig = field(default_factory=MobileNetV1EnhanceConfig)
    neck: SequenceNeckConfig = field(default_factory=BiLstmConfig)
    head: CtcHeadConfig = field(default_factory=CtcHeadConfig)
    mean: Channels3 = HALF
    """Of pixels in [0, 1]."""
    std: Channels3 = HALF

    def build(self) -> Recogniser:
        """A recogniser with random weights, from the global random generator of torch.

        Raises:
            RecipeError: a part can't be built so.
        """
        backbone = self.backbone.build()
        neck = self.neck.build(backbone.out_channels)
        head = self.head.build(neck.out_channels)
        return Recogniser(backbone=backbone, neck=neck, head=head, mean=self.mean, std=self.std)


class Recogniser(nn.Module):
    """Image of a line to the logits of its steps."""

    channel_order: Final = "BGR"

    def __init__(
        self,
        *,
        backbone: LineBackbone,
        neck: SequenceNeck,
        head: CtcHead,
        mean: Channels3,
        std: Channels3,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.mean = mean
        self.std = std

    def normalise(self, image_BHW3: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 BGR to (B, 3, H, W) float32 as the network takes it."""
        return normalise_pixels(image_BHW3, mean=self.mean, std=self.std)

    def forward(self, image_B3HW: Tensor) -> CtcOutput:
        """Everything that the losses read.

        Args:
            image_B3HW: normalised float, H = 32, W a multiple of 4.

        Raises:
            ValueError: the image has another height or width.
        """
        height, width = image_B3HW.shape[-2:]
        if height != LINE_HEIGHT or width % COLUMNS_PER_STEP:
            raise ValueError(
                f"a recogniser takes images {LINE_HEIGHT} high whose width is a multiple of "
                f"{COLUMNS_PER_STEP}, not {height}x{width}"
            )
        backbone_BC1T = self.backbone(image_B3HW)
        features_BTC, logits_BTK = self.head(self.neck(backbone_BC1T))
        return CtcOutput(
            features_BTC=features_BTC, backbone_BCHW=backbone_BC1T, logits_BTK=logits_BTK
        )

    def logits_only(self) -> LogitsRecogniser:
        """What inference needs, sharing the weights."""
        return LogitsRecogniser(self)


class LogitsRecogniser(nn.Module):
    """A recogniser whose ``forward`` gives the logits alone."""

    def __init__(self, recogniser: Recogniser) -> None:
        super().__init__()
        self.recogniser = recogniser

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """(B, 3, 32, W) normalised float to (B, W / 4, K)."""
        output: CtcOutput = self.recogniser(image_B3HW)
        return output.logits_BTK
