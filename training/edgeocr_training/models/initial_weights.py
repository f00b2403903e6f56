"""Weights that a detector starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from edgeocr_training.errors import CheckpointError, RecipeError
from edgeocr_training.importers.pp_ocrv3_det import Part, initialise_from_pp_ocrv3
from edgeocr_training.models.detector import Detector

_STUDENT: Final = "student"
"""Key of the weights in a file of our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialWeights:
    """Random weights, unless one of both files is named."""

    own: str | None = None
    """File with a dictionary of tensors under "student", all of which must fit."""
    official: str | None = None
    """ONNX file of PP-OCRv3's mobile detector."""
    official_parts: tuple[Part, ...] = ("backbone", "neck", "head")
    """What to take of the official detector; a neck of other channels leaves the backbone."""

    def load_into(self, detector: Detector) -> None:
        """Replaces the weights of a detector.

        Raises:
            RecipeError: both files are named.
            CheckpointError: a file is missing or no such file, or a tensor doesn't fit.
        """
        if self.own is not None and self.official is not None:
            raise RecipeError(
                f"weights start from {self.own} or from {self.official}, not from both"
            )
        if self.own is not None:
            load_student(detector, Path(self.own))
        if self.official is not None:
            initialise_from_pp_ocrv3(detector, Path(self.official), parts=self.official_parts)


def load_student(detector: Detector, path: Path) -> None:
    """Loads weights of our own, every tensor of them.

    Raises:
        CheckpointError: the file is missing or corrupt, or a tensor doesn't fit.
    """
    try:
        # Tensors and plain data only: a file can't run code.
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and OS errors have no base class but this
        raise CheckpointError(f"{path} can't be read as weights: {error}") from error
    weights = content.get(_STUDENT) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(w, Tensor) for w in weights.values()):
        raise CheckpointError(f"{path} holds no tensors under {_STUDENT!r}")
    wanted = detector.state_dict()
    for name in [*wanted, *weights]:
        if name not in weights or name not in wanted:
            lacking = path if name not in weights else "the detector"
            raise CheckpointError(f"{path} is of another detector: {lacking} has no {name!r}")
        if weights[name].shape != wanted[name].shape:
            raise CheckpointError(
                f"{path} is of another detector: {name!r} has the shape "
                f"{tuple(weights[name].shape)}, not {tuple(wanted[name].shape)}"
            )
    detector.load_state_dict(weights)
