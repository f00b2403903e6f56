"""The recipes by name. Every module here names its own in a dict ``RECIPES``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from edgeocr_training.errors import RecipeError
from edgeocr_training.recipe import Recipe


def recipe_functions() -> dict[str, Callable[[], Recipe]]:
    """Functions that make the recipes, by the recipes' names."""
    functions: dict[str, Callable[[], Recipe]] = {}
    for module in pkgutil.iter_modules(__path__):
        named: dict[str, Callable[[], Recipe]] = importlib.import_module(
            f"{__name__}.{module.name}"
        ).RECIPES
        if twice := functions.keys() & named.keys():
            raise ValueError(f"recipe {min(twice)!r} of {module.name} exists already")
        functions |= named
    return functions


def recipe_named(name: str) -> Recipe:
    """The recipe with this name.

    Raises:
        RecipeError: there is none.
    """
    functions = recipe_functions()
    if name not in functions:
        raise RecipeError(f"There is no recipe {name!r}; there are: {', '.join(sorted(functions))}")
    return functions[name]()
