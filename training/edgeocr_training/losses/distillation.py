"""What two detectors learn from one another, and one from a teacher.

Mutual learning: Zhang et al., "Deep Mutual Learning", arXiv:1706.00384. Both together, with
labels, are the collaborative mutual learning of PP-OCRv2 (Du et al., arXiv:2109.03144, section
2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeocr_training.losses.db_loss import LossReading, dice_loss, kernel_loss
from edgeocr_training.losses.db_targets import pooled_kernels, pooled_mask, size_of
from edgeocr_training.models.interfaces import DbMaps

_EPSILON: Final = 1e-5
_SOFTMAX_FLOOR: Final = 1e-10
_KERNEL_WEIGHT: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MutualLoss:
    """The symmetric divergence of two probability maps p and q, in one of three readings.

    ``as_cml_code``: as PaddleOCR trains CML. ``(q ln(q'/p') + p ln(p'/q')) / 2`` of every pixel,
    where a dash adds 1e-5, and the logarithms' arguments get 1e-5 more. It leaves out what
    background tells: the terms of 1 - p.

    ``as_dml_code``: as PaddleOCR trains DML alone. The same after a softmax over every row
    of the maps.

    ``as_paper``: ``(KL(p||q) + KL(q||p)) / 2`` of every pixel as a coin that falls on text with
    probability p, which is ``(p - q)(logit p - logit q) / 2``.

    All take the mean over the pixels and the batch. PaddleOCR has a vector with a mean for every
    image and leaves it to its framework's backward pass, which adds them up.
    """

    reading: Literal["as_cml_code", "as_dml_code", "as_paper"] = "as_cml_code"

    def __call__(self, p_B1HW: Tensor, q_B1HW: Tensor) -> Tensor:
        """A scalar, the same for (q, p); gradients reach both maps."""
        p, q = p_B1HW.float(), q_B1HW.float()
        if self.reading == "as_paper":
            return ((p - q) * (_logit(p) - _logit(q))).mean() / 2.0
        if self.reading == "as_dml_code":
            p = p.softmax(dim=-1) + _SOFTMAX_FLOOR
            q = q.softmax(dim=-1) + _SOFTMAX_FLOOR
        forth = q * torch.log((q + _EPSILON) / (p + _EPSILON) + _EPSILON)
        back = p * torch.log((p + _EPSILON) / (q + _EPSILON) + _EPSILON)
        return (forth + back).mean() / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationLoss:
    """``5 l_p(P, D) + Dice(B, D)``, where D are the teacher's kernels, dilated.

    ``as_code``: l_p is Dice, what PaddleOCR trains with. ``as_paper``: l_p is binary
    cross-entropy, balanced as in :class:`~edgeocr_training.losses.db_loss.DbLoss`, which the
    code has as its other choice. Neither teaches the threshold map.
    """

    reading: LossReading = "as_code"
    threshold: float = 0.3
    """The teacher's probability above which it sees a kernel."""

    def __call__(self, maps: DbMaps, teacher_map_B1HW: Tensor, mask_B1HW: Tensor) -> Tensor:
        """Compares a student with its teacher; the teacher gets no gradient.

        Args:
            maps: of the student.
            teacher_map_B1HW: probabilities; as large as the student's maps times a whole number.
            mask_B1HW: float32 0 or 1, as large as the teacher's map: 1 where the loss counts.

        Raises:
            RecipeError: the sizes do not fit.
        """
        size = size_of(maps)
        # Dilated where the teacher sees, then pooled: grown by one pixel of the image always.
        kernels = dilated((teacher_map_B1HW.detach() > self.threshold).float())
        kernels = pooled_kernels(kernels, size=size)
        mask = pooled_mask(mask_B1HW, size=size)
        probability = kernel_loss(maps.probability_B1HW, kernels, mask, reading=self.reading)
        return _KERNEL_WEIGHT * probability + dice_loss(maps.binary_B1HW, kernels, mask)


def dilated(kernels_B1HW: Tensor) -> Tensor:
    """Dilates by 2x2 ones: every kernel grows by a pixel to the right and below, as by OpenCV."""
    return F.max_pool2d(F.pad(kernels_B1HW, (1, 0, 1, 0)), kernel_size=2, stride=1)


def _logit(probability: Tensor) -> Tensor:
    return torch.logit(probability, eps=_EPSILON)
