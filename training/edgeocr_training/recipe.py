"""A recipe: everything that decides a training run, frozen and typed.

Recipes are plain functions in :mod:`edgeocr_training.recipes`; a variant calls the base and
changes what differs with :func:`dataclasses.replace`. Every part is a frozen dataclass whose
``build`` makes the thing that it describes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from edgeocr_training.data.sample import Dataset
from edgeocr_training.errors import RecipeError
from edgeocr_training.tasks.task import Evaluator, TaskConfig


class DatasetConfig(Protocol):
    """A frozen dataclass that describes the training data."""

    def build(self) -> Dataset:
        """Reads the labels.

        Raises:
            DataError: a file is missing, malformed or empty.
        """
        ...


class EvaluatorConfig(Protocol):
    """A frozen dataclass that describes how the student is measured."""

    def build(self) -> Evaluator:
        """Reads the labels.

        Raises:
            DataError: a file is missing, malformed or empty.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """Adam as PaddleOCR's recipes use it, or AdamW."""

    kind: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    """At its highest, after the warm-up."""
    beta1: float = 0.9
    beta2: float = 0.999
    l2: float = 0.0
    """Adam: added to the gradient, as Paddle's L2Decay. AdamW: decoupled weight decay."""
    l2_on_norms_and_biases: bool = True
    """Paddle regularises every parameter unless a recipe says otherwise."""
    clip_norm: float | None = None
    """Largest norm of all gradients together; None leaves them."""

    def __post_init__(self) -> None:
        _require(self.learning_rate > 0, f"learning_rate is {self.learning_rate}, not positive")
        for name in ("beta1", "beta2"):
            beta = getattr(self, name)
            _require(0 <= beta < 1, f"{name} is {beta}; it is in [0, 1)")
        _require(self.l2 >= 0, f"l2 is {self.l2}; it is not negative")
        _require(
            self.clip_norm is None or self.clip_norm > 0,
            f"clip_norm is {self.clip_norm}; it is positive, or None",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """Learning rate over the steps of a run."""

    kind: Literal["constant", "cosine", "piecewise"] = "cosine"
    """Cosine falls to 0 at the last step; piecewise multiplies by ``factor`` at ``boundaries``."""
    warm_up_epochs: float = 0.0
    """Of a linear rise from 0."""
    boundaries: tuple[float, ...] = ()
    """In epochs, rising; of piecewise alone."""
    factor: float = 0.1
    """Of piecewise alone."""

    def __post_init__(self) -> None:
        _require(
            self.warm_up_epochs >= 0, f"warm_up_epochs is {self.warm_up_epochs}; it is not negative"
        )
        _require(
            bool(self.boundaries) == (self.kind == "piecewise"),
            f"kind is {self.kind} and boundaries is {self.boundaries}: "
            "piecewise has some, the others have none",
        )
        rising = sorted(set(self.boundaries))
        _require(
            list(self.boundaries) == rising and all(boundary > 0 for boundary in rising),
            f"boundaries is {self.boundaries}; they are positive and rise",
        )
        _require(self.factor > 0, f"factor is {self.factor}; it is positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training run."""

    name: str
    description: str
    """One line for ``edgeocr-train list``."""
    task: TaskConfig
    data: DatasetConfig
    evaluation: EvaluatorConfig | None
    epochs: int
    batch_size: int
    """Samples per step and process."""
    accumulate: int = 1
    """Batches for one update, with the mean of their gradients."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    ema_decay: float | None = None
    """Of the average of the weights that is evaluated and kept instead of the last ones."""
    seed: int = 0
    workers: int = 1
    """Processes that load data, per training process; 0 loads in the training process."""
    tolerated_broken_samples: int = 20
    """More of them in a run are an error."""
    checkpoint_minutes: float = 5.0
    """A checkpoint is written this often, and after every evaluation."""
    evaluate_every_epochs: int = 1

    def __post_init__(self) -> None:
        for name, least in (
            ("epochs", 1),
            ("batch_size", 1),
            ("accumulate", 1),
            ("seed", 0),
            ("workers", 0),
            ("tolerated_broken_samples", 0),
            ("evaluate_every_epochs", 1),
        ):
            value = getattr(self, name)
            _require(value >= least, f"{name} is {value}; it is at least {least}")
        _require(
            self.ema_decay is None or 0 < self.ema_decay < 1,
            f"ema_decay is {self.ema_decay}; it is between 0 and 1, or None",
        )
        _require(
            self.checkpoint_minutes > 0,
            f"checkpoint_minutes is {self.checkpoint_minutes}; it is positive",
        )
        _require(
            self.schedule.warm_up_epochs < self.epochs,
            f"schedule.warm_up_epochs is {self.schedule.warm_up_epochs}; the run has only "
            f"{self.epochs} epochs",
        )


def _require(holds: bool, fault: str) -> None:
    if not holds:
        raise RecipeError(fault)
