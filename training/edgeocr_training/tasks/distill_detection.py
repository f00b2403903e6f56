"""A detector learns from labels and from a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from edgeocr_training.losses.db_loss import DbLoss
from edgeocr_training.losses.distillation import DistillationLoss
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.tasks.students import learn_distillation, learn_labels, part_losses
from edgeocr_training.tasks.task import Task
from edgeocr_training.tasks.teacher import Teacher, TeacherConfig, teacher_map


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillDetectionConfig:
    """A detector, its teacher and the losses, each with a weight of 1."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    initial_weights: InitialWeights = field(default_factory=InitialWeights)
    teacher: TeacherConfig | None = None
    """None: the batches have ``teacher_map``."""
    loss: DbLoss = field(default_factory=DbLoss)
    distillation: DistillationLoss = field(default_factory=DistillationLoss)

    def build(self) -> DistillDetection:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build`."""
        detector = self.detector.build()
        self.initial_weights.load_into(detector)
        return DistillDetection(
            detector,
            teacher=self.teacher.build() if self.teacher else None,
            loss=self.loss,
            distillation=self.distillation,
        )

    def build_student(self) -> Detector:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build_student`."""
        return self.detector.build()


class DistillDetection(Task):
    """``loss`` is ``labels`` plus ``distillation``."""

    def __init__(
        self,
        detector: Detector,
        *,
        teacher: Teacher | None,
        loss: DbLoss,
        distillation: DistillationLoss,
    ) -> None:
        super().__init__()
        self._detector = detector
        self._teacher = teacher
        self._loss = loss
        self._distillation = distillation

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :func:`~edgeocr_training.tasks.students.learn_labels` for what a batch holds."""
        maps, terms = learn_labels(self._detector, tensors, self._loss)
        taught = teacher_map(tensors, self._teacher)
        distillation = learn_distillation(maps, tensors, taught, self._distillation)
        return {
            "loss": terms.total + distillation,
            "labels": terms.total,
            "distillation": distillation,
            **part_losses(terms),
        }

    @property
    def student(self) -> Detector:
        return self._detector
