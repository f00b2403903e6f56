"""Settings of a recipe from the command line: ``--set optimizer.learning_rate=0.0005``."""

from __future__ import annotations

import difflib
import json
import math
import types
import typing
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias

from edgeocr_training.errors import RecipeError
from edgeocr_training.recipe import Recipe

_Tree: TypeAlias = "dict[str, str | _Tree]"
"""Texts by key, nested as the recipe is."""


def with_settings(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with some of its values changed.

    Args:
        recipe: stays as it is.
        settings: ``key=value`` each. A dot in a key leads into a part. Values are read as the
            field is annotated: ``none`` for None, ``true`` or ``false``, and tuples with commas
            or as JSON lists.

    Raises:
        RecipeError: a key does not exist, or a value is of the wrong type or out of its range.
    """
    tree: _Tree = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"A setting is key=value, not {setting!r}")
        *parts, name = key.strip().split(".")
        branch = tree
        for part in parts:
            below = branch.setdefault(part, {})
            if isinstance(below, str):
                raise RecipeError(f"{key}: {part} was set to {below!r} before, as a whole")
            branch = below
        branch[name] = text.strip()
    changed: Recipe = _changed(recipe, tree, "")
    return changed


def setting_keys(config: Any, prefix: str = "") -> list[str]:
    """All keys that can be set, dotted."""
    keys: list[str] = []
    for field in fields(config):
        value = getattr(config, field.name)
        key = f"{prefix}{field.name}"
        keys += setting_keys(value, f"{key}.") if is_dataclass(value) else [key]
    return keys


def _changed(config: Any, tree: _Tree, prefix: str) -> Any:
    """A copy with all the changes at once: they may be valid only together."""
    annotations = typing.get_type_hints(type(config))
    changes = {}
    for name, wanted in tree.items():
        key = f"{prefix}{name}"
        if name not in {field.name for field in fields(config)}:
            raise RecipeError(_unknown(config, key, prefix))
        value = getattr(config, name)
        if isinstance(wanted, dict):
            if not is_dataclass(value):
                raise RecipeError(f"{key} is {value!r} here and has no parts to set")
            changes[name] = _changed(value, wanted, f"{key}.")
        elif is_dataclass(value) and wanted.lower() != "none":
            parts = ", ".join(setting_keys(value, f"{key}."))
            raise RecipeError(f"{key} has parts; set one of them: {parts}")
        else:
            try:
                changes[name] = _parsed(wanted, annotations[name])
            except ValueError as error:
                raise RecipeError(f"{key}={wanted}: {error}") from None
    try:
        return replace(config, **changes)
    except RecipeError as error:
        raise RecipeError(f"{prefix}{error}") from None


def _unknown(config: Any, key: str, prefix: str) -> str:
    valid = setting_keys(config, prefix)
    close = difflib.get_close_matches(key, valid, n=1)
    question = f" Did you mean {close[0]}?" if close else ""
    return f"There is no setting {key!r}.{question} There are: {', '.join(valid)}"


def _parsed(text: str, annotation: Any) -> Any:
    """The value that ``text`` means in a field with this annotation.

    Raises:
        ValueError: it means none.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _parsed_union(text, arguments)
    if origin is typing.Literal:
        for choice in arguments:
            if text == str(choice):
                return choice
        raise ValueError(f"it is one of {', '.join(map(str, arguments))}")
    if origin is tuple:
        return _parsed_tuple(text, arguments)
    if annotation is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError("it is true or false")
        return text.lower() == "true"
    if annotation is int:
        return _number(int, text, "a whole number")
    if annotation is float:
        number = _number(float, text, "a number")
        if not math.isfinite(number):
            raise ValueError("it is a finite number")
        return number
    if annotation in (str, Path):
        return annotation(text)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        for member in annotation:
            if text == str(member.value):
                return member
        raise ValueError(f"it is one of {', '.join(str(member.value) for member in annotation)}")
    raise ValueError("it cannot be set in this way; write a recipe of your own")


def _parsed_union(text: str, arguments: tuple[Any, ...]) -> Any:
    if text.lower() == "none" and types.NoneType in arguments:
        return None
    reasons = []
    for argument in arguments:
        if argument is not types.NoneType:
            try:
                return _parsed(text, argument)
            except ValueError as error:
                reasons.append(str(error))
    none = ", or none" if types.NoneType in arguments else ""
    raise ValueError(", or ".join(reasons) + none)


def _parsed_tuple(text: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    items = [item.strip() for item in text.split(",")] if text else []
    if text.startswith("["):
        try:
            listed = json.loads(text)
        except json.JSONDecodeError:
            raise ValueError("it begins like a JSON list, but is none") from None
        items = [item if isinstance(item, str) else json.dumps(item) for item in listed]
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(items)
    if len(items) != len(arguments):
        raise ValueError(f"it is {len(arguments)} values with commas between them")
    return tuple(_parsed(item, argument) for item, argument in zip(items, arguments, strict=True))


def _number(kind: type[int] | type[float], text: str, what: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"it is {what}") from None
