"""A training run of a second: a small network learns how bright noise is.

The environment variable TINY_SIGNAL, such as ``SIGKILL@13``, sends a signal to the process that
makes its 13th sample, so that a run ends at a known place.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgeocr_training.data.sample import Sample
from edgeocr_training.errors import SampleError
from edgeocr_training.recipe import OptimizerConfig, Recipe, ScheduleConfig
from edgeocr_training.recipes import RecipeFunction
from edgeocr_training.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseConfig:
    count: int = 22
    broken: tuple[int, ...] = ()
    """Samples that cannot be read."""
    poisoned: tuple[int, ...] = ()
    """Samples whose target is not a number."""

    def build(self) -> Noise:
        return Noise(self)


def noise(grey: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """An image (8, 8, 3) around a grey in [0, 255]."""
    return rng.normal(grey, 20, (8, 8, 3)).clip(0, 255).astype(np.uint8)


class Noise:
    """Noise around a grey of each sample's own."""

    def __init__(self, config: NoiseConfig) -> None:
        self._config = config
        self._made = 0

    def __len__(self) -> int:
        return self._config.count

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        self._made += 1
        name, _, number = os.environ.get("TINY_SIGNAL", "").partition("@")
        if name and self._made == int(number):
            os.kill(os.getpid(), signal.Signals[name])
        if index in self._config.broken:
            raise SampleError(f"noise {index}: broken")
        image_HW3 = noise(20 + 200 * index / len(self), rng)
        target = np.nan if index in self._config.poisoned else image_HW3.mean() / 255
        arrays: dict[str, NDArray[Any]] = {
            "image": image_HW3,
            "target": np.array([target], np.float32),
        }
        return Sample(name=f"noise {index}", arrays=arrays)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionConfig:
    channels: int = 4
    dropout: float = 0.0
    normed: bool = False

    def build(self) -> Regression:
        return Regression(self)

    def build_student(self) -> nn.Sequential:
        return self.build().student


class Regression(Task):
    """The squared error of a small convolutional network."""

    def __init__(self, config: RegressionConfig) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(config.channels) if config.normed else nn.Identity()
        self._network = nn.Sequential(
            nn.Conv2d(3, config.channels, 3, stride=2, padding=1),
            norm,
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(config.channels, 1),
        )

    @property
    def student(self) -> nn.Sequential:
        return self._network

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        predicted_B1 = self._network(tensors["image"].permute(0, 3, 1, 2) / 255)
        squared = F.mse_loss(predicted_B1, tensors["target"])
        return {"loss": 2 * squared, "squared": squared}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyConfig:
    seed: int = 7

    def build(self) -> Accuracy:
        return Accuracy(self)


class Accuracy:
    """How near the network is on noise that it has not seen; 0 is best."""

    metric = "nearness"

    def __init__(self, config: AccuracyConfig) -> None:
        rng = np.random.default_rng(config.seed)
        self._images = [noise(grey, rng) for grey in range(10, 250, 20)]

    @torch.no_grad()
    def evaluate(self, student: nn.Module, *, device: torch.device) -> dict[str, float]:
        training = student.training
        student.eval()
        # What a task computes must not depend on what was drawn here.
        torch.rand(3)
        distance = 0.0
        for image_HW3 in self._images:
            image_3HW = torch.from_numpy(image_HW3).to(device).permute(2, 0, 1)
            distance += abs(float(student(image_3HW[None] / 255)) - image_HW3.mean() / 255)
        student.train(training)
        return {"nearness": -distance / len(self._images)}


def tiny(*, data_root: str = "data") -> Recipe:
    """22 samples in batches of 4: an epoch has 6 steps, of which the last one is filled up."""
    del data_root  # The noise comes from no file.
    return Recipe(
        name="tiny",
        description="How bright noise is",
        task=RegressionConfig(),
        data=NoiseConfig(),
        evaluation=AccuracyConfig(),
        epochs=3,
        batch_size=4,
        optimizer=OptimizerConfig(learning_rate=0.02, clip_norm=2.0, l2=1e-4),
        schedule=ScheduleConfig(kind="cosine", warm_up_epochs=0.5),
        workers=0,
    )


RECIPES: dict[str, RecipeFunction] = {"tiny": tiny}
