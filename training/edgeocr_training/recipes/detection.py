"""Recipes of text detectors."""

from __future__ import annotations

from typing import Final

from edgeocr_training.data.pages import PagesConfig
from edgeocr_training.evaluation.detection import DetectionEvaluatorConfig
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.recipe import OptimizerConfig, Recipe, ScheduleConfig
from edgeocr_training.recipes import RecipeFunction
from edgeocr_training.tasks.supervised_detection import SupervisedDetectionConfig

_OFFICIAL_DETECTOR: Final = "models/ch_PP-OCRv3_det_infer.onnx"


def det_ic15(*, data_root: str = "data") -> Recipe:
    """PP-OCRv2's student on the words of ICDAR 2015.

    PaddleOCR's recipe of the student (``ch_PP-OCRv2_det_student.yml``) but for two things: crops
    of 640 pixels and not of 960, as PaddleOCR's own recipe for ICDAR 2015 has them, and a backbone
    from PP-OCRv3's detector, which is the same network trained on far more, where PaddleOCR starts
    from ImageNet.

    Args:
        data_root: folder with ``icdar2015`` and ``models``.
    """
    return Recipe(
        name="det_ic15",
        description="PP-OCRv2's student on ICDAR 2015, words",
        task=SupervisedDetectionConfig(
            initial_weights=InitialWeights(
                official=f"{data_root}/{_OFFICIAL_DETECTOR}", official_parts=("backbone",)
            )
        ),
        data=PagesConfig(labels=(f"{data_root}/icdar2015/train.txt",)),
        evaluation=DetectionEvaluatorConfig(labels=(f"{data_root}/icdar2015/dev.txt",)),
        epochs=1200,
        batch_size=8,
        optimizer=OptimizerConfig(learning_rate=1e-3),
        schedule=ScheduleConfig(kind="cosine", warm_up_epochs=2),
        evaluate_every_epochs=10,
    )


RECIPES: Final[dict[str, RecipeFunction]] = {"det_ic15": det_ic15}
