"""A classifier learns which lines stand on their head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from edgeocr_training.data.mixing import ALPHA, cutmix, mixup
from edgeocr_training.errors import RecipeError
from edgeocr_training.models.classifier import CLASSES, Classifier, ClassifierConfig
from edgeocr_training.models.classifier_weights import ClassifierWeights
from edgeocr_training.tasks.task import Task

_MIXERS = {"mixup": mixup, "cutmix": cutmix}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationTaskConfig:
    """A classifier, and how the images of a batch are mixed."""

    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    initial_weights: ClassifierWeights = field(default_factory=ClassifierWeights)
    mixing: Literal["mixup", "cutmix"] | None = None
    """See :mod:`edgeocr_training.data.mixing`."""
    alpha: float = ALPHA
    """Of the beta distribution that mixing draws shares from."""

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise RecipeError(f"alpha is {self.alpha}; it is positive")

    def build(self) -> ClassificationTask:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build`."""
        classifier = self.build_student()
        self.initial_weights.load_into(classifier)
        return ClassificationTask(classifier, config=self)

    def build_student(self) -> Classifier:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build_student`."""
        return self.classifier.build()


class ClassificationTask(Task):
    """``loss`` is cross-entropy, against the shares of both classes where images are mixed."""

    def __init__(self, classifier: Classifier, *, config: ClassificationTaskConfig) -> None:
        super().__init__()
        self._classifier = classifier
        self._config = config

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The loss of a batch, which is mixed in training alone.

        Args:
            tensors: ``image`` (B, H, W, 3) uint8 BGR of the classifier's size, and ``label`` (B,)
                integers: 0 upright, 1 upside down.
        """
        image_B3HW = self._classifier.normalise(tensors["image"])
        target = tensors["label"].long()
        if self.training and self._config.mixing is not None:
            mixed = _MIXERS[self._config.mixing](
                image_B3HW, target, classes=CLASSES, alpha=self._config.alpha
            )
            image_B3HW, target = mixed.image_BCHW, mixed.probability_BK
        logits_B2 = self._classifier(image_B3HW)
        return {"loss": F.cross_entropy(logits_B2.float(), target)}

    @property
    def student(self) -> Classifier:
        return self._classifier
