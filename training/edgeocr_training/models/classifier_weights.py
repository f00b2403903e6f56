"""Weights that a classifier starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeocr_training.importers.cls_v2 import initialise_from_cls_v2
from edgeocr_training.models.classifier import Classifier
from edgeocr_training.models.own_weights import check_one_source, load_student


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierWeights:
    """Random weights, unless one of both files is named."""

    own: str | None = None
    """File with a dictionary of tensors under "student", all of which must fit."""
    official: str | None = None
    """ONNX file of PP-OCR's classifier v2.0."""

    def load_into(self, classifier: Classifier) -> None:
        """Replaces the weights of a classifier.

        Raises:
            RecipeError: both files are named.
            CheckpointError: a file is missing or no such file, or a tensor doesn't fit.
        """
        check_one_source(self.own, self.official)
        if self.own is not None:
            load_student(classifier, Path(self.own))
        if self.official is not None:
            initialise_from_cls_v2(classifier, Path(self.official))
