"""A recogniser learns from labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from edgeocr_training.losses.recognition_loss import RecognitionLoss, RecognitionLossConfig
from edgeocr_training.models.recogniser import Recogniser, RecogniserConfig
from edgeocr_training.models.recogniser_weights import RecogniserWeights
from edgeocr_training.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisedRecognitionConfig:
    """One recogniser and its loss."""

    recogniser: RecogniserConfig = field(default_factory=RecogniserConfig)
    initial_weights: RecogniserWeights = field(default_factory=RecogniserWeights)
    loss: RecognitionLossConfig = field(default_factory=RecognitionLossConfig)

    def build(self) -> SupervisedRecognition:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build`."""
        recogniser = self.recogniser.build()
        self.initial_weights.load_into(recogniser)
        return SupervisedRecognition(recogniser, loss=self.loss.build())

    def build_student(self) -> Recogniser:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build_student`."""
        return self.recogniser.build()


class SupervisedRecognition(Task):
    """``loss`` is that against the labels, with ``ctc``, ``center`` and ``unreachable``."""

    def __init__(self, recogniser: Recogniser, *, loss: RecognitionLoss) -> None:
        super().__init__()
        self._recogniser = recogniser
        self._loss = loss

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The loss of a batch.

        Args:
            tensors: ``image`` (B, 32, W, 3) uint8 BGR and the labels of
                :class:`~edgeocr_training.losses.recognition_loss.RecognitionLoss`.
        """
        output = self._recogniser(self._recogniser.normalise(tensors["image"]))
        terms = self._loss(output, tensors)
        return {"loss": terms.total, **terms.parts}

    @property
    def student(self) -> Recogniser:
        return self._recogniser
