"""A detector that teaches and never learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from edgeocr_training.errors import RecipeError
from edgeocr_training.losses.db_targets import teacher_map_of
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.tasks.frozen import Frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """A detector and the file of its weights."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    weights: InitialWeights

    def build(self) -> Teacher:
        """Reads the weights.

        Raises:
            RecipeError: no file is named, or two.
            CheckpointError: the file is missing or is of another network.
        """
        if self.weights.own is None and self.weights.official is None:
            raise RecipeError("a teacher with random weights teaches nothing: name a file of them")
        detector = self.detector.build()
        self.weights.load_into(detector)
        return Teacher(detector)


class Teacher(Frozen[Detector]):
    """Always in eval mode. Its weights come from a file, so they are in no ``state_dict``."""

    @torch.no_grad()
    def forward(self, image_BHW3: Tensor) -> Tensor:
        """Text probabilities (B, 1, H, W) of uint8 BGR images, without a gradient."""
        return self.network.probability(self.network.normalise(image_BHW3))


def teacher_map(tensors: Mapping[str, Tensor], teacher: Teacher | None) -> Tensor:
    """What the teacher sees in a batch, or without one what ``teacher_map`` of the batch says.

    Raises:
        RecipeError: there is neither.
    """
    if teacher is None:
        return teacher_map_of(tensors)
    probability_B1HW: Tensor = teacher(tensors["image"])
    return probability_B1HW
