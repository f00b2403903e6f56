"""What is trained: networks with their losses, as one module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn


class Task(nn.Module):
    """Networks and losses. ``forward`` takes the tensors of a batch and returns scalars.

    Parameters that require a gradient are trained; a frozen teacher's don't, and a teacher's
    ``state_dict`` stays out of the task's when it can be made again from its source.
    """

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The loss of a batch.

        Args:
            tensors: of a :class:`~edgeocr_training.data.sample.Batch`, on the task's device.

        Returns:
            ``loss``, which is minimised, and its parts by name, all of them scalars.
        """
        raise NotImplementedError

    @property
    def student(self) -> nn.Module:
        """The network that is evaluated, exported and shipped."""
        raise NotImplementedError

    def as_deployed(self, student: nn.Module) -> nn.Module:
        """What is measured of a student, or of the average of its weights: it, as it is shipped."""
        return student


class TaskConfig(Protocol):
    """A frozen dataclass that describes a task."""

    def build(self) -> Task:
        """Makes the task with initial weights, from the global random generator of torch.

        Raises:
            RecipeError: a value is outside of its range.
            CheckpointError: weights to start from are missing or do not fit.
        """
        ...

    def build_student(self) -> nn.Module:
        """Makes the student alone, with random weights, for those of a checkpoint.

        Neither weights to start from nor a teacher are needed.

        Raises:
            RecipeError: a value is outside of its range.
        """
        ...


class Evaluator(Protocol):
    """Measures a student on held-out data."""

    @property
    def metric(self) -> str:
        """Name of the figure by which the best weights are chosen; more is better."""
        ...

    def evaluate(self, student: nn.Module, *, device: torch.device) -> dict[str, float]:
        """Figures by name, ``metric`` among them; leaves the network's mode as it was."""
        ...
