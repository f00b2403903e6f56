"""The student of a recipe with the weights that a run gave it."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from edgeocr_training.checkpoint import load_weights, put_into
from edgeocr_training.compression.quantization.activation_quantizer import recorded_config
from edgeocr_training.compression.quantization.preparation import is_prepared, prepare
from edgeocr_training.errors import CheckpointError
from edgeocr_training.models.narrowing import narrow
from edgeocr_training.recipe import Recipe


def trained_student(recipe: Recipe, checkpoint: Path) -> nn.Module:
    """Builds the student, pruned or prepared for integers where the checkpoint's is, with the
    checkpoint's weights.

    Args:
        recipe: that was run.
        checkpoint: of a run, or a file of weights.

    Raises:
        CheckpointError: the file is missing, damaged, or of another recipe or network.
    """
    weights = load_weights(checkpoint)
    if weights.recipe != recipe.name:
        raise CheckpointError(f"{checkpoint} is of the recipe {weights.recipe}, not {recipe.name}")
    student = recipe.task.build_student()
    quantization = recorded_config(weights.student)
    if quantization is not None and not is_prepared(student):
        prepare(student, quantization)
    narrow(student, weights.widths, source=str(checkpoint))
    put_into(student, weights.student, source=str(checkpoint))
    return student
