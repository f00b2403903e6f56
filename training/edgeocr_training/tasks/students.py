"""Detectors that learn from labels, alone or two together."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from edgeocr_training.errors import RecipeError
from edgeocr_training.losses.db_loss import DbLoss, DbLossTerms
from edgeocr_training.losses.db_targets import db_targets, size_of
from edgeocr_training.losses.distillation import DistillationLoss
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.models.interfaces import DbMaps


def two_students(
    config: DetectorConfig, initial_weights: InitialWeights
) -> tuple[Detector, Detector]:
    """Two detectors of one kind that differ in every weight that is not loaded.

    Raises:
        RecipeError: all weights are loaded, so that neither can learn from the other.
        CheckpointError: the weights are missing or do not fit.
    """
    first, second = config.build(), config.build()
    initial_weights.load_into(first)
    initial_weights.load_into(second)
    if all(map(torch.equal, first.parameters(), second.parameters())):
        raise RecipeError(
            "both students would start from the same weights and stay the same: load parts of them"
        )
    return first, second


def part_losses(terms: DbLossTerms) -> dict[str, Tensor]:
    """The parts of a loss against labels by name, before they are weighted."""
    return {
        "probability": terms.probability,
        "binary": terms.binary,
        "threshold": terms.threshold,
    }


def learn_labels(
    detector: Detector, tensors: Mapping[str, Tensor], loss: DbLoss
) -> tuple[DbMaps, DbLossTerms]:
    """A student's maps of a batch, and its loss against the labels.

    Args:
        detector: the student.
        tensors: ``image`` (B, S, S, 3) uint8 BGR and the labels of
            :func:`~edgeocr_training.losses.db_targets.db_targets`.
        loss: against the labels.
    """
    maps: DbMaps = detector(detector.normalise(tensors["image"]))
    return maps, loss(maps, db_targets(tensors, size=size_of(maps)))


def learn_distillation(
    maps: DbMaps, tensors: Mapping[str, Tensor], teacher_map_B1HW: Tensor, loss: DistillationLoss
) -> Tensor:
    """A student's loss against its teacher, where the labels' mask lets it count.

    Args:
        maps: of the student.
        tensors: ``shrink_mask`` (B, S, S) uint8, of the batch.
        teacher_map_B1HW: probabilities, S x S pixels.
        loss: against the teacher.
    """
    mask_B1HW = tensors["shrink_mask"].unsqueeze(1).float()
    return loss(maps, teacher_map_B1HW, mask_B1HW)
