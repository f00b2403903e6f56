"""Recipes that fine-tune a float run's best weights as integers, with PACT.

``NAME_pact`` follows ``NAME``, data, teacher and all, at a tenth of its learning rate for a short
while: the weights are good already, and have to settle where they can be rounded. PP-OCR does the
same (``deploy/slim/quantization``), with its L2 of the clips. ``NAME_qat`` learns no clip: ranges
are the extremes' moving averages, which is what PACT is compared with. Both begin with
``runs/NAME/best.pt``; another file, a pruned one for instance, is named by
``--set task.weights=FILE``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from edgeocr_training.compression.quantization.activation_quantizer import QuantizationConfig
from edgeocr_training.recipe import Recipe, ScheduleConfig
from edgeocr_training.recipes import RecipeFunction
from edgeocr_training.recipes.classification import cls, cls_cpu
from edgeocr_training.recipes.detection import (
    det_lines,
    det_lines_cpu,
    det_lines_edge,
    det_lines_slim,
)
from edgeocr_training.recipes.recognition import (
    rec_ch,
    rec_ch_conv,
    rec_ch_edge,
    rec_ch_narrow,
    rec_ch_self,
    rec_en_edge,
)
from edgeocr_training.tasks.quantized import QuantizedTaskConfig

PACT: Final = QuantizationConfig()
WITHOUT_PACT: Final = QuantizationConfig(clip=False)
PP_OCR: Final = QuantizationConfig(form="symmetric")

_SLOWER: Final = 0.1
"""Times the learning rate of the float run."""
_WARM_UP_EPOCHS: Final = 0.2


def integer_recipe(
    base: Recipe,
    *,
    name: str,
    what: str,
    quantization: QuantizationConfig,
    weights: str,
    epochs: int,
    evaluate_every_epochs: int,
) -> Recipe:
    """The recipe that goes on in integers from what another one trained in floats.

    Args:
        base: trains in floats; all but the LSTM layers of its student becomes integers.
        name: of the new recipe.
        what: is appended to the description.
        quantization: how activations get their ranges.
        weights: file of the float student, pruned or not.
        epochs: of the new recipe.
        evaluate_every_epochs: the same.
    """
    return replace(
        base,
        name=name,
        description=f"{base.description}; {what}",
        task=QuantizedTaskConfig(task=base.task, weights=weights, quantization=quantization),
        epochs=epochs,
        optimizer=replace(
            base.optimizer,
            learning_rate=_SLOWER * base.optimizer.learning_rate,
            # Clips have an L2 term of their own.
            l2_on_norms_and_biases=False,
        ),
        schedule=ScheduleConfig(kind="cosine", warm_up_epochs=_WARM_UP_EPOCHS),
        evaluate_every_epochs=evaluate_every_epochs,
    )


def _of_function(
    float_recipe: RecipeFunction,
    *,
    suffix: str,
    what: str,
    quantization: QuantizationConfig,
    epochs: int,
    evaluate_every_epochs: int,
    data_root: str = "data",
) -> Recipe:
    base = float_recipe(data_root=data_root)
    return integer_recipe(
        base,
        name=f"{base.name}_{suffix}",
        what=what,
        quantization=quantization,
        weights=f"runs/{base.name}/best.pt",
        epochs=epochs,
        evaluate_every_epochs=evaluate_every_epochs,
    )


_FLOAT: Final[dict[str, tuple[RecipeFunction, int, int]]] = {
    "cls": (cls, 4, 1),
    "cls_cpu": (cls_cpu, 2, 1),
    "det_lines": (det_lines, 20, 5),
    "det_lines_cpu": (det_lines_cpu, 2, 1),
    "det_lines_edge": (det_lines_edge, 20, 5),
    "det_lines_slim": (det_lines_slim, 2, 1),
    "rec_en_edge": (rec_en_edge, 3, 1),
    "rec_ch": (rec_ch, 2, 1),
    "rec_ch_edge": (rec_ch_edge, 3, 1),
    "rec_ch_conv": (rec_ch_conv, 2, 1),
    "rec_ch_self": (rec_ch_self, 1, 1),
    "rec_ch_narrow": (rec_ch_narrow, 3, 1),
}
"""Recipe, and the epochs of the fine-tuning and between two evaluations of it."""
_KINDS: Final = {
    "pact": ("int8 with PACT", PACT),
    "qat": ("int8 without PACT", WITHOUT_PACT),
    "pact_symmetric": ("int8 with PACT in PP-OCR's symmetric form", PP_OCR),
}

RECIPES: Final[dict[str, RecipeFunction]] = {
    f"{name}_{suffix}": partial(
        _of_function,
        function,
        suffix=suffix,
        what=what,
        quantization=quantization,
        epochs=epochs,
        evaluate_every_epochs=period,
    )
    for name, (function, epochs, period) in _FLOAT.items()
    for suffix, (what, quantization) in _KINDS.items()
}
