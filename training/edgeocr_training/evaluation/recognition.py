"""How well a recogniser reads labelled lines.

Lines are prepared and decoded by the product's own code and compared with the labels by the code
behind ``edgeocr-bench accuracy``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

from edgeocr.ctc import greedy_path
from edgeocr.pixels import input_table
from edgeocr_benchmarks.labels import LabelSet
from edgeocr_benchmarks.text_metrics import NO_LINES, LineCounts, line_counts
from edgeocr_training.data.charset import read_charset
from edgeocr_training.errors import RecipeError
from edgeocr_training.evaluation.line_batches import line_batches, load_line, read_line_labels
from edgeocr_training.evaluation.measuring import measuring
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.models.text_line import COLUMNS_PER_STEP, LINE_HEIGHT

RecognitionMetric = Literal["accuracy", "alphanumeric_accuracy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionEvaluatorConfig:
    """Labelled lines, and the characters that are read."""

    labels: tuple[str, ...]
    """Label files of lines, each as ``edgeocr-bench accuracy`` takes it."""
    charset: str
    """Name or file, see :func:`~edgeocr_training.data.charset.read_charset`."""
    metric: RecognitionMetric = "accuracy"
    """By which the best weights are chosen."""
    lines: int | None = None
    """Measures the first so many of every file; None all."""
    widths: tuple[int, ...] = (80, 160, 240, 320, 480, 640, 960)
    """That lines are shown at, in pixels; longer ones are squeezed into the last."""
    batch_size: int = 32
    threads: int | None = None
    """Of PyTorch while a CPU measures; None as they are."""

    def build(self) -> RecognitionEvaluator:
        """Reads the labels.

        Raises:
            DataError: a label file or the charset is missing or malformed, or a file is not of
                lines.
            RecipeError: a value is outside of its range.
        """
        for name, value in (("threads", self.threads), ("batch_size", self.batch_size)):
            if value is not None and value < 1:
                raise RecipeError(f"{name} is {value}; it must be at least 1")
        whole = all(width > 0 and width % COLUMNS_PER_STEP == 0 for width in self.widths)
        rising = all(narrow < wide for narrow, wide in pairwise(self.widths))
        if not (self.widths and whole and rising):
            raise RecipeError(
                f"widths is {self.widths}; they are multiples of {COLUMNS_PER_STEP} and rise"
            )
        return RecognitionEvaluator(
            self, read_line_labels(self.labels, limit=self.lines), read_charset(self.charset)
        )


class RecognitionEvaluator:
    """Share of the lines that are read without an error, and the rate of errors."""

    def __init__(
        self,
        config: RecognitionEvaluatorConfig,
        label_sets: tuple[LabelSet, ...],
        charset: tuple[str, ...],
    ) -> None:
        self._config = config
        self._label_sets = label_sets
        self._charset = charset

    @property
    def metric(self) -> str:
        return self._config.metric

    def evaluate(self, student: nn.Module, *, device: torch.device) -> dict[str, float]:
        """Measures a recogniser, in float32.

        Args:
            student: a :class:`~edgeocr_training.models.recogniser.Recogniser` on ``device``.
            device: that it is on.

        Returns:
            ``accuracy`` (lines that are equal), ``alphanumeric_accuracy`` (equal in letters and
            digits, in any case) and ``cer`` (edits per character of the labels) over all lines;
            of several label files also the same with ``_`` and the file's name for each.

        Raises:
            DataError: an image of the labels can't be read.
            RecipeError: the student is no recogniser, or has other classes than the charset.
        """
        if not isinstance(student, Recogniser):
            raise RecipeError(
                f"a {type(student).__name__} was given where a Recogniser is measured"
            )
        counts: dict[str, LineCounts] = {}
        total = sum(len(labels.images) for labels in self._label_sets)
        with (
            measuring(student, self._config.threads),
            tqdm(total=total, desc="evaluation", unit="line", leave=False, disable=None) as bar,
        ):
            for labels in self._label_sets:
                counts[labels.name] = counts.get(labels.name, NO_LINES) + self._count(
                    student, labels, device, bar
                )
        figures = _figures(sum(counts.values(), start=NO_LINES), "")
        if len(counts) > 1:
            for name, count in counts.items():
                figures |= _figures(count, f"_{name}")
        return figures

    def _count(
        self, recogniser: Recogniser, labels: LabelSet, device: torch.device, bar: tqdm[None]
    ) -> LineCounts:
        total = NO_LINES
        batches = line_batches(
            (load_line(labelled.image) for labelled in labels.images),
            table=input_table(
                mean=recogniser.mean, std=recogniser.std, channel_order="BGR", scale=None
            ),
            height=LINE_HEIGHT,
            widths=self._config.widths,
            batch_size=self._config.batch_size,
        )
        for batch in batches:
            with torch.inference_mode():
                logits_BTK = recogniser(batch.image_B3HW.to(device)).logits_BTK
            texts = greedy_texts(logits_BTK, self._charset)
            for place, text in zip(batch.places, texts, strict=True):
                expected = labels.images[place].text
                total += line_counts(expected, text, fold_case=labels.fold_case)
            bar.update(len(texts))
        return total


def greedy_texts(logits_BTK: Tensor, charset: Sequence[str]) -> list[str]:
    """What lines read, decoded as the product decodes them.

    Raises:
        RecipeError: the charset has not as many characters as there are classes beside the blank.
    """
    if logits_BTK.shape[2] != len(charset) + 1:
        raise RecipeError(
            f"the recogniser has {logits_BTK.shape[2]} classes, the charset {len(charset)} "
            "characters: it must be one less"
        )
    paths = [
        greedy_path(logits_TK, outputs="logits") for logits_TK in logits_BTK.float().cpu().numpy()
    ]
    return ["".join(charset[index - 1] for index in path.indices) for path in paths]


def _figures(counts: LineCounts, suffix: str) -> dict[str, float]:
    return {
        f"accuracy{suffix}": counts.accuracy,
        f"alphanumeric_accuracy{suffix}": counts.alphanumeric_accuracy,
        f"cer{suffix}": counts.cer,
    }
