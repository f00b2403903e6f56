"""The loss of a recogniser against labels: CTC, and with it the center loss of Enhanced CTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from edgeocr_training.losses.center import CenterLoss, CenterLossConfig
from edgeocr_training.losses.ctc import CtcLoss
from edgeocr_training.models.text_line import CtcOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionLossConfig:
    """CTC with a weight of 1, and the center loss with its own."""

    ctc: CtcLoss = field(default_factory=CtcLoss)
    center: CenterLossConfig | None = None

    def build(self) -> RecognitionLoss:
        """Reads the centers.

        Raises:
            CheckpointError: their file is missing or damaged.
        """
        if self.center is None:
            return RecognitionLoss(self.ctc)
        return RecognitionLoss(
            self.ctc, center=self.center.build(), center_weight=self.center.weight
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecognitionLossTerms:
    """The loss of a batch and its parts before they are weighted, all scalars."""

    total: Tensor
    parts: Mapping[str, Tensor]
    """``ctc``, ``center`` where there is one, and ``unreachable``: see
    :class:`~edgeocr_training.losses.ctc.CtcLossTerms`."""


class RecognitionLoss(nn.Module):
    """Compares what a recogniser computes with labels."""

    def __init__(
        self, ctc: CtcLoss, *, center: CenterLoss | None = None, center_weight: float = 0.0
    ) -> None:
        super().__init__()
        self._ctc = ctc
        self._center = center
        self._center_weight = center_weight

    def forward(self, output: CtcOutput, tensors: Mapping[str, Tensor]) -> RecognitionLossTerms:
        """Of a batch.

        Args:
            output: of the recogniser.
            tensors: ``label`` (B, L) integers, classes of the characters, and ``label_length``
                (B,) integers, how many of them count.

        Raises:
            CheckpointError: the centers are of other classes or other features.
        """
        terms = self._ctc(output.logits_BTK, tensors["label"], tensors["label_length"])
        total, parts = terms.mean, {"ctc": terms.mean}
        if self._center is not None:
            parts["center"] = self._center(output.features_BTC, output.logits_BTK)
            total = total + self._center_weight * parts["center"]
        return RecognitionLossTerms(total=total, parts={**parts, "unreachable": terms.unreachable})
