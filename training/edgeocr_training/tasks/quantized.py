"""Any task whose student learns as the integers that it will be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from edgeocr_training.compression.quantization.activation_quantizer import (
    QuantizationConfig,
    clip_penalty,
    recorded_config,
)
from edgeocr_training.compression.quantization.integer_network import integer_student
from edgeocr_training.compression.quantization.preparation import prepare
from edgeocr_training.errors import QuantizationError
from edgeocr_training.models.own_weights import load_student, student_tensors
from edgeocr_training.tasks.task import Task, TaskConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedTaskConfig:
    """A task in float, what its student learnt there, and how it becomes integers."""

    task: TaskConfig
    """With or without a teacher; the weights that it names for its student are replaced."""
    weights: str
    """File of the student's weights, pruned or not: ``best.pt`` of the task's run, or what
    ``edgeocr-train quantize`` made of it. Ranges that are there are where training begins."""
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)

    def build(self) -> QuantizedTask:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build`.

        Raises:
            QuantizationError: the student has an operator without an integer form, or the weights
                have ranges of the other form.
        """
        task, path = self.task.build(), Path(self.weights)
        calibrated = recorded_config(student_tensors(path))
        if calibrated is None:
            load_student(task.student, path)
            prepare(task.student, self.quantization)
        elif calibrated.form == self.quantization.form:
            prepare(task.student, self.quantization)
            load_student(task.student, path)
        else:
            raise QuantizationError(
                f"{path} has {calibrated.form} ranges, and training wants "
                f"{self.quantization.form} ones: start from weights without ranges"
            )
        return QuantizedTask(task, self.quantization)

    def build_student(self) -> nn.Module:
        """See :meth:`~edgeocr_training.tasks.task.TaskConfig.build_student`."""
        return prepare(self.task.build_student(), self.quantization)


class QuantizedTask(Task):
    """``loss`` is that of the task, plus ``clips``: PACT's penalty on the learnt clips.

    Where two students learn from one another, the first one, which is shipped, is quantized, and
    the second stays float.
    """

    def __init__(self, task: Task, config: QuantizationConfig) -> None:
        super().__init__()
        self._task = task
        self._config = config

    def forward(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Takes what the task takes, and gives its parts too."""
        image = tensors["image"]
        # bfloat16 has 8 bits: it can't tell the integers apart that are simulated.
        with torch.autocast(image.device.type, enabled=False):
            losses: dict[str, Tensor] = self._task(tensors)
        clips = clip_penalty(self.student, self._config)
        return {**losses, "loss": losses["loss"] + clips, "clips": clips}

    @property
    def student(self) -> nn.Module:
        return self._task.student

    def as_deployed(self, student: nn.Module) -> nn.Module:
        """The same in integers: training rounds in floats, and where two integers are equally near
        it may take the other one, which moves the next layer's.
        """
        return integer_student(student)
