"""A trained student and how much is to go of it, to a file of weights to be trained further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from edgeocr_training.checkpoint import Weights, load_weights, save_weights
from edgeocr_training.compression.pruning.channel_groups import (
    ChannelGroup,
    channel_groups,
    without,
)
from edgeocr_training.compression.pruning.criterion import Criterion
from edgeocr_training.compression.pruning.inference import inference_of
from edgeocr_training.compression.pruning.planning import (
    CHANNEL_MULTIPLE,
    LARGEST_RATIO,
    counts_by_loss,
    counts_by_ratio,
    counts_for_macs,
)
from edgeocr_training.compression.pruning.pruning import prune, staying_channels
from edgeocr_training.compression.pruning.sensitivity import (
    Sensitivity,
    load_sensitivity,
    weights_digest,
)
from edgeocr_training.errors import CompressionError
from edgeocr_training.models.complexity import count_parameters
from edgeocr_training.models.narrowing import widths_beside
from edgeocr_training.recipe import Recipe
from edgeocr_training.trained_student import trained_student


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneConfig:
    """How much goes, and which channels."""

    flops: float | None = None
    """Share of the multiply-accumulates of inference that goes, between 0 and 1; at least."""
    max_loss: float | None = None
    """Relative loss that pruning a single layer may cost; instead of ``flops``."""
    sensitivity: str | None = None
    """File of curves. None prunes all layers by the same ratio."""
    criterion: Criterion = "fpgm"
    skip: tuple[str, ...] = ()
    """Layers, or parts of the network, that stay as they are."""

    def __post_init__(self) -> None:
        if (self.flops is None) == (self.max_loss is None):
            raise CompressionError(
                "say how much is to go: either flops or max_loss, and not both of them"
            )
        if self.flops is not None and not 0 < self.flops < 1:
            raise CompressionError(f"flops is {self.flops:g}; it is a share between 0 and 1")
        if self.max_loss is not None and not 0 < self.max_loss < 1:
            raise CompressionError(f"max_loss is {self.max_loss:g}; it is between 0 and 1")
        if self.max_loss is not None and self.sensitivity is None:
            raise CompressionError(
                "max_loss needs a sensitivity: `edgeocr-train sensitivity` measures it"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedLayers:
    """Layers that lost channels together."""

    makers: tuple[str, ...]
    channels: int
    """That they had."""
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What pruning did to a student."""

    macs: int
    """Multiply-accumulates of inference, before: of 640x640 pixels, of 32x320, or of the
    classifier's own."""
    kept_macs: int
    parameters: int
    """Before; of all that is trained."""
    kept_parameters: int
    layers: tuple[PrunedLayers, ...]


def prune_checkpoint(recipe: Recipe, checkpoint: Path, out: Path, *, config: PruneConfig) -> Pruned:
    """Writes the weights of a pruned student, with the widths by which it is built again.

    Args:
        recipe: of the student.
        checkpoint: of a run, or a file of weights.
        out: file of weights.
        config: how much goes, and which channels.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another recipe, or the file
            cannot be written.
        CompressionError: the student can't be pruned so, or the sensitivity is of another one.
    """
    if out.exists() and checkpoint.exists() and out.samefile(checkpoint):
        raise CompressionError(f"{out} is the checkpoint itself: choose another file")
    student = trained_student(recipe, checkpoint)
    sensitivity = _sensitivity_of(student, recipe, config) if config.sensitivity else None
    groups = channel_groups(student)
    counts = _counts(student, without(groups, config.skip), config, sensitivity)
    staying = staying_channels(student, groups, counts, config.criterion)
    if not staying:
        raise CompressionError(
            f"nothing can go of {checkpoint} at a loss of {config.max_loss}: no layer can do "
            f"without {CHANNEL_MULTIPLE} channels"
        )
    pruned = prune(student, groups, staying)
    save_weights(
        Weights(
            recipe=recipe.name,
            step=load_weights(checkpoint).step,
            metrics={},
            student=pruned.state_dict(),
            widths=widths_beside(pruned, recipe.task.build_student()),
        ),
        out,
    )
    return Pruned(
        macs=inference_of(student).macs,
        kept_macs=inference_of(pruned).macs,
        parameters=count_parameters(student),
        kept_parameters=count_parameters(pruned),
        layers=tuple(
            PrunedLayers(
                makers=group.makers, channels=group.channels, kept=len(staying[group.name])
            )
            for group in groups
            if group.name in staying
        ),
    )


def _sensitivity_of(student: nn.Module, recipe: Recipe, config: PruneConfig) -> Sensitivity:
    assert config.sensitivity is not None
    sensitivity = load_sensitivity(Path(config.sensitivity))
    for what, theirs, ours in (
        ("recipe", sensitivity.recipe, recipe.name),
        ("criterion", sensitivity.criterion, config.criterion),
        ("weights", sensitivity.weights, weights_digest(student)),
    ):
        if theirs != ours:
            raise CompressionError(
                f"{config.sensitivity} is of another {what}: {theirs}, not {ours}; measure the "
                "sensitivity of what is pruned"
            )
    ratios = {ratio for curve in sensitivity.curves.values() for ratio in curve.figures}
    for name, curve in sensitivity.curves.items():
        if curve.figures.keys() != ratios:
            raise CompressionError(
                f"{config.sensitivity} is not finished at {name}: let `edgeocr-train sensitivity` "
                "go on"
            )
    return sensitivity


def _counts(
    student: nn.Module,
    groups: Sequence[ChannelGroup],
    config: PruneConfig,
    sensitivity: Sensitivity | None,
) -> dict[str, int]:
    """Channels that the groups keep."""
    if config.max_loss is not None:
        assert sensitivity is not None
        return counts_by_loss(groups, sensitivity, config.max_loss)
    assert config.flops is not None
    if sensitivity is None:
        return counts_for_macs(
            student,
            groups,
            config.flops,
            counts_at=lambda ratio: counts_by_ratio(groups, ratio),
            hardest=LARGEST_RATIO,
        )
    curves = sensitivity
    return counts_for_macs(
        student,
        groups,
        config.flops,
        counts_at=lambda loss: counts_by_loss(groups, curves, loss),
        hardest=sensitivity.largest_loss(),
    )
