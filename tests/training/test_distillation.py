"""Mutual learning and distillation of detectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgeocr_training.losses.db_loss import LossReading, balanced_cross_entropy, dice_loss
from edgeocr_training.losses.distillation import DistillationLoss, MutualLoss, dilated
from edgeocr_training.models.interfaces import DbMaps

MutualReading = Literal["as_cml_code", "as_dml_code", "as_paper"]
MUTUAL_READINGS: tuple[MutualReading, ...] = ("as_cml_code", "as_dml_code", "as_paper")


def random_map(seed: int, size: int = 12) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((2, 1, size, size), np.float32))


def test_mutual_loss_by_hand() -> None:
    p, q = torch.tensor([[[[0.8]]]]), torch.tensor([[[[0.4]]]])
    e = 1e-5
    code = (0.4 * math.log(0.40001 / 0.80001 + e) + 0.8 * math.log(0.80001 / 0.40001 + e)) / 2
    assert MutualLoss()(p, q).item() == pytest.approx(code, abs=1e-6)
    forth = 0.4 * math.log(0.4 / 0.8) + 0.6 * math.log(0.6 / 0.2)
    back = 0.8 * math.log(0.8 / 0.4) + 0.2 * math.log(0.2 / 0.6)
    assert MutualLoss(reading="as_paper")(p, q).item() == pytest.approx(
        (forth + back) / 2, abs=1e-6
    )


def test_mutual_loss_of_rows_by_hand() -> None:
    """Over a row of two pixels the softmax of (0, ln 3) is (1/4, 3/4)."""
    p = torch.tensor([[[[0.0, math.log(3.0)]]]])
    q = torch.tensor([[[[0.0, 0.0]]]])
    pairs = [(0.25, 0.5), (0.75, 0.5)]
    expected = sum((q_ - p_) * math.log(q_ / p_) for p_, q_ in pairs) / 2 / 2
    # The 1e-5 within the logarithms.
    assert MutualLoss(reading="as_dml_code")(p, q).item() == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("reading", MUTUAL_READINGS)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_mutual_loss_is_symmetric_and_grows_from_zero(reading: MutualReading, seed: int) -> None:
    p, q = random_map(seed), random_map(seed + 1)
    loss = MutualLoss(reading=reading)
    assert loss(p, q).item() == pytest.approx(loss(q, p).item(), rel=1e-4)
    # As coded, equal maps lose p ln(1 + 1e-5).
    assert loss(p, p).item() == pytest.approx(0, abs=1.1e-5)
    nearer = p + 0.5 * (q - p)
    assert loss(p, q) > loss(p, nearer) > loss(p, p)


@pytest.mark.parametrize("reading", MUTUAL_READINGS)
def test_mutual_loss_is_the_mean_over_images(reading: MutualReading) -> None:
    p, q = random_map(0), random_map(1)
    loss = MutualLoss(reading=reading)
    halves = (loss(p[:1], q[:1]) + loss(p[1:], q[1:])) / 2
    assert loss(p, q).item() == pytest.approx(halves.item(), rel=1e-5)


@pytest.mark.parametrize("reading", MUTUAL_READINGS)
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 0.0), (1.0, 1.0)])
def test_mutual_loss_teaches_both_with_finite_gradients(
    reading: MutualReading, low: float, high: float
) -> None:
    p = torch.full((1, 1, 4, 4), low)
    q = torch.full((1, 1, 4, 4), high)
    p[..., 0], q[..., 1] = 0.5, 0.5
    p.requires_grad_()
    q.requires_grad_()
    for gradient in torch.autograd.grad(MutualLoss(reading=reading)(p, q), (p, q)):
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).any()


@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.01, 0.1, 0.5]))
@settings(max_examples=20, deadline=None)
def test_dilation_is_that_of_opencv(seed: int, share: float) -> None:
    kernels = (np.random.default_rng(seed).random((17, 23)) < share).astype(np.uint8)
    expected = cv2.dilate(kernels, np.ones((2, 2), np.uint8))
    ours = dilated(torch.from_numpy(kernels).float()[None, None])[0, 0]
    np.testing.assert_array_equal(ours.numpy(), expected)


def student_maps(values: Tensor) -> DbMaps:
    return DbMaps(
        probability_B1HW=values, threshold_B1HW=torch.zeros_like(values), binary_B1HW=values * 0.9
    )


@pytest.mark.parametrize(
    ("reading", "kernel_loss"), [("as_code", dice_loss), ("as_paper", balanced_cross_entropy)]
)
def test_distillation_teaches_the_dilated_kernels(
    reading: LossReading, kernel_loss: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> None:
    teacher = torch.zeros(1, 1, 8, 8)
    teacher[..., 2, 2], teacher[..., 5, 5] = 0.31, 0.29
    kernels = torch.zeros(1, 1, 8, 8)
    kernels[..., 2:4, 2:4] = 1
    mask = torch.ones(1, 1, 8, 8)
    mask[..., 7, :] = 0
    maps = student_maps(random_map(3, size=8)[:1])
    expected = 5 * kernel_loss(maps.probability_B1HW, kernels, mask) + dice_loss(
        maps.binary_B1HW, kernels, mask
    )
    assert DistillationLoss(reading=reading)(maps, teacher, mask) == expected


def test_distillation_at_half_of_the_size_pools_what_was_dilated() -> None:
    teacher = torch.zeros(1, 1, 8, 8)
    teacher[..., 2, 2] = 1.0  # dilated it fills the square at (1, 1)
    teacher[..., 5, 5] = 1.0  # dilated it is a quarter of four squares
    mask = torch.ones(1, 1, 8, 8)
    values = torch.zeros(1, 1, 4, 4)
    values[..., 1, 1] = 1
    maps = DbMaps(probability_B1HW=values, threshold_B1HW=values, binary_B1HW=values)
    # The 1e-6 in the denominators, six times over.
    assert DistillationLoss()(maps, teacher, mask).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("reading", ["as_code", "as_paper"])
@pytest.mark.parametrize("seen", [0.0, 1.0])
@pytest.mark.parametrize("counted", [0.0, 1.0])
def test_distillation_is_finite_at_its_extremes(
    reading: LossReading, seen: float, counted: float
) -> None:
    values = torch.zeros(1, 1, 8, 8, requires_grad=True)
    teacher = torch.full((1, 1, 8, 8), seen, requires_grad=True)
    loss = DistillationLoss(reading=reading)(
        student_maps(values), teacher, torch.full((1, 1, 8, 8), counted)
    )
    gradient, of_teacher = torch.autograd.grad(loss, (values, teacher), allow_unused=True)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()
    assert of_teacher is None
