"""The recipes by name. Every module here names its own in a dict ``RECIPES``."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol

from edgeocr_training.errors import RecipeError
from edgeocr_training.recipe import Recipe


class RecipeFunction(Protocol):
    """Makes a recipe."""

    def __call__(self, *, data_root: str = ...) -> Recipe:
        """``data_root`` is the folder that the paths of the recipe begin with."""
        ...


def recipe_functions() -> dict[str, RecipeFunction]:
    """Functions that make the recipes, by the recipes' names."""
    functions: dict[str, RecipeFunction] = {}
    for module in pkgutil.iter_modules(__path__):
        named: dict[str, RecipeFunction] = importlib.import_module(
            f"{__name__}.{module.name}"
        ).RECIPES
        if twice := functions.keys() & named.keys():
            raise ValueError(f"recipe {min(twice)!r} of {module.name} exists already")
        functions |= named
    return functions


def recipe_named(name: str, *, data_root: str = "data") -> Recipe:
    """The recipe with this name.

    Args:
        name: as :func:`recipe_functions` has it.
        data_root: folder of the data sets and of the models that others trained.

    Raises:
        RecipeError: there is none.
    """
    functions = recipe_functions()
    if name not in functions:
        raise RecipeError(f"There is no recipe {name!r}; there are: {', '.join(sorted(functions))}")
    return functions[name](data_root=data_root)
