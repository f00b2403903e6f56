"""The learning rate over the steps of a run."""

from __future__ import annotations

import math

from edgeocr_training.recipe import ScheduleConfig


def learning_rate(
    config: ScheduleConfig, highest: float, *, step: int, steps_per_epoch: int, epochs: int
) -> float:
    """The learning rate of the update with the number ``step``, counted from 0.

    Warm-up: ``highest * step / w`` while ``step < w``, with ``w`` its steps. Cosine, over the
    ``T`` steps that remain: ``highest * (1 + cos(pi * (step - w) / T)) / 2`` (arXiv:1608.03983).

    PaddleOCR lets the cosine begin after the warm-up, too, but stretches it over the steps of the
    whole run, so that its last steps are never made; here it ends at 0. Its boundaries of the
    piecewise schedule count from the end of the warm-up; here they count from the start.
    """
    warm_up = config.warm_up_epochs * steps_per_epoch
    if step < warm_up:
        return highest * step / warm_up
    if config.kind == "cosine":
        progress = (step - warm_up) / (epochs * steps_per_epoch - warm_up)
        return highest * (1 + math.cos(math.pi * progress)) / 2
    if config.kind == "piecewise":
        passed = sum(step >= boundary * steps_per_epoch for boundary in config.boundaries)
        return highest * config.factor**passed
    return highest
