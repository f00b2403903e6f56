"""The neck of CRNN (Shi et al., arXiv:1507.05717): recurrent layers over the columns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.models.text_line import SequenceNeck


@dataclass(frozen=True, slots=True, kw_only=True)
class BiLstmConfig:
    """The default is PP-OCRv2's; PP-OCR's has 48 units."""

    hidden: int = 64
    """Units of a layer, in each direction."""
    layers: int = 2

    def build(self, in_channels: int) -> BiLstm:
        """Raises RecipeError for a number below 1."""
        if min(self.hidden, self.layers) < 1:
            raise RecipeError(f"an LSTM has no such size: {self}")
        return BiLstm(in_channels, self)


class BiLstm(SequenceNeck):
    """Layers that read a line from both ends; the two readings of a step are concatenated."""

    def __init__(self, in_channels: int, config: BiLstmConfig) -> None:
        super().__init__()
        self.out_channels = 2 * config.hidden
        self.lstm = nn.LSTM(
            in_channels,
            config.hidden,
            num_layers=config.layers,
            bidirectional=True,
            batch_first=True,
        )

    def forward(self, feature_BC1T: Tensor) -> Tensor:
        sequence_BTC: Tensor = self.lstm(feature_BC1T.squeeze(2).transpose(1, 2))[0]
        return sequence_BTC
