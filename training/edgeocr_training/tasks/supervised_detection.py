"""A detector learns from labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from edgeocr_training.losses.db_loss import DbLoss
from edgeocr_training.losses.db_targets import db_targets, size_of
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisedDetectionConfig:
    """One detector and the loss against labels."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    initial_weights: InitialWeights = field(default_factory=InitialWeights)
    loss: DbLoss = field(default_factory=DbLoss)

    def build(self) -> SupervisedDetection:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build`."""
        detector = self.detector.build()
        self.initial_weights.load_into(detector)
        return SupervisedDetection(detector, loss=self.loss)


class SupervisedDetection(Task):
    """``forward`` takes ``image`` (B, S, S, 3) uint8 BGR and the labels of DB."""

    def __init__(self, detector: Detector, *, loss: DbLoss) -> None:
        super().__init__()
        self._detector = detector
        self._loss = loss

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``loss`` and, before they are weighted, ``probability``, ``binary``, ``threshold``."""
        maps = self._detector(self._detector.normalise(tensors["image"]))
        targets = db_targets(tensors, size=size_of(maps))
        terms = self._loss(maps, targets)
        return {
            "loss": terms.total,
            "probability": terms.probability,
            "binary": terms.binary,
            "threshold": terms.threshold,
        }

    @property
    def student(self) -> Detector:
        return self._detector
