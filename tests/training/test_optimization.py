"""The optimiser against its equations."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edgeocr_training.errors import RecipeError
from edgeocr_training.optimization import build_optimizer
from edgeocr_training.recipe import OptimizerConfig

STEPS = 5


def trained(config: OptimizerConfig, gradients: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights of a linear layer after steps with the given gradients (T, 2, 3)."""
    layer = nn.Linear(3, 2, bias=False).double()
    nn.init.constant_(layer.weight, 0.5)
    optimizer = build_optimizer(config, layer)
    for gradient in gradients:
        layer.weight.grad = torch.from_numpy(gradient)
        optimizer.step()
    return layer.weight.detach().numpy()


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_it_follows_the_equations(kind: Literal["adam", "adamw"]) -> None:
    """Paddle's Adam with L2Decay, and decoupled decay, written down once more in NumPy."""
    config = OptimizerConfig(kind=kind, learning_rate=0.01, beta1=0.8, beta2=0.95, l2=0.1)
    gradients = np.random.default_rng(0).normal(size=(STEPS, 2, 3))
    weight: NDArray[np.float64] = np.full((2, 3), 0.5)
    first, second = np.zeros((2, 3)), np.zeros((2, 3))
    for step, gradient in enumerate(gradients, start=1):
        if kind == "adamw":
            weight = weight - 0.01 * 0.1 * weight
            total = gradient
        else:
            total = gradient + 0.1 * weight
        first = 0.8 * first + 0.2 * total
        second = 0.95 * second + 0.05 * total**2
        rate = 0.01 * np.sqrt(1 - 0.95**step) / (1 - 0.8**step)
        weight = weight - rate * first / (np.sqrt(second) + 1e-8 * np.sqrt(1 - 0.95**step))
    # Both compute in float64.
    np.testing.assert_allclose(trained(config, gradients), weight, rtol=1e-10)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def moved_without_a_gradient(l2_on_norms_and_biases: bool) -> dict[str, bool]:
    """Which parameters of :func:`network` L2 alone moves."""
    layers = network()
    for parameter in layers.parameters():
        nn.init.constant_(parameter, 0.5)
        parameter.grad = torch.zeros_like(parameter)
    config = OptimizerConfig(l2=0.1, l2_on_norms_and_biases=l2_on_norms_and_biases)
    build_optimizer(config, layers).step()
    return {
        name: not torch.equal(parameter, torch.full_like(parameter, 0.5))
        for name, parameter in layers.named_parameters()
    }


def test_l2_leaves_norms_and_biases_where_the_recipe_says_so() -> None:
    assert all(moved_without_a_gradient(True).values())
    moved = moved_without_a_gradient(False)
    assert {name for name in moved if moved[name]} == {"0.weight", "2.weight"}


def test_what_is_frozen_is_not_touched() -> None:
    layers = network()
    layers[0].requires_grad_(False)
    groups: list[dict[str, Any]] = build_optimizer(OptimizerConfig(), layers).param_groups
    ids = {id(parameter) for group in groups for parameter in group["params"]}
    assert ids == {
        id(parameter) for parameter in (*layers[1].parameters(), *layers[2].parameters())
    }


def test_nothing_to_train_is_an_error() -> None:
    with pytest.raises(RecipeError, match="nothing to train"):
        build_optimizer(OptimizerConfig(), network().requires_grad_(False))


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": 0.0},
        {"beta1": 1.0},
        {"beta2": -0.1},
        {"l2": -1e-4},
        {"clip_norm": 0.0},
    ],
)
def test_a_value_out_of_its_range_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=next(iter(values))):
        OptimizerConfig(**values)  # type: ignore[arg-type]
