"""How well a classifier tells which labelled lines stand on their head.

Every line is shown as it is, upright, and turned by 180 degrees. Lines whose text says nothing
about the direction, such as "HO", are left out, as in training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from edgeocr.pixels import input_table
from edgeocr_benchmarks.labels import LabelSet
from edgeocr_training.data.direction_dataset import direction_fault
from edgeocr_training.errors import DataError, RecipeError
from edgeocr_training.evaluation.line_batches import line_batches, load_line, read_line_labels
from edgeocr_training.evaluation.measuring import measuring
from edgeocr_training.models.classifier import Classifier

_DIRECTIONS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationEvaluatorConfig:
    """Lines that stand upright."""

    labels: tuple[str, ...]
    """Label files of lines, each as ``edgeocr-bench accuracy`` takes it."""
    lines: int | None = None
    """Measures the first so many of every file; None all."""
    batch_size: int = 64
    threads: int | None = None
    """Of PyTorch while a CPU measures; None as they are."""

    def build(self) -> ClassificationEvaluator:
        """Reads the labels.

        Raises:
            DataError: a label file is missing, malformed or not of lines, or none of its lines
                has a direction.
            RecipeError: a value is outside of its range.
        """
        for name, value in (("threads", self.threads), ("batch_size", self.batch_size)):
            if value is not None and value < 1:
                raise RecipeError(f"{name} is {value}; it must be at least 1")
        label_sets = read_line_labels(self.labels, limit=self.lines)
        return ClassificationEvaluator(self, tuple(map(_with_direction, label_sets)))


class ClassificationEvaluator:
    """Share of the lines whose direction is told rightly."""

    metric: Final = "accuracy"

    def __init__(
        self, config: ClassificationEvaluatorConfig, label_sets: tuple[LabelSet, ...]
    ) -> None:
        self._config = config
        self._label_sets = label_sets

    def evaluate(self, student: nn.Module, *, device: torch.device) -> dict[str, float]:
        """Measures a classifier, in float32.

        Args:
            student: a :class:`~edgeocr_training.models.classifier.Classifier` on ``device``.
            device: that it is on.

        Returns:
            ``accuracy`` over all lines, both ways, and ``accuracy_upright`` and
            ``accuracy_turned`` over each; of several label files also ``accuracy_`` and the
            file's name for each. A line is turned if that is the likelier.

        Raises:
            DataError: an image of the labels can't be read.
            RecipeError: the student is no classifier.
        """
        if not isinstance(student, Classifier):
            raise RecipeError(
                f"a {type(student).__name__} was given where a Classifier is measured"
            )
        right: dict[str, NDArray[np.int64]] = {}
        lines: dict[str, int] = {}
        total = sum(len(labels.images) for labels in self._label_sets)
        with (
            measuring(student, self._config.threads),
            tqdm(total=total, desc="evaluation", unit="line", leave=False, disable=None) as bar,
        ):
            for labels in self._label_sets:
                right_2 = self._right(student, labels, device, bar)
                right[labels.name] = right.get(labels.name, 0) + right_2
                lines[labels.name] = lines.get(labels.name, 0) + len(labels.images)
        upright, turned = (np.sum(list(right.values()), axis=0) / sum(lines.values())).tolist()
        figures = {
            "accuracy": (upright + turned) / _DIRECTIONS,
            "accuracy_upright": upright,
            "accuracy_turned": turned,
        }
        if len(right) > 1:
            for name, right_2 in right.items():
                figures[f"accuracy_{name}"] = float(right_2.sum()) / (_DIRECTIONS * lines[name])
        return figures

    def _right(
        self, classifier: Classifier, labels: LabelSet, device: torch.device, bar: tqdm[None]
    ) -> NDArray[np.int64]:
        """How many upright lines are told rightly, and how many turned ones."""
        right_2 = np.zeros(_DIRECTIONS, dtype=np.int64)
        batches = line_batches(
            _both_ways(labels),
            table=input_table(
                mean=classifier.mean, std=classifier.std, channel_order="BGR", scale=None
            ),
            height=classifier.height,
            widths=(classifier.width,),
            batch_size=self._config.batch_size,
        )
        for batch in batches:
            with torch.inference_mode():
                found_B = classifier(batch.image_B3HW.to(device)).argmax(dim=1).cpu().numpy()
            written_B = np.array(batch.places) % _DIRECTIONS
            right_2 += np.bincount(written_B[found_B == written_B], minlength=_DIRECTIONS)
            bar.update(int((written_B == 0).sum()))
        return right_2


def _with_direction(labels: LabelSet) -> LabelSet:
    images = tuple(image for image in labels.images if direction_fault(image.text) is None)
    if not images:
        raise DataError(f"{labels.name}: none of its lines tells its direction")
    return replace(labels, images=images)


def _both_ways(labels: LabelSet) -> Iterator[NDArray[np.uint8]]:
    """Upright at even places, turned at odd ones."""
    for labelled in labels.images:
        line = load_line(labelled.image)
        yield line
        yield np.ascontiguousarray(line[::-1, ::-1])
