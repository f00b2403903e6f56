"""Checkpoints of training runs as models for a bundle.

A checkpoint names its recipe; the recipe builds the network, which says what stage it is for, how
it takes pixels and, of a recogniser, which characters it knows. How a detector's map becomes boxes
is what the recipe measured it with. What remains, input shapes and other thresholds, is PP-OCRv2's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeocr_conversion.bundle_conversion import OnnxModel
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.sources import (
    DetectionSettings,
    OrientationSettings,
    RecognitionSettings,
    Shape,
    Stage,
    StageSettings,
    official_bundle,
)
from edgeocr_training.checkpoint import load_weights
from edgeocr_training.compression.quantization.export import export_prepared, table_path
from edgeocr_training.compression.quantization.preparation import is_prepared
from edgeocr_training.compression.quantization.range_table import RangeTable
from edgeocr_training.data.charset import read_charset
from edgeocr_training.data.line_dataset import LinesConfig
from edgeocr_training.evaluation.detection import DetectionEvaluatorConfig
from edgeocr_training.models.classifier import Classifier
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.onnx_export import export_onnx
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.recipe import EvaluatorConfig, Recipe
from edgeocr_training.recipes import recipe_named
from edgeocr_training.trained_student import trained_student

if TYPE_CHECKING:
    from torch import nn

_SHAPES_OF: Final = "ppocrv2"
"""Official bundle whose input shapes are the defaults: our networks take images as they do."""
_BOXES: Final = (
    "limit_side",
    "limit_type",
    "max_side",
    "threshold",
    "box_threshold",
    "unclip_ratio",
    "max_candidates",
    "dilation",
    "score_mode",
)
"""What both the evaluation of a detector and its bundle state of maps and boxes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointModel:
    """A trained stage, ready to be converted."""

    stage: Stage
    model: OnnxModel
    charset: tuple[str, ...] | None
    """Of a recogniser."""


def checkpoint_model(
    checkpoint: Path,
    folder: Path,
    *,
    recipe_name: str | None = None,
    data_root: str = "data",
    charset_file: Path | None = None,
    shapes: Sequence[Shape] = (),
    calibrate: bool = False,
) -> CheckpointModel:
    """Writes a checkpoint's network, and the ranges that it has, into a folder; says what it is.

    Args:
        checkpoint: ``best.pt`` or ``latest.pt`` of a run for integers, or what
            ``edgeocr-train quantize`` wrote; with ``calibrate`` of any run.
        folder: for the ONNX file and the table of ranges.
        recipe_name: as ``edgeocr-train`` takes it; None for the one that the checkpoint names.
        data_root: folder of what the recipe names, of which a recogniser's charset is read.
        charset_file: dictionary of a recogniser, instead of the recipe's.
        shapes: input shapes instead of the defaults.
        calibrate: let the conversion find ranges where the network has none.

    Raises:
        ConversionError: the network was not prepared for integers and is not to be calibrated, or
            the recipe names no charset.
        EdgeOcrError: the checkpoint cannot be read, or a tensor has no range.
    """
    weights = load_weights(checkpoint)
    recipe = recipe_named(recipe_name or weights.recipe, data_root=data_root)
    student = trained_student(recipe, checkpoint)
    prepared = is_prepared(student)
    if not (prepared or calibrate):
        raise ConversionError(
            f"{checkpoint} was not prepared for integers: train it by a recipe such as "
            f"{weights.recipe}_pact, calibrate it here (--calibrate) or in PyTorch "
            "(edgeocr-train quantize)"
        )
    stage, settings = stage_settings(student, shapes, evaluation=recipe.evaluation)
    path = folder / f"{stage}.onnx"
    if prepared:
        export_prepared(student, path)
    else:
        export_onnx(student, path)
    return CheckpointModel(
        stage=stage,
        model=OnnxModel(
            path=path,
            settings=settings,
            origin={
                "title": f"{recipe.name}, step {weights.step}",
                "file": checkpoint.name,
                "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
                "metrics": dict(weights.metrics),
            },
            trained=RangeTable.from_json(table_path(path).read_bytes()) if prepared else None,
        ),
        charset=_charset(recipe, charset_file) if stage == "rec" else None,
    )


def trained_stage(checkpoint: Path, *, data_root: str = "data") -> tuple[Stage, nn.Module]:
    """The network of a checkpoint that was prepared for integers, and what it is for.

    Raises:
        ConversionError: it was not prepared, or it is for no stage of a bundle.
        EdgeOcrError: the checkpoint cannot be read.
    """
    recipe = recipe_named(load_weights(checkpoint).recipe, data_root=data_root)
    student = trained_student(recipe, checkpoint)
    if not is_prepared(student):
        raise ConversionError(
            f"{checkpoint} was not prepared for integers: there are none to compare"
        )
    stage, _ = stage_settings(student)
    return stage, student


def stage_settings(
    student: nn.Module,
    shapes: Sequence[Shape] = (),
    *,
    evaluation: EvaluatorConfig | None = None,
) -> tuple[Stage, StageSettings]:
    """What a trained network is for, and how it is used.

    Args:
        student: built by a recipe.
        shapes: instead of the usual ones.
        evaluation: of the recipe; a detector's map becomes boxes as it did there.

    Raises:
        ConversionError: it is for no stage of a bundle, or takes no such shape.
    """
    usual = official_bundle(_SHAPES_OF)
    match student:
        case Detector():
            boxes = (
                {name: getattr(evaluation, name) for name in _BOXES}
                if isinstance(evaluation, DetectionEvaluatorConfig)
                else {}
            )
            return "det", DetectionSettings(
                shapes=tuple(shapes) or usual.det_settings.shapes,
                mean=student.mean,
                std=student.std,
                **boxes,
            )
        case Classifier():
            own = ((student.height, student.width),)
            if shapes and tuple(shapes) != own:
                raise ConversionError(
                    f"the classifier takes {student.height}x{student.width} alone: no --shape"
                )
            return "cls", OrientationSettings(shapes=own, mean=student.mean, std=student.std)
        case Recogniser():
            return "rec", RecognitionSettings(
                shapes=tuple(shapes) or usual.rec_settings.shapes,
                mean=student.mean,
                std=student.std,
            )
    raise ConversionError(f"a {type(student).__name__} is for no stage of a bundle")


def _charset(recipe: Recipe, file: Path | None) -> tuple[str, ...]:
    if file is not None:
        return read_charset(str(file))
    if not isinstance(recipe.data, LinesConfig):
        raise ConversionError(
            f"{recipe.name} names no charset: name the dictionary of the recogniser by --charset"
        )
    return read_charset(recipe.data.charset)
