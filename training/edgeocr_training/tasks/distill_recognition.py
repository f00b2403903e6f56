"""A recogniser learns from labels and from a teacher that reads the same steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from edgeocr_training.errors import RecipeError
from edgeocr_training.losses.mutual_recognition import divergence_from_teacher
from edgeocr_training.losses.recognition_loss import RecognitionLoss, RecognitionLossConfig
from edgeocr_training.models.recogniser import Recogniser, RecogniserConfig
from edgeocr_training.models.recogniser_weights import RecogniserWeights
from edgeocr_training.models.text_line import CtcOutput
from edgeocr_training.tasks.frozen import Frozen
from edgeocr_training.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserTeacherConfig:
    """A recogniser and the file of its weights."""

    recogniser: RecogniserConfig = field(default_factory=RecogniserConfig)
    weights: RecogniserWeights

    def build(self) -> RecogniserTeacher:
        """Reads the weights.

        Raises:
            RecipeError: no file is named, or two.
            CheckpointError: the file is missing or is of another network.
        """
        if self.weights.own is None and self.weights.official is None:
            raise RecipeError("a teacher with random weights teaches nothing: name a file of them")
        recogniser = self.recogniser.build()
        self.weights.load_into(recogniser)
        return RecogniserTeacher(recogniser)


class RecogniserTeacher(Frozen[Recogniser]):
    """Gives its logits of every step."""

    @torch.no_grad()
    def forward(self, image_BHW3: Tensor) -> Tensor:
        """Logits (B, T, K) of uint8 BGR images, without a gradient."""
        output: CtcOutput = self.network(self.network.normalise(image_BHW3))
        return output.logits_BTK


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillRecognitionConfig:
    """A recogniser, its teacher and the losses."""

    recogniser: RecogniserConfig = field(default_factory=RecogniserConfig)
    initial_weights: RecogniserWeights = field(default_factory=RecogniserWeights)
    teacher: RecogniserTeacherConfig
    loss: RecognitionLossConfig = field(default_factory=RecognitionLossConfig)
    temperature: float = 1.0
    """By which both logits are divided; higher ones tell more of what the teacher excludes."""
    distillation_weight: float = 1.0
    """Beside that of CTC, which is 1. Both are sums over the steps of a line."""

    def __post_init__(self) -> None:
        for name in ("temperature", "distillation_weight"):
            if not getattr(self, name) > 0:
                raise RecipeError(f"{name} is {getattr(self, name)}; it is positive")

    def build(self) -> DistillRecognition:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build`."""
        recogniser = self.recogniser.build()
        self.initial_weights.load_into(recogniser)
        return DistillRecognition(
            recogniser, teacher=self.teacher.build(), loss=self.loss.build(), config=self
        )

    def build_student(self) -> Recogniser:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build_student`."""
        return self.recogniser.build()


class DistillRecognition(Task):
    """``loss`` is ``labels`` plus ``distillation`` times its weight."""

    def __init__(
        self,
        recogniser: Recogniser,
        *,
        teacher: RecogniserTeacher,
        loss: RecognitionLoss,
        config: DistillRecognitionConfig,
    ) -> None:
        super().__init__()
        self._recogniser = recogniser
        self._teacher = teacher
        self._loss = loss
        self._config = config

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :meth:`SupervisedRecognition.forward
        <edgeocr_training.tasks.supervised_recognition.SupervisedRecognition.forward>`.

        Raises:
            RecipeError: the teacher has other classes or steps.
        """
        output: CtcOutput = self._recogniser(self._recogniser.normalise(tensors["image"]))
        terms = self._loss(output, tensors)
        distillation = divergence_from_teacher(
            output.logits_BTK,
            self._teacher(tensors["image"]),
            temperature=self._config.temperature,
        )
        return {
            "loss": terms.total + self._config.distillation_weight * distillation,
            "labels": terms.total,
            "distillation": distillation,
            **terms.parts,
        }

    @property
    def student(self) -> Recogniser:
        return self._recogniser
