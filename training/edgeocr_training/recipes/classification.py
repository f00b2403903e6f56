"""Recipes of the classifier that tells lines that stand on their head.

``cls`` follows PaddleOCR's (``cls_mv3.yml``): Adam, a cosine from 0.001 without a warm-up, no
regularisation, 48x192 pixels. It differs in this: BDA is done as the paper has it and not as the
code, lines come from ICDAR 2015, IIIT5K and rendering, and 24 epochs in batches of 128 replace
100 in batches of 512 for each card.

The recipes ``cls_small...`` have 32x100 pixels and are the rows of the paper's table of
augmentations; the others named ``cls_...`` are those of its table of backbones.

What they look for below ``data_root``: ``icdar2015_words`` and ``iiit5k_words``, and ``cut_lines``
with the lines that ``python -m edgeocr_training.data.cut_lines`` cuts out of pages.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final, Literal

from edgeocr_training.data.direction_dataset import Augmentation, DirectionsConfig
from edgeocr_training.data.synthetic.lines import SyntheticLinesConfig
from edgeocr_training.evaluation.classification import ClassificationEvaluatorConfig
from edgeocr_training.models.classifier import ClassifierConfig, FeatureBackboneConfig
from edgeocr_training.models.classifier_weights import ClassifierWeights
from edgeocr_training.models.line_mobilenet_v3 import LineMobileNetV3Config
from edgeocr_training.models.line_pp_lcnet import LinePpLcNetConfig
from edgeocr_training.models.line_shufflenet_v2 import LineShuffleNetV2Config
from edgeocr_training.recipe import OptimizerConfig, Recipe, ScheduleConfig
from edgeocr_training.recipes import RecipeFunction
from edgeocr_training.tasks.classification import ClassificationTaskConfig

_WORDS: Final = ("icdar2015_words", "iiit5k_words")
_CUT_PAGES: Final = ("icdar2015", "funsd", "sroie")
_SMALL: Final = (32, 100)


def cls(*, data_root: str = "data") -> Recipe:
    """PP-OCR's classifier, from random weights.

    Args:
        data_root: see the module.
    """
    return Recipe(
        name="cls",
        description="direction: MobileNetV3-small x0.35, 48x192",
        task=ClassificationTaskConfig(),
        data=DirectionsConfig(
            sources=(
                *(f"{data_root}/{name}/train.txt" for name in _WORDS),
                *(f"{data_root}/cut_lines/{name}_train/lines.txt" for name in _CUT_PAGES),
            ),
            synthetic=SyntheticLinesConfig(count=10_000, languages=("en", "zh")),
        ),
        evaluation=ClassificationEvaluatorConfig(
            labels=(
                *(f"lines={data_root}/{name}/dev.txt" for name in _WORDS),
                *(f"lines={data_root}/cut_lines/{name}_dev/lines.txt" for name in _CUT_PAGES),
            )
        ),
        epochs=24,
        batch_size=128,
        optimizer=OptimizerConfig(learning_rate=1e-3),
        schedule=ScheduleConfig(kind="cosine"),
        workers=2,
    )


def cls_cpu(*, data_root: str = "data") -> Recipe:
    """The same network from the official weights, in half an hour of one core.

    Below ``data_root`` it looks for ``models`` too.
    """
    base = cls(data_root=data_root)
    assert isinstance(base.data, DirectionsConfig)
    return replace(
        base,
        name="cls_cpu",
        description="direction: MobileNetV3-small x0.35, 48x192, from the official weights",
        task=ClassificationTaskConfig(
            initial_weights=ClassifierWeights(
                official=f"{data_root}/models/ch_ppocr_mobile_v2.0_cls_infer.onnx"
            )
        ),
        data=replace(
            base.data, synthetic=SyntheticLinesConfig(count=6_000, languages=("en", "zh"))
        ),
        epochs=4,
        ema_decay=0.998,
        workers=1,
    )


def cls_mv3_x05(*, data_root: str = "data") -> Recipe:
    """A wider MobileNetV3."""
    backbone = LineMobileNetV3Config(scale=0.5, row_strides=(2, 2, 2, 2))
    return _backbone("cls_mv3_x05", "MobileNetV3-small x0.5", backbone, data_root)


def cls_shufflenet(*, data_root: str = "data") -> Recipe:
    """ShuffleNetV2 x0.5."""
    return _backbone("cls_shufflenet", "ShuffleNetV2 x0.5", LineShuffleNetV2Config(), data_root)


def cls_pp_lcnet(*, data_root: str = "data") -> Recipe:
    """PP-LCNet x0.25, as PaddleOCR's later classifiers have it."""
    return _backbone("cls_pp_lcnet", "PP-LCNet x0.25", LinePpLcNetConfig(), data_root)


def _backbone(name: str, what: str, backbone: FeatureBackboneConfig, data_root: str) -> Recipe:
    return replace(
        cls(data_root=data_root),
        name=name,
        description=f"ablation: {what}",
        task=ClassificationTaskConfig(classifier=ClassifierConfig(backbone=backbone)),
    )


def _small(
    *augmentation: Augmentation,
    name: str,
    mixing: Literal["mixup", "cutmix"] | None = None,
    data_root: str = "data",
) -> Recipe:
    """At 32x100 pixels, with these augmentations alone."""
    base = cls(data_root=data_root)
    assert isinstance(base.data, DirectionsConfig)
    height, width = _SMALL
    said = ", ".join([*augmentation, *([mixing] if mixing else [])]) or "no augmentation"
    return replace(
        base,
        name=name,
        description=f"ablation: 32x100, {said}",
        task=ClassificationTaskConfig(
            classifier=ClassifierConfig(height=height, width=width), mixing=mixing
        ),
        data=replace(base.data, size=_SMALL, augmentation=augmentation),
    )


RECIPES: Final[dict[str, RecipeFunction]] = {
    "cls": cls,
    "cls_cpu": cls_cpu,
    "cls_mv3_x05": cls_mv3_x05,
    "cls_shufflenet": cls_shufflenet,
    "cls_pp_lcnet": cls_pp_lcnet,
    "cls_small_none": partial(_small, name="cls_small_none"),
    "cls_small_bda": partial(_small, "bda", name="cls_small_bda"),
    "cls_small_randaugment": partial(_small, "bda", "rand_augment", name="cls_small_randaugment"),
    "cls_small_randerasing": partial(_small, "bda", "rand_erasing", name="cls_small_randerasing"),
    "cls_small_autoaugment": partial(_small, "bda", "auto_augment", name="cls_small_autoaugment"),
    "cls_small_gridmask": partial(_small, "bda", "grid_mask", name="cls_small_gridmask"),
    "cls_small_mixup": partial(_small, "bda", mixing="mixup", name="cls_small_mixup"),
    "cls_small_cutmix": partial(_small, "bda", mixing="cutmix", name="cls_small_cutmix"),
    "cls_small_cutout": partial(_small, "bda", "cut_out", name="cls_small_cutout"),
    "cls_small_hideandseek": partial(_small, "bda", "hide_and_seek", name="cls_small_hideandseek"),
}
