"""Weights that training wrote, loaded into a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from edgeocr_training.errors import CheckpointError, RecipeError
from edgeocr_training.models.narrowing import narrow

_STUDENT: Final = "student"
"""Key of the weights in a file."""
_WIDTHS: Final = "widths"
"""Key of the widths of layers that were pruned; a file may be without it."""


def load_student(network: nn.Module, path: Path, *, parts: Sequence[str] | None = None) -> None:
    """Loads weights of our own. Layers that were pruned in the file are narrowed here, too.

    Args:
        network: changed in place.
        path: file with a dictionary of tensors under "student".
        parts: names of the modules that are loaded, every tensor of them; None loads all.

    Raises:
        CheckpointError: the file is missing or corrupt, a tensor doesn't fit, or the file is of
            a pruned network and parts are left out.
    """
    content = _content(path)
    weights: dict[str, Tensor] = content[_STUDENT]

    children = {name for name, _ in network.named_children()}

    def taken(name: str) -> bool:
        # What belongs to no child of the network is looked at, so that it is told of.
        if parts is None or name.partition(".")[0] not in children:
            return True
        return any(name.startswith(f"{part}.") for part in parts)

    left = sorted({name.partition(".")[0] for name in network.state_dict() if not taken(name)})
    if widths := content.get(_WIDTHS):
        # What is left out here was built for the channels that the other parts had before.
        if left:
            raise CheckpointError(
                f"{path} is of a pruned network, which is loaded as a whole: {', '.join(left)} too"
            )
        narrow(network, widths, source=str(path))
    present = network.state_dict()
    wanted = {name: tensor for name, tensor in present.items() if taken(name)}
    weights = {name: tensor for name, tensor in weights.items() if taken(name)}
    for name in [*wanted, *weights]:
        if name not in weights or name not in wanted:
            lacking = path if name not in weights else f"the {type(network).__name__.lower()}"
            raise CheckpointError(f"{path} is of another network: {lacking} has no {name!r}")
        if weights[name].shape != wanted[name].shape:
            raise CheckpointError(
                f"{path} is of another network: {name!r} has the shape "
                f"{tuple(weights[name].shape)}, not {tuple(wanted[name].shape)}"
            )
    network.load_state_dict({**present, **weights})


def student_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of the student that a file of weights holds.

    Raises:
        CheckpointError: the file is missing or corrupt, or holds none.
    """
    tensors: dict[str, Tensor] = _content(path)[_STUDENT]
    return tensors


def _content(path: Path) -> dict[str, Any]:
    try:
        # Tensors and plain data only: a file can't run code.
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and OS errors have no base class but this
        raise CheckpointError(f"{path} can't be read as weights: {error}") from error
    weights = content.get(_STUDENT) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(w, Tensor) for w in weights.values()):
        raise CheckpointError(f"{path} holds no tensors under {_STUDENT!r}")
    return dict(content)


def check_one_source(own: str | None, official: str | None) -> None:
    """Raises RecipeError where both files are named."""
    if own is not None and official is not None:
        raise RecipeError(f"weights start from {own} or from {official}, not from both")
