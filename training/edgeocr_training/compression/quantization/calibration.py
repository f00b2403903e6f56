"""Post-training quantization: ranges from samples, weights as they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from edgeocr_training.checkpoint import Weights, load_weights, save_weights
from edgeocr_training.compression.quantization.activation_quantizer import (
    QuantizationConfig,
    quantizers,
)
from edgeocr_training.compression.quantization.channel_equalisation import equalise_channels
from edgeocr_training.compression.quantization.layers import set_mode
from edgeocr_training.compression.quantization.lowering import convert
from edgeocr_training.compression.quantization.preparation import is_prepared, prepare
from edgeocr_training.compression.quantization.range_estimation import Method, estimate_range
from edgeocr_training.data.loader import TrainingLoader
from edgeocr_training.errors import QuantizationError
from edgeocr_training.models.classifier import Classifier
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.narrowing import widths_beside
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.recipe import Recipe
from edgeocr_training.trained_student import trained_student

EQUALISED_ON: Final = 2
"""Batches at most: the network runs on them once for every layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationConfig:
    """How ranges are found."""

    method: Method = "mse"
    batches: int = 8
    """Of the recipe's training data."""
    equalise: bool = False
    """Whether channels are brought to like ranges before; see :mod:`.channel_equalisation`."""
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)

    def __post_init__(self) -> None:
        if self.batches < 1:
            raise QuantizationError(f"batches is {self.batches}; it is positive")


@torch.no_grad()
def calibrate(student: nn.Module, images: Iterable[Tensor], method: Method) -> None:
    """Gives every activation of a prepared student a range.

    Args:
        student: from :func:`~edgeocr_training.compression.quantization.preparation.prepare`; it
            is left in eval mode.
        images: batches (B, H, W, 3) uint8 BGR.
        method: see :mod:`~edgeocr_training.compression.quantization.range_estimation`.

    Raises:
        QuantizationError: the student is not prepared, or there are no images.
    """
    if not is_prepared(student) or not isinstance(student, Detector | Recogniser | Classifier):
        raise QuantizationError(f"this {type(student).__name__} is not prepared for integers")
    student.eval()
    set_mode(student, "observe")
    for image_BHW3 in images:
        student(student.normalise(image_BHW3))
    set_mode(student, "quantize")
    for _, quantizer in quantizers(student):
        if quantizer.histogram is None:
            raise QuantizationError(f"{quantizer.name} has seen nothing: there were no images")
        quantizer.set_range(*estimate_range(quantizer.histogram, method))
        quantizer.histogram = None


def quantize_checkpoint(
    recipe: Recipe, checkpoint: Path, out: Path, *, config: CalibrationConfig, device: torch.device
) -> nn.Module:
    """Writes the weights of a student with ranges from its recipe's training data.

    Args:
        recipe: of the student, in float.
        checkpoint: of its run, or a file of weights.
        out: file of weights, for ``edgeocr-convert checkpoint``, ``edgeocr-train eval`` and
            ``export``.
        config: how ranges are found.
        device: that computes.

    Returns:
        The student.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another recipe, or the file
            cannot be written.
        DataError: the data is missing or broken.
        QuantizationError: the student has no integer form, or is quantized already.
    """
    if out.exists() and checkpoint.exists() and out.samefile(checkpoint):
        raise QuantizationError(f"{out} is the checkpoint itself: choose another file")
    student = trained_student(recipe, checkpoint)
    if is_prepared(student):
        raise QuantizationError(f"{checkpoint} is quantized already")
    student.to(device)
    loader = TrainingLoader(
        recipe.data.build(),
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        workers=recipe.workers,
        tolerated_broken=recipe.tolerated_broken_samples,
    )
    try:
        batches = itertools.chain.from_iterable(map(loader.epoch, itertools.count()))
        images = [
            batch.tensors["image"].to(device) for batch in itertools.islice(batches, config.batches)
        ]
        if config.equalise:
            equalise_channels(student, images[:EQUALISED_ON])
        calibrate(prepare(student, config.quantization).to(device), images, config.method)
    finally:
        loader.close()
    convert(student)  # an error is better noticed before a file is there
    as_built = prepare(recipe.task.build_student(), config.quantization)
    save_weights(
        Weights(
            recipe=recipe.name,
            step=load_weights(checkpoint).step,
            metrics={},
            student=student.state_dict(),
            widths=widths_beside(student, as_built),
        ),
        out,
    )
    return student
