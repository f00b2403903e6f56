"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from edgeocr_training.recipe import Recipe
from edgeocr_training.recipes import recipe_named

TINY = f"{Path(__file__).with_name('tiny_recipes.py')}:tiny"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small tensors gain nothing from threads, and the sums are then the same everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_name() -> str:
    """What ``edgeocr-train`` calls the recipe that a second runs."""
    return TINY


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """A recipe that takes a second."""
    return recipe_named(TINY)
