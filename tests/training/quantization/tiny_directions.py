"""A classifier of 32x32 pixels that learns which half of an image is the bright one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import nn

from edgeocr_training.data.sample import Sample
from edgeocr_training.models.classifier import Classifier, ClassifierConfig
from edgeocr_training.models.line_mobilenet_v3 import LineMobileNetV3Config
from edgeocr_training.recipe import OptimizerConfig, Recipe
from edgeocr_training.recipes import RecipeFunction
from edgeocr_training.tasks.classification import ClassificationTaskConfig
from edgeocr_training.tasks.quantized import QuantizedTaskConfig

SIDE: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class HalvesConfig:
    count: int = 32

    def build(self) -> Halves:
        return Halves(self.count)


class Halves:
    """Noise, brighter above (label 0) or below (label 1)."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        image_HW3 = rng.integers(0, 120, (SIDE, SIDE, 3)).astype(np.uint8)
        label = index % 2
        rows = slice(SIDE // 2, None) if label else slice(SIDE // 2)
        image_HW3[rows] += 120
        return Sample(
            name=f"half {index}", arrays={"image": image_HW3, "label": np.array(label, np.int64)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyConfig:
    def build(self) -> Accuracy:
        return Accuracy()


class Accuracy:
    metric = "accuracy"

    @torch.no_grad()
    def evaluate(self, student: nn.Module, *, device: torch.device) -> dict[str, float]:
        assert isinstance(student, Classifier)
        training = student.training
        student.eval()
        rng = np.random.default_rng(5)
        samples = [Halves(12).sample(index, rng) for index in range(12)]
        images = torch.stack([torch.from_numpy(s.arrays["image"]) for s in samples]).to(device)
        logits_B2 = student(student.normalise(images))
        student.train(training)
        right = [
            int(best) == int(s.arrays["label"])
            for best, s in zip(logits_B2.argmax(1), samples, strict=True)
        ]
        # Beside the share that is right how sure it is, so that every bit shows.
        sure = float((logits_B2[:, 0] - logits_B2[:, 1]).abs().mean())
        return {"accuracy": sum(right) / len(right), "margin": sure}


def halves(*, data_root: str = "data") -> Recipe:
    """In float."""
    del data_root  # The images come from no file.
    backbone = LineMobileNetV3Config(scale=0.35, row_strides=(2, 2, 2, 2))
    return Recipe(
        name="halves",
        description="which half is bright",
        task=ClassificationTaskConfig(
            classifier=ClassifierConfig(backbone=backbone, height=SIDE, width=SIDE)
        ),
        data=HalvesConfig(),
        evaluation=AccuracyConfig(),
        epochs=6,
        batch_size=8,
        optimizer=OptimizerConfig(learning_rate=3e-3),
        workers=0,
    )


def halves_pact(*, data_root: str = "data") -> Recipe:
    """In integers; ``data_root`` is the folder of the float run."""
    base = halves()
    return replace(
        base,
        name="halves_pact",
        task=QuantizedTaskConfig(task=base.task, weights=f"{data_root}/best.pt"),
        epochs=2,
        optimizer=OptimizerConfig(learning_rate=3e-4),
        ema_decay=0.9,
    )


RECIPES: Final[dict[str, RecipeFunction]] = {"halves": halves, "halves_pact": halves_pact}
