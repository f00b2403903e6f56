"""The optimiser that a recipe asks for."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn, optim

from edgeocr_training.errors import RecipeError
from edgeocr_training.recipe import OptimizerConfig


def build_optimizer(config: OptimizerConfig, task: nn.Module) -> optim.Optimizer:
    """Adam or AdamW over all parameters of ``task`` that require a gradient.

    Adam adds ``l2`` times the weight to the gradient, after the clipping, as Paddle's L2Decay does
    (arXiv:1412.6980 with an L2 term in the loss). AdamW shrinks the weight apart from the gradient
    (arXiv:1711.05101).

    Raises:
        RecipeError: the task has no parameter to train.
    """
    trained = [parameter for parameter in task.parameters() if parameter.requires_grad]
    if not trained:
        raise RecipeError("The task has nothing to train: no parameter requires a gradient.")
    kind = optim.AdamW if config.kind == "adamw" else optim.Adam
    return kind(
        _groups(config, trained),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        # One kernel for all parameters: a small network has hundreds of small ones.
        fused=True,
    )


def _groups(
    config: OptimizerConfig, trained: Iterable[nn.Parameter]
) -> list[dict[str, list[nn.Parameter] | float]]:
    """Parameters with L2 and those without."""
    with_l2: list[nn.Parameter] = []
    without: list[nn.Parameter] = []
    for parameter in trained:
        # Norms, biases and learned scales are the vectors and numbers among the parameters.
        kernel = parameter.ndim > 1
        (with_l2 if kernel or config.l2_on_norms_and_biases else without).append(parameter)
    groups: list[dict[str, list[nn.Parameter] | float]] = [
        {"params": with_l2, "weight_decay": config.l2},
        {"params": without, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
