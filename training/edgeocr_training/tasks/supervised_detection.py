"""A detector learns from labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from edgeocr_training.losses.db_loss import DbLoss
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.tasks.students import learn_labels, part_losses
from edgeocr_training.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisedDetectionConfig:
    """One detector and its loss."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    initial_weights: InitialWeights = field(default_factory=InitialWeights)
    loss: DbLoss = field(default_factory=DbLoss)

    def build(self) -> SupervisedDetection:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build`."""
        detector = self.detector.build()
        self.initial_weights.load_into(detector)
        return SupervisedDetection(detector, loss=self.loss)

    def build_student(self) -> Detector:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build_student`."""
        return self.detector.build()


class SupervisedDetection(Task):
    """``loss`` is that against the labels, with ``probability``, ``binary`` and ``threshold``."""

    def __init__(self, detector: Detector, *, loss: DbLoss) -> None:
        super().__init__()
        self._detector = detector
        self._loss = loss

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :func:`~edgeocr_training.tasks.students.learn_labels` for what a batch holds."""
        _, terms = learn_labels(self._detector, tensors, self._loss)
        return {"loss": terms.total, **part_losses(terms)}

    @property
    def student(self) -> Detector:
        return self._detector
