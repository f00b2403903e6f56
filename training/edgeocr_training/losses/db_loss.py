"""The loss of a DB detector (Liao et al., "Real-time Scene Text Detection with Differentiable
Binarization", arXiv:1911.08947, section 3.5): ``L = a L_P + L_B + 10 L_T``.

``L_P`` compares the probability map with the kernels of the text, ``L_B`` the approximate binary
map with the same, ``L_T`` the threshold map with the distances from the text's outlines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeocr_training.losses.db_targets import DbTargets
from edgeocr_training.models.interfaces import DbMaps

LossReading = Literal["as_code", "as_paper"]

_EPSILON: Final = 1e-6
_NEGATIVES_PER_POSITIVE: Final = 3
_PROBABILITY_WEIGHT: Final[dict[LossReading, float]] = {"as_code": 5.0, "as_paper": 1.0}
_THRESHOLD_WEIGHT: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DbLossTerms:
    """The loss of a batch and its parts before they are weighted, all scalars."""

    total: Tensor
    probability: Tensor
    binary: Tensor
    threshold: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class DbLoss:
    """The loss against labels, in one of two readings.

    ``as_code``: ``5 Dice(P) + Dice(B) + 10 L1(T)``, as PaddleOCR's recipes train. Its
    probability loss is wrapped in the mining of hard negatives, but Dice is one number for the
    whole batch: kept pixels times that number, divided by the number of kept pixels, is that
    number again. The mining does nothing there, and is left out here.

    ``as_paper``: ``BCE(P) + Dice(B) + 10 L1(T)``, with three of the hardest negatives for each
    positive. The DB paper has binary cross-entropy for B too, but its authors' code has Dice.
    """

    reading: LossReading = "as_code"

    def __call__(self, maps: DbMaps, targets: DbTargets) -> DbLossTerms:
        """Compares maps with targets of the same size.

        Args:
            maps: of any floating dtype; the loss is computed in float32.
            targets: of the same batch.
        """
        probability = kernel_loss(
            maps.probability_B1HW,
            targets.shrink_map_B1HW,
            targets.shrink_mask_B1HW,
            reading=self.reading,
        )
        binary = dice_loss(maps.binary_B1HW, targets.shrink_map_B1HW, targets.shrink_mask_B1HW)
        threshold = masked_l1_loss(
            maps.threshold_B1HW, targets.threshold_map_B1HW, targets.threshold_mask_B1HW
        )
        return DbLossTerms(
            total=_PROBABILITY_WEIGHT[self.reading] * probability
            + binary
            + _THRESHOLD_WEIGHT * threshold,
            probability=probability,
            binary=binary,
            threshold=threshold,
        )


def kernel_loss(
    probability_B1HW: Tensor, kernels_B1HW: Tensor, mask_B1HW: Tensor, *, reading: LossReading
) -> Tensor:
    """Of a probability map: Dice as PaddleOCR's code, balanced cross-entropy as the paper."""
    if reading == "as_code":
        return dice_loss(probability_B1HW, kernels_B1HW, mask_B1HW)
    return balanced_cross_entropy(probability_B1HW, kernels_B1HW, mask_B1HW)


def dice_loss(map_B1HW: Tensor, kernels_B1HW: Tensor, mask_B1HW: Tensor) -> Tensor:
    """``1 - 2 sum(p g m) / (sum(p m) + sum(g m) + 1e-6)`` over the whole batch.

    Without any kernel it is 1 whatever the map is, and its gradient is 0.
    """
    predicted = map_B1HW.float() * mask_B1HW
    union = predicted.sum() + (kernels_B1HW * mask_B1HW).sum() + _EPSILON
    return 1.0 - 2.0 * (predicted * kernels_B1HW).sum() / union


def balanced_cross_entropy(
    probability_B1HW: Tensor, kernels_B1HW: Tensor, mask_B1HW: Tensor
) -> Tensor:
    """Mean binary cross-entropy over all positives and the hardest negatives, three for each.

    Both are those of the whole batch that the mask counts. Without positives it is 0.
    """
    # Autocast refuses binary cross-entropy, and float32 is what it needs.
    with torch.autocast(probability_B1HW.device.type, enabled=False):
        pixel_losses = F.binary_cross_entropy(
            probability_B1HW.float(), kernels_B1HW, reduction="none"
        )
    counted = mask_B1HW > 0.5
    positives = counted & (kernels_B1HW > 0.5)
    negatives = counted & ~positives
    positive_count = int(positives.sum())
    kept = min(int(negatives.sum()), _NEGATIVES_PER_POSITIVE * positive_count)
    hardest = (pixel_losses * negatives).flatten().topk(kept, sorted=False).values
    total = (pixel_losses * positives).sum() + hardest.sum()
    return total / (positive_count + kept + _EPSILON)


def masked_l1_loss(map_B1HW: Tensor, target_B1HW: Tensor, mask_B1HW: Tensor) -> Tensor:
    """``sum(|t - g| m) / (sum(m) + 1e-6)``."""
    differences = (map_B1HW.float() - target_B1HW).abs() * mask_B1HW
    return differences.sum() / (mask_B1HW.sum() + _EPSILON)
