"""Recognisers learn from labels and from one another: U-DML (PP-OCRv2, arXiv:2109.03144, 2.2).

With n of them, each hears the mean of what the n - 1 others say, as in "Deep Mutual Learning"
(arXiv:1706.00384); PP-OCRv2 has two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import torch
from torch import Tensor, nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.losses.mutual_recognition import feature_distance, symmetric_divergence
from edgeocr_training.losses.recognition_loss import RecognitionLoss, RecognitionLossConfig
from edgeocr_training.models.recogniser import Recogniser, RecogniserConfig
from edgeocr_training.models.recogniser_weights import RecogniserWeights
from edgeocr_training.models.text_line import CtcOutput
from edgeocr_training.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class UDmlRecognitionConfig:
    """Recognisers of one kind and their losses, each with a weight of 1 as in PP-OCRv2."""

    recogniser: RecogniserConfig = field(default_factory=RecogniserConfig)
    """Of each."""
    count: int = 2
    initial_weights: RecogniserWeights = field(default_factory=RecogniserWeights)
    """Of each; what they do not load differs."""
    loss: RecognitionLossConfig = field(default_factory=RecognitionLossConfig)

    def __post_init__(self) -> None:
        if self.count < 2:
            raise RecipeError(f"count is {self.count}; one alone can't learn from another")

    def build(self) -> UDmlRecognition:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build`."""
        recognisers = [self.recogniser.build() for _ in range(self.count)]
        for recogniser in recognisers:
            self.initial_weights.load_into(recogniser)
        first, second, *_ = recognisers
        if all(map(torch.equal, first.parameters(), second.parameters())):
            raise RecipeError(
                "all recognisers would start from the same weights and stay the same: "
                "load parts of them"
            )
        return UDmlRecognition(recognisers, loss=self.loss.build())

    def build_student(self) -> Recogniser:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build_student`."""
        return self.recogniser.build()


class UDmlRecognition(Task):
    """``loss`` is ``labels``, of all recognisers, plus ``mutual`` and ``features``.

    ``ctc``, ``center`` and ``unreachable`` are those of the first recogniser, which is the one
    that is measured and shipped.
    """

    def __init__(self, recognisers: Sequence[Recogniser], *, loss: RecognitionLoss) -> None:
        super().__init__()
        self._first = recognisers[0]
        self._others = nn.ModuleList(recognisers[1:])
        self._loss = loss

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :meth:`SupervisedRecognition.forward
        <edgeocr_training.tasks.supervised_recognition.SupervisedRecognition.forward>`.
        """
        image_B3HW = self._first.normalise(tensors["image"])
        outputs: list[CtcOutput] = [
            recogniser(image_B3HW) for recogniser in (self._first, *self._others)
        ]
        terms = [self._loss(output, tensors) for output in outputs]
        labels = torch.stack([each.total for each in terms]).sum()
        mutual = _of_all_pairs(symmetric_divergence, [output.logits_BTK for output in outputs])
        features = _of_all_pairs(feature_distance, [output.backbone_BCHW for output in outputs])
        return {
            "loss": labels + mutual + features,
            "labels": labels,
            "mutual": mutual,
            "features": features,
            **terms[0].parts,
        }

    @property
    def student(self) -> Recogniser:
        return self._first


def _of_all_pairs(loss: Callable[[Tensor, Tensor], Tensor], values: Sequence[Tensor]) -> Tensor:
    """The sum over all pairs, divided by how many pairs each is in."""
    pairs = torch.stack([loss(one, other) for one, other in combinations(values, 2)])
    return pairs.sum() / (len(values) - 1)
