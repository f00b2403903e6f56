"""The state of a run, and the weights of a student, as files.

Both hold tensors and plain data only, so loading one runs no code of its author's. They are
written beside and then renamed: whatever happens, there is a whole file or the one before.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from edgeocr.whole_files import write_whole
from edgeocr_training.errors import CheckpointError
from edgeocr_training.models.narrowing import Widths


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """Everything that a run needs to go on as if it had never stopped.

    The order of the data and all random numbers follow from the recipe and the step.
    """

    recipe: Mapping[str, Any]
    """As :func:`~edgeocr_training.recipe_json.recipe_data` gives it."""
    fingerprint: str
    """Of the recipe."""
    world_size: int
    """Processes that trained together: they decide how many samples a step has."""
    step: int
    """Updates that were made."""
    evaluated_step: int
    """Updates that had been made at the last evaluation; 0 before the first one."""
    metrics: Mapping[str, float]
    """Of the last evaluation."""
    best_metrics: Mapping[str, float]
    """Of the best evaluation."""
    task: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    student: Mapping[str, Tensor]
    """What is evaluated: the averaged weights where the recipe averages, else the task's own."""
    widths: Widths = field(default_factory=dict)
    """Of the student's layers that were pruned."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """A student's tensors and where they come from."""

    recipe: str
    """Name of the recipe."""
    step: int
    """Updates that were made."""
    metrics: Mapping[str, float]
    """What the student reached; empty where it was not evaluated."""
    student: Mapping[str, Tensor]
    widths: Widths = field(default_factory=dict)
    """Of the student's layers that were pruned."""


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes the file whole or not at all.

    Raises:
        CheckpointError: it cannot be written; what was there before is still there.
    """
    _save(checkpoint, path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads the state of a run, onto the CPU.

    Raises:
        CheckpointError: the file is missing, damaged, or no checkpoint of this version.
    """
    return _load(Checkpoint, path)


def save_weights(weights: Weights, path: Path) -> None:
    """Writes the file whole or not at all.

    Raises:
        CheckpointError: it cannot be written; what was there before is still there.
    """
    _save(weights, path)


def load_weights(path: Path) -> Weights:
    """Reads a student's weights, from a file of weights or from the checkpoint of a run.

    Raises:
        CheckpointError: the file is missing, damaged, or neither of the two.
    """
    content = _content(path)
    if content.get("kind") != Checkpoint.__name__:
        return _made_of(Weights, content, path)
    checkpoint = _made_of(Checkpoint, content, path)
    return Weights(
        recipe=checkpoint.recipe["name"],
        step=checkpoint.step,
        metrics=checkpoint.metrics if checkpoint.evaluated_step == checkpoint.step else {},
        student=checkpoint.student,
        widths=checkpoint.widths,
    )


def halved(weights: Weights) -> Weights:
    """The same weights in float16, at half the size.

    Raises:
        CheckpointError: a value is too large for float16.
    """
    student = {
        name: value.half() if value.is_floating_point() else value
        for name, value in weights.student.items()
    }
    for name, value in student.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"{name} has values that float16 cannot hold; keep float32.")
    return replace(weights, student=student)


def put_into(network: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Loads tensors into a network that has exactly these names and shapes.

    Raises:
        CheckpointError: they are of another network.
    """
    try:
        network.load_state_dict(dict(tensors))
    except RuntimeError as error:
        first, *more = [line.strip() for line in str(error).splitlines()[1:]]
        more_faults = f" (and {len(more)} more faults)" if more else ""
        raise CheckpointError(
            f"{source} is of another network: {first[:200]}{more_faults}"
        ) from error


_VERSION = 1


_Kind = TypeVar("_Kind", Checkpoint, Weights)


def _save(content: Checkpoint | Weights, path: Path) -> None:
    values = {field.name: getattr(content, field.name) for field in fields(content)}
    buffer = io.BytesIO()
    torch.save({"kind": type(content).__name__, "version": _VERSION, **values}, buffer)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getvalue())
    except OSError as error:
        kept = "; what was there before is untouched" if path.exists() else ""
        raise CheckpointError(f"Cannot write {path}: {error.strerror}{kept}") from error


def _load(kind: type[_Kind], path: Path) -> _Kind:
    return _made_of(kind, _content(path), path)


def _content(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            # Torch has older formats; what is in one of them is not from here.
            if not zipfile.is_zipfile(file):
                raise CheckpointError(f"{path} is damaged, or no checkpoint")
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint {path}") from None
    except OSError as error:
        raise CheckpointError(f"Cannot read {path}: {error.strerror}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} is damaged, or no checkpoint") from error
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise CheckpointError(f"{path} is no checkpoint of this version of edgeocr")
    return content


def _made_of(kind: type[_Kind], content: Mapping[str, Any], path: Path) -> _Kind:
    names = {field.name for field in fields(kind)}
    # Fields with a default came later: older files are without them.
    needed = {
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    }
    values = {name: value for name, value in content.items() if name in names}
    if content.get("kind") != kind.__name__ or not needed <= values.keys():
        raise CheckpointError(f"{path} is no {kind.__name__.lower()} file of a training run")
    return kind(**values)
