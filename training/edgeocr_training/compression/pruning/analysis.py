"""Measures the sensitivity of a network, point by point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from edgeocr_training.compression.pruning.channel_groups import ChannelGroup, channel_groups
from edgeocr_training.compression.pruning.criterion import Criterion
from edgeocr_training.compression.pruning.planning import CHANNEL_MULTIPLE
from edgeocr_training.compression.pruning.pruning import prune, staying_channels
from edgeocr_training.compression.pruning.sensitivity import (
    RATIOS,
    Curve,
    Sensitivity,
    check_ratios,
    load_sensitivity,
    save_sensitivity,
    weights_digest,
)
from edgeocr_training.compression.pruning.sensitivity_curves import draw_sensitivity
from edgeocr_training.errors import CompressionError, RecipeError
from edgeocr_training.recipe import Recipe
from edgeocr_training.recipe_json import recipe_data
from edgeocr_training.tasks.task import Evaluator


def measure_sensitivity(
    student: nn.Module,
    recipe: Recipe,
    path: Path,
    *,
    device: torch.device,
    criterion: Criterion = "fpgm",
    ratios: Sequence[float] = RATIOS,
) -> Sensitivity:
    """Prunes one group of channels at a time and measures the network as its recipe says.

    The file is written after every point, so that a call that was ended goes on where it was. A
    picture of the curves stands beside it, ``.png`` in place of its ending.

    Args:
        student: on the CPU; left as it is.
        recipe: of the student.
        path: JSON file of :mod:`.sensitivity`; one of the same student, recipe and criterion is
            added to.
        device: to measure on.
        criterion: by which channels are chosen.
        ratios: shares of a group's channels, each between 0 and 1.

    Raises:
        CompressionError: the file is of something else, or the network scores 0 before anything
            is pruned, or it can't be pruned.
        DataError: what it is measured on is missing or broken.
        RecipeError: the recipe says nothing of an evaluation.
        OSError: a file cannot be written.
    """
    check_ratios(ratios)
    if recipe.evaluation is None:
        raise RecipeError(f"{recipe.name} says nothing of an evaluation")
    groups = channel_groups(student)
    evaluator = recipe.evaluation.build()
    path.parent.mkdir(parents=True, exist_ok=True)
    sensitivity = _begun(student, recipe, evaluator, path, criterion)
    if sensitivity is None:
        unpruned = _figure(student, evaluator, device)
        if unpruned == 0:
            raise CompressionError(
                f"the {evaluator.metric} of {recipe.name} is 0 before anything is pruned: "
                "there is nothing to lose"
            )
        sensitivity = Sensitivity(
            recipe=recipe.name,
            weights=weights_digest(student),
            criterion=criterion,
            evaluation=recipe_data(recipe)["evaluation"],
            metric=evaluator.metric,
            unpruned=unpruned,
            curves={},
        )
        save_sensitivity(sensitivity, path)
    missing = [
        (group, ratio)
        for group in groups
        if group.channels > CHANNEL_MULTIPLE
        for ratio in ratios
        if group.name not in sensitivity.curves
        or ratio not in sensitivity.curves[group.name].figures
    ]
    for group, ratio in tqdm(missing, desc="sensitivity", unit="point", disable=None):
        count = max(1, round(group.channels * (1 - ratio)))
        staying = staying_channels(student, groups, {group.name: count}, criterion)
        figure = _figure(prune(student, groups, staying), evaluator, device)
        sensitivity = _with_point(sensitivity, group, ratio, figure)
        save_sensitivity(sensitivity, path)
    draw_sensitivity(sensitivity, path.with_suffix(".png"))
    return sensitivity


def _begun(
    student: nn.Module, recipe: Recipe, evaluator: Evaluator, path: Path, criterion: Criterion
) -> Sensitivity | None:
    """What the file has; None where there is none."""
    if not path.exists():
        return None
    begun = load_sensitivity(path)
    for what, theirs, ours in (
        ("recipe", begun.recipe, recipe.name),
        ("criterion", begun.criterion, criterion),
        ("metric", begun.metric, evaluator.metric),
        ("evaluation", begun.evaluation, recipe_data(recipe)["evaluation"]),
        ("weights", begun.weights, weights_digest(student)),
    ):
        if theirs != ours:
            raise CompressionError(
                f"{path} is of another {what}: {theirs}, not {ours}; choose another file"
            )
    return begun


def _figure(network: nn.Module, evaluator: Evaluator, device: torch.device) -> float:
    measured = evaluator.evaluate(network.to(device).eval(), device=device)
    return float(measured[evaluator.metric])


def _with_point(
    sensitivity: Sensitivity, group: ChannelGroup, ratio: float, figure: float
) -> Sensitivity:
    before = sensitivity.curves.get(group.name)
    curve = Curve(
        makers=group.makers,
        channels=group.channels,
        figures={**(before.figures if before else {}), ratio: figure},
    )
    return replace(sensitivity, curves={**sensitivity.curves, group.name: curve})
