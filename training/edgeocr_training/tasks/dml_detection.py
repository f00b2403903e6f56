"""Two detectors learn from labels and from one another, without a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from edgeocr_training.losses.db_loss import DbLoss
from edgeocr_training.losses.distillation import MutualLoss
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.tasks.students import learn_labels, part_losses, two_students
from edgeocr_training.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class DmlDetectionConfig:
    """Two detectors of one kind and their losses, each with a weight of 1."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    """Of either student."""
    initial_weights: InitialWeights = field(default_factory=InitialWeights)
    """Of either student; what they do not load differs."""
    loss: DbLoss = field(default_factory=DbLoss)
    mutual: MutualLoss = field(default_factory=lambda: MutualLoss(reading="as_dml_code"))

    def build(self) -> DmlDetection:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build`."""
        students = two_students(self.detector, self.initial_weights)
        return DmlDetection(*students, loss=self.loss, mutual=self.mutual)

    def build_student(self) -> Detector:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build_student`."""
        return self.detector.build()


class DmlDetection(Task):
    """``loss`` is ``labels``, of both students, plus ``mutual``.

    ``probability``, ``binary`` and ``threshold`` are those of the first student, which is the one
    that is measured and shipped.
    """

    def __init__(
        self, first: Detector, second: Detector, *, loss: DbLoss, mutual: MutualLoss
    ) -> None:
        super().__init__()
        self._first = first
        self._second = second
        self._loss = loss
        self._mutual = mutual

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :func:`~edgeocr_training.tasks.students.learn_labels` for what a batch holds."""
        first_maps, first = learn_labels(self._first, tensors, self._loss)
        second_maps, second = learn_labels(self._second, tensors, self._loss)
        labels = first.total + second.total
        mutual = self._mutual(first_maps.probability_B1HW, second_maps.probability_B1HW)
        return {
            "loss": labels + mutual,
            "labels": labels,
            "mutual": mutual,
            **part_losses(first),
        }

    @property
    def student(self) -> Detector:
        return self._first
