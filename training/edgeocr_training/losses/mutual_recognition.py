"""What recognisers learn from one another, and one from a teacher.

Mutual learning of two recognisers with their feature maps is the U-DML of PP-OCRv2
(arXiv:2109.03144, section 2.2; Zhang et al., "Deep Mutual Learning", arXiv:1706.00384).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeocr_training.errors import RecipeError


def symmetric_divergence(first_BTK: Tensor, second_BTK: Tensor) -> Tensor:
    """``(KL(p||q) + KL(q||p)) / 2`` of the softmax of two logits.

    Summed over steps and classes, mean over the lines, as PaddleOCR trains U-DML; gradients reach
    both. PaddleOCR adds 1e-10 to probabilities so that their logarithms are finite; those of a
    log-softmax always are.

    Raises:
        RecipeError: the shapes differ.
    """
    _require_equal_shapes(first_BTK, second_BTK)
    first_BTK, second_BTK = _log_probabilities(first_BTK), _log_probabilities(second_BTK)
    # The difference of probabilities times that of their logarithms is both divergences' sum.
    both_BTK = (first_BTK.exp() - second_BTK.exp()) * (first_BTK - second_BTK)
    return both_BTK.sum(dim=(1, 2)).mean() / 2


def feature_distance(first_BCHW: Tensor, second_BCHW: Tensor) -> Tensor:
    """Mean squared difference of two feature maps; gradients reach both.

    Raises:
        RecipeError: the shapes differ.
    """
    _require_equal_shapes(first_BCHW, second_BCHW)
    return F.mse_loss(first_BCHW.float(), second_BCHW.float())


def divergence_from_teacher(
    student_BTK: Tensor, teacher_BTK: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """``t^2 KL(teacher||student)`` of the softmax of logits over t, step by step.

    Summed over steps and classes, mean over the lines; the teacher gets no gradient (Hinton et
    al., arXiv:1503.02531). Where a character is seen a step earlier by one than by the other is
    told as well, so both must have the same steps.

    Raises:
        RecipeError: the shapes differ.
    """
    _require_equal_shapes(student_BTK, teacher_BTK)
    student_BTK = _log_probabilities(student_BTK, temperature)
    teacher_BTK = _log_probabilities(teacher_BTK.detach(), temperature)
    divergence_BTK = teacher_BTK.exp() * (teacher_BTK - student_BTK)
    return divergence_BTK.sum(dim=(1, 2)).mean() * temperature**2


def distance_from_teacher(student_BTC: Tensor, teacher_BTC: Tensor) -> Tensor:
    """Squared distance of two networks' features of each step (Romero et al., arXiv:1412.6550).

    Summed over steps and features, mean over the lines; the teacher gets no gradient.

    Raises:
        RecipeError: the shapes differ.
    """
    _require_equal_shapes(student_BTC, teacher_BTC)
    difference_BTC = student_BTC.float() - teacher_BTC.detach().float()
    return difference_BTC.square().sum(dim=(1, 2)).mean()


def _log_probabilities(logits_BTK: Tensor, temperature: float = 1.0) -> Tensor:
    return torch.log_softmax(logits_BTK.float() / temperature, dim=2)


def _require_equal_shapes(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise RecipeError(
            f"recognisers that learn from one another have the same steps, classes and feature "
            f"maps, not {tuple(first.shape)} and {tuple(second.shape)}"
        )
