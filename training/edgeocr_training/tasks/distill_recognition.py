"""A recogniser learns from labels and from a teacher that reads the same steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from edgeocr_training.errors import RecipeError
from edgeocr_training.losses.mutual_recognition import (
    distance_from_teacher,
    divergence_from_teacher,
)
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
    """Gives its features and logits of every step."""

    @torch.no_grad()
    def forward(self, image_BHW3: Tensor) -> CtcOutput:
        """What it computes of uint8 BGR images, without a gradient."""
        output: CtcOutput = self.network(self.network.normalise(image_BHW3))
        return output


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
    feature_weight: float = 0.0
    """Of the squared distance of the features ahead of the classes. A student that begins with
    the teacher's classes reads what the teacher reads as soon as its features are the teacher's,
    so it need not see each of some thousand characters often."""

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise RecipeError(f"temperature is {self.temperature}; it is positive")
        for name in ("distillation_weight", "feature_weight"):
            if not getattr(self, name) >= 0:
                raise RecipeError(f"{name} is {getattr(self, name)}; it is 0 or more")
        if not self.distillation_weight + self.feature_weight > 0:
            raise RecipeError(
                "distillation_weight and feature_weight are 0, so the teacher teaches nothing: "
                "give one of them, or take a task without a teacher"
            )

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
    """``loss`` is ``labels`` plus ``distillation`` and ``features`` times their weights."""

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
            RecipeError: the teacher has other classes, features or steps.
        """
        config = self._config
        output: CtcOutput = self._recogniser(self._recogniser.normalise(tensors["image"]))
        terms = self._loss(output, tensors)
        taught: CtcOutput = self._teacher(tensors["image"])
        loss = terms.total
        lessons: dict[str, Tensor] = {}
        if config.distillation_weight:
            lessons["distillation"] = divergence_from_teacher(
                output.logits_BTK, taught.logits_BTK, temperature=config.temperature
            )
            loss = loss + config.distillation_weight * lessons["distillation"]
        if config.feature_weight:
            lessons["features"] = distance_from_teacher(output.features_BTC, taught.features_BTC)
            loss = loss + config.feature_weight * lessons["features"]
        return {"loss": loss, "labels": terms.total, **lessons, **terms.parts}

    @property
    def student(self) -> Recogniser:
        return self._recogniser
