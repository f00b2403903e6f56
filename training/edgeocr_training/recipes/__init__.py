"""The recipes by name. Every module here names its own in a dict ``RECIPES``.

So may a file outside of the package: its recipes are called ``path/to/file.py:name``.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
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
        name: as :func:`recipe_functions` has it, or ``path/to/file.py:name``.
        data_root: folder of the data sets and of the models that others trained.

    Raises:
        RecipeError: there is none.
    """
    file, colon, own_name = name.rpartition(":")
    if colon and file.endswith(".py"):
        functions, name = _functions_of_file(Path(file)), own_name
    else:
        functions = recipe_functions()
    if name not in functions:
        raise RecipeError(f"There is no recipe {name!r}; there are: {', '.join(sorted(functions))}")
    return functions[name](data_root=data_root)


def _functions_of_file(file: Path) -> dict[str, RecipeFunction]:
    file = file.resolve()
    if not file.is_file():
        raise RecipeError(f"There is no file of recipes {file}")
    # By its name, not by its path: processes that load data may have to import it, too.
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    try:
        module = importlib.import_module(file.stem)
    except Exception as error:
        raise RecipeError(f"{file} does not import: {type(error).__name__}: {error}") from error
    if module.__file__ is None or Path(module.__file__).resolve() != file:
        raise RecipeError(f"{file.stem} is another module already: give {file} another name")
    if not hasattr(module, "RECIPES"):
        raise RecipeError(f"{file} has no dict RECIPES that names its recipes")
    functions: dict[str, RecipeFunction] = module.RECIPES
    return functions
