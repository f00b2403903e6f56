"""A recipe as plain data: shown, kept beside a run, and compared with a checkpoint's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from edgeocr_training.recipe import Recipe

_WITHOUT_EFFECT_ON_THE_WEIGHTS = (
    "description",
    "workers",
    "tolerated_broken_samples",
    "checkpoint_minutes",
    "evaluate_every_epochs",
)
"""Fields of a recipe that may change in the middle of a run."""


def recipe_data(recipe: Recipe) -> dict[str, Any]:
    """Nested dicts, lists, strings, numbers and None; ``type`` is the class of a part."""
    data: dict[str, Any] = _plain(recipe)
    return data


def fingerprint(data: Mapping[str, Any]) -> str:
    """SHA-256 over all of :func:`recipe_data` that decides the weights."""
    deciding = {
        name: value for name, value in data.items() if name not in _WITHOUT_EFFECT_ON_THE_WEIGHTS
    }
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What decides the weights and differs, as ``key: theirs, not ours``."""
    flat_theirs, flat_ours = dict(_flat(theirs)), dict(_flat(ours))
    keys = [*flat_ours, *(key for key in flat_theirs if key not in flat_ours)]
    return [
        f"{key}: {flat_theirs.get(key)!r}, not {flat_ours.get(key)!r}"
        for key in keys
        if flat_theirs.get(key) != flat_ours.get(key)
        and key.split(".")[0] not in _WITHOUT_EFFECT_ON_THE_WEIGHTS
    ]


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"type": type(value).__name__, **parts}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    for plain in (int, float, str):
        if isinstance(value, plain):
            return plain(value)  # NumPy's float is one, too, and no plain data.
    raise TypeError(f"a recipe cannot hold a {type(value).__name__}: {value!r}")


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
