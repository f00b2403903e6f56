"""A classifier that is trained in a second: which half of an image is bright."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from edgeocr_training.data.sample import Sample
from edgeocr_training.models.classifier import Classifier, ClassifierConfig
from edgeocr_training.models.line_pp_lcnet import LinePpLcNetConfig
from edgeocr_training.recipe import OptimizerConfig, Recipe
from edgeocr_training.recipes import RecipeFunction
from edgeocr_training.tasks.classification import ClassificationTaskConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class HalvesConfig:
    count: int = 16

    def build(self) -> Halves:
        return Halves(self)


class Halves:
    """Images of 32x48 pixels, bright at the top (0) or at the bottom (1)."""

    def __init__(self, config: HalvesConfig) -> None:
        self._config = config

    def __len__(self) -> int:
        return self._config.count

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        image_HW3 = rng.integers(0, 60, (32, 48, 3), dtype=np.uint8)
        turned = index % 2
        image_HW3[16 * turned : 16 * turned + 16] += 150
        label = np.array(turned, dtype=np.int64)
        return Sample(name=f"half {index}", arrays={"image": image_HW3, "label": label})


@dataclass(frozen=True, slots=True, kw_only=True)
class CertaintyConfig:
    scale: float = 1.0
    """0 measures nothing."""

    def build(self) -> Certainty:
        return Certainty(self.scale)


class Certainty:
    """Mean probability of the right half."""

    metric = "certainty"

    def __init__(self, scale: float) -> None:
        self._scale = scale

    @torch.no_grad()
    def evaluate(self, student: nn.Module, *, device: torch.device) -> dict[str, float]:
        assert isinstance(student, Classifier)
        was_training = student.training
        student.eval()
        rng = np.random.default_rng(1)
        samples = [Halves(HalvesConfig()).sample(i, rng) for i in range(8)]
        image = torch.from_numpy(np.stack([sample.arrays["image"] for sample in samples]))
        probability_B2 = student(student.normalise(image.to(device))).softmax(dim=1)
        student.train(was_training)
        right = [float(probability_B2[i, i % 2]) for i in range(len(samples))]
        return {"certainty": self._scale * sum(right) / len(right)}


def halves(*, data_root: str = "data") -> Recipe:
    """Two epochs of four steps."""
    del data_root  # The images come from no file.
    return Recipe(
        name="halves",
        description="which half is bright",
        task=ClassificationTaskConfig(
            classifier=ClassifierConfig(
                backbone=LinePpLcNetConfig(), wide_channels=32, height=32, width=48
            )
        ),
        data=HalvesConfig(),
        evaluation=CertaintyConfig(),
        epochs=2,
        batch_size=4,
        optimizer=OptimizerConfig(learning_rate=0.005),
        workers=0,
    )


RECIPES: dict[str, RecipeFunction] = {"halves": halves}
