"""Weights that a detector starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeocr_training.importers.pp_ocrv3_det import Part, initialise_from_pp_ocrv3
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.own_weights import check_one_source, load_student


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialWeights:
    """Random weights, unless one of both files is named."""

    own: str | None = None
    """File with a dictionary of tensors under "student"."""
    official: str | None = None
    """ONNX file of PP-OCRv3's mobile detector."""
    parts: tuple[Part, ...] = ("backbone", "neck", "head")
    """What to take of the file, all of which must fit; another neck leaves the backbone."""

    def load_into(self, detector: Detector) -> None:
        """Replaces the weights of a detector.

        Raises:
            RecipeError: both files are named.
            CheckpointError: a file is missing or no such file, or a tensor doesn't fit.
        """
        check_one_source(self.own, self.official)
        if self.own is not None:
            load_student(detector, Path(self.own), parts=self.parts)
        if self.official is not None:
            initialise_from_pp_ocrv3(detector, Path(self.official), parts=self.parts)
