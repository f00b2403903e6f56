"""Weights that a recogniser starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeocr_training.importers.pp_ocrv2_rec import (
    RECOGNISER_PARTS,
    RecogniserPart,
    initialise_from_pp_ocrv2,
)
from edgeocr_training.models.own_weights import check_one_source, load_student
from edgeocr_training.models.recogniser import Recogniser


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserWeights:
    """Random weights, unless one of both files is named."""

    own: str | None = None
    """File with a dictionary of tensors under "student"."""
    official: str | None = None
    """ONNX file of PP-OCRv2's recogniser."""
    parts: tuple[RecogniserPart, ...] = RECOGNISER_PARTS
    """What to take of the file, all of which must fit; another alphabet leaves the head."""

    def load_into(self, recogniser: Recogniser) -> None:
        """Replaces the weights of a recogniser.

        Raises:
            RecipeError: both files are named.
            CheckpointError: a file is missing or no such file, or a tensor doesn't fit.
        """
        check_one_source(self.own, self.official)
        if self.own is not None:
            load_student(recogniser, Path(self.own), parts=self.parts)
        if self.official is not None:
            initialise_from_pp_ocrv2(recogniser, Path(self.official), parts=self.parts)
