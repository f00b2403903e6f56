"""Collaborative mutual learning of detectors (PP-OCRv2, arXiv:2109.03144, section 2.1).

Two students learn from labels, from one another and from a frozen teacher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from edgeocr_training.losses.db_loss import DbLoss
from edgeocr_training.losses.distillation import DistillationLoss, MutualLoss
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.tasks.students import (
    learn_distillation,
    learn_labels,
    part_losses,
    two_students,
)
from edgeocr_training.tasks.task import Task
from edgeocr_training.tasks.teacher import Teacher, TeacherConfig, teacher_map


@dataclass(frozen=True, slots=True, kw_only=True)
class CmlDetectionConfig:
    """Two detectors of one kind, their teacher and the losses, each with a weight of 1."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    """Of either student."""
    initial_weights: InitialWeights = field(default_factory=InitialWeights)
    """Of either student; what they do not load differs."""
    teacher: TeacherConfig | None = None
    """None: the batches have ``teacher_map``."""
    loss: DbLoss = field(default_factory=DbLoss)
    mutual: MutualLoss = field(default_factory=MutualLoss)
    distillation: DistillationLoss = field(default_factory=DistillationLoss)

    def build(self) -> CmlDetection:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build`."""
        students = two_students(self.detector, self.initial_weights)
        return CmlDetection(
            *students,
            teacher=self.teacher.build() if self.teacher else None,
            loss=self.loss,
            mutual=self.mutual,
            distillation=self.distillation,
        )

    def build_student(self) -> Detector:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build_student`."""
        return self.detector.build()


class CmlDetection(Task):
    """``loss`` is ``labels`` and ``distillation``, of both students, plus ``mutual``.

    ``probability``, ``binary`` and ``threshold`` are those of the first student, which is the one
    that is measured and shipped.
    """

    def __init__(
        self,
        first: Detector,
        second: Detector,
        *,
        teacher: Teacher | None,
        loss: DbLoss,
        mutual: MutualLoss,
        distillation: DistillationLoss,
    ) -> None:
        super().__init__()
        self._first = first
        self._second = second
        self._teacher = teacher
        self._loss = loss
        self._mutual = mutual
        self._distillation = distillation

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :func:`~edgeocr_training.tasks.students.learn_labels` for what a batch holds."""
        first_maps, first = learn_labels(self._first, tensors, self._loss)
        second_maps, second = learn_labels(self._second, tensors, self._loss)
        taught = teacher_map(tensors, self._teacher)
        labels = first.total + second.total
        mutual = self._mutual(first_maps.probability_B1HW, second_maps.probability_B1HW)
        distillation = learn_distillation(
            first_maps, tensors, taught, self._distillation
        ) + learn_distillation(second_maps, tensors, taught, self._distillation)
        return {
            "loss": labels + mutual + distillation,
            "labels": labels,
            "mutual": mutual,
            "distillation": distillation,
            **part_losses(first),
        }

    @property
    def student(self) -> Detector:
        return self._first
