"""The losses of a DB detector against numbers worked out by hand, and at their extremes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgeocr_training.errors import RecipeError
from edgeocr_training.losses.db_loss import (
    DbLoss,
    LossReading,
    balanced_cross_entropy,
    dice_loss,
    masked_l1_loss,
)
from edgeocr_training.losses.db_targets import (
    DbTargets,
    db_targets,
    pooled_kernels,
    pooled_mask,
)
from edgeocr_training.models.interfaces import DbMaps

READINGS: tuple[LossReading, ...] = ("as_code", "as_paper")


def map_of(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32)[None, None]


# One row of four pixels: text, text, background, and background that does not count.
KERNELS = map_of([[1, 1, 0, 0]])
MASK = map_of([[1, 1, 1, 0]])


def test_dice_by_hand() -> None:
    # p g m: 0.9 + 0.6; p m: 0.9 + 0.6 + 0.3; g m: 2.
    predicted = map_of([[0.9, 0.6, 0.3, 0.8]])
    expected = 1 - 2 * 1.5 / (1.8 + 2)
    assert dice_loss(predicted, KERNELS, MASK).item() == pytest.approx(expected, abs=1e-6)


def test_masked_l1_by_hand() -> None:
    predicted = map_of([[0.9, 0.6, 0.3, 0.8]])
    target = map_of([[0.5, 0.7, 0.3, 0.0]])
    assert masked_l1_loss(predicted, target, MASK).item() == pytest.approx(0.5 / 3, abs=1e-6)


def test_cross_entropy_keeps_three_hardest_negatives_for_each_positive() -> None:
    """One positive and five negatives that count: the losses of 0.5, 0.4 and 0.3 are kept."""
    kernels = map_of([[1, 0, 0, 0, 0, 0, 0]])
    mask = map_of([[1, 1, 1, 1, 1, 1, 0]])
    predicted = map_of([[0.8, 0.1, 0.5, 0.2, 0.4, 0.3, 0.99]])
    losses = [math.log(0.8), math.log(0.5), math.log(0.6), math.log(0.7)]
    assert balanced_cross_entropy(predicted, kernels, mask).item() == pytest.approx(
        -sum(losses) / 4, abs=1e-6
    )


def test_cross_entropy_keeps_all_negatives_where_they_are_few() -> None:
    predicted = map_of([[0.9, 0.6, 0.3, 0.8]])
    losses = [math.log(0.9), math.log(0.6), math.log(0.7)]
    assert balanced_cross_entropy(predicted, KERNELS, MASK).item() == pytest.approx(
        -sum(losses) / 3, abs=1e-6
    )


def test_negatives_are_mined_over_the_whole_batch() -> None:
    """An image without text gives its hard negatives too."""
    kernels = torch.cat([map_of([[1, 0]]), map_of([[0, 0]])])
    predicted = torch.cat([map_of([[0.8, 0.1]]), map_of([[0.6, 0.7]])])
    losses = [math.log(0.8), math.log(0.9), math.log(0.4), math.log(0.3)]
    assert balanced_cross_entropy(
        predicted, kernels, torch.ones_like(kernels)
    ).item() == pytest.approx(-sum(losses) / 4, abs=1e-6)


def maps_of(values: Tensor) -> DbMaps:
    return DbMaps(
        probability_B1HW=values, threshold_B1HW=values * 0.5 + 0.2, binary_B1HW=values * 0.9
    )


def targets_of(kernels: Tensor, mask: Tensor) -> DbTargets:
    return DbTargets(
        shrink_map_B1HW=kernels,
        shrink_mask_B1HW=mask,
        threshold_map_B1HW=kernels * 0.4 + 0.3,
        threshold_mask_B1HW=mask,
    )


@pytest.mark.parametrize(("reading", "weight"), [("as_code", 5.0), ("as_paper", 1.0)])
def test_the_parts_are_weighted_as_each_reading_says(reading: LossReading, weight: float) -> None:
    maps = maps_of(map_of([[0.9, 0.6, 0.3, 0.8]]))
    targets = targets_of(KERNELS, MASK)
    terms = DbLoss(reading=reading)(maps, targets)
    kernels = {"as_code": dice_loss, "as_paper": balanced_cross_entropy}[reading]
    assert terms.probability == kernels(maps.probability_B1HW, KERNELS, MASK)
    assert terms.binary == dice_loss(maps.binary_B1HW, KERNELS, MASK)
    assert terms.threshold == masked_l1_loss(maps.threshold_B1HW, targets.threshold_map_B1HW, MASK)
    assert terms.total.item() == pytest.approx(
        weight * terms.probability.item() + terms.binary.item() + 10 * terms.threshold.item()
    )


def test_dice_is_what_mined_dice_is() -> None:
    """PaddleOCR multiplies Dice by masks of mined pixels and divides by their number."""
    rng = np.random.default_rng(0)
    predicted = torch.from_numpy(rng.random((2, 1, 16, 16), dtype=np.float32))
    kernels = torch.from_numpy((rng.random((2, 1, 16, 16)) < 0.1).astype(np.float32))
    mask = torch.from_numpy((rng.random((2, 1, 16, 16)) < 0.9).astype(np.float32))
    dice = dice_loss(predicted, kernels, mask)
    positives, negatives = kernels * mask, (1 - kernels) * mask
    kept = min(int(negatives.sum()), 3 * int(positives.sum()))
    mined = (negatives * dice).flatten().topk(kept).values.sum() + (positives * dice).sum()
    assert dice.item() == pytest.approx((mined / (positives.sum() + kept + 1e-6)).item(), rel=1e-5)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("predicted", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("text", ["nothing", "everything", "something"])
@pytest.mark.parametrize("counted", ["nothing", "everything"])
def test_extremes_are_finite_with_finite_gradients(
    reading: LossReading, predicted: float, text: str, counted: str
) -> None:
    kernels = torch.zeros(2, 1, 8, 8)
    if text != "nothing":
        kernels[:, :, : 8 if text == "everything" else 3] = 1
    mask = torch.full_like(kernels, float(counted == "everything"))
    values = torch.full_like(kernels, predicted, requires_grad=True)
    terms = DbLoss(reading=reading)(maps_of(values), targets_of(kernels, mask))
    (gradient,) = torch.autograd.grad(terms.total, values)
    assert torch.isfinite(terms.total)
    assert torch.isfinite(gradient).all()
    if counted == "nothing":
        assert (gradient == 0).all()


@pytest.mark.parametrize("reading", READINGS)
def test_perfect_maps_lose_nothing(reading: LossReading) -> None:
    targets = targets_of(KERNELS, MASK)
    maps = DbMaps(
        probability_B1HW=KERNELS, threshold_B1HW=targets.threshold_map_B1HW, binary_B1HW=KERNELS
    )
    # The 1e-6 in the denominators.
    assert DbLoss(reading=reading)(maps, targets).total.item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("reading", READINGS)
def test_gradients_lead_towards_the_labels(reading: LossReading) -> None:
    values = torch.full((1, 1, 8, 8), 0.5, requires_grad=True)
    kernels = torch.zeros(1, 1, 8, 8)
    kernels[..., 2:5, 1:6] = 1
    mask = torch.ones_like(kernels)
    terms = DbLoss(reading=reading)(maps_of(values), targets_of(kernels, mask))
    (gradient,) = torch.autograd.grad(terms.total, values)
    assert (gradient[kernels > 0] < 0).all()


@pytest.mark.parametrize("reading", READINGS)
def test_autocast_does_not_change_the_loss(reading: LossReading) -> None:
    maps, targets = maps_of(map_of([[0.9, 0.6, 0.3, 0.8]])), targets_of(KERNELS, MASK)
    expected = DbLoss(reading=reading)(maps, targets).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = DbLoss(reading=reading)(maps, targets).total
    assert total.dtype == torch.float32
    assert total == expected


def label_tensors(size: int = 4) -> dict[str, Tensor]:
    blank = torch.zeros(1, size, size, dtype=torch.uint8)
    return {
        "shrink_map": blank.clone(),
        "shrink_mask": torch.ones_like(blank),
        "threshold_map": torch.full_like(blank, round(0.3 * 255)),
        "threshold_mask": blank.clone(),
    }


def test_labels_become_floats() -> None:
    tensors = label_tensors()
    tensors["shrink_map"][0, 1, 2] = 1
    tensors["threshold_map"][0, 1, 2] = 255
    targets = db_targets(tensors, size=(4, 4))
    assert targets.shrink_map_B1HW.shape == (1, 1, 4, 4)
    assert targets.shrink_map_B1HW[0, 0, 1, 2] == 1
    assert targets.shrink_map_B1HW.sum() == 1
    assert targets.threshold_map_B1HW[0, 0, 1, 2] == 1
    # uint8 has steps of 1/255.
    assert targets.threshold_map_B1HW[0, 0, 0, 0].item() == pytest.approx(0.3, abs=0.5 / 255)
    assert targets.shrink_mask_B1HW.dtype == torch.float32


def test_half_of_the_size_pools_every_label_by_its_meaning() -> None:
    tensors = label_tensors()
    tensors["shrink_map"][0, :, 1:3] = 1  # two columns, astride of two squares
    tensors["shrink_mask"][0, 0, 0] = 0  # one pixel nobody can read
    tensors["threshold_mask"][0, 0, :2] = 1  # half of a square
    tensors["threshold_mask"][0, 3, 3] = 1  # a quarter of one
    tensors["threshold_map"][0, 0, 0] = 102
    tensors["threshold_map"][0, 0, 1] = 153
    targets = db_targets(tensors, size=(2, 2))
    assert targets.shrink_map_B1HW.tolist() == [[[[1, 1], [1, 1]]]]
    assert targets.shrink_mask_B1HW.tolist() == [[[[0, 1], [1, 1]]]]
    assert targets.threshold_mask_B1HW.tolist() == [[[[1, 0], [0, 0]]]]
    # The mean of 102 and 153, and not of the floor around them.
    assert targets.threshold_map_B1HW[0, 0, 0, 0].item() == pytest.approx(0.5)


@settings(max_examples=30, deadline=None)
@given(top=st.integers(0, 29), height=st.integers(1, 12), width=st.integers(3, 20))
def test_no_kernel_vanishes_at_half_of_the_size(top: int, height: int, width: int) -> None:
    """However thin a line, wherever it lies; nor does it grow by more than a pixel a side."""
    kernels = torch.zeros(1, 1, 64, 64)
    kernels[..., top : top + height, 5 : 5 + width] = 1
    pooled = pooled_kernels(kernels, size=(32, 32))
    rows, columns = (pooled[0, 0].any(dim=d).nonzero().flatten() for d in (1, 0))
    assert len(rows) > 0
    assert rows[0] * 2 >= top - 1
    assert rows[-1] * 2 + 1 <= top + height
    assert columns[0] * 2 >= 4
    assert ((pooled == 0) | (pooled == 1)).all()


def test_the_same_size_pools_nothing() -> None:
    kernels = torch.rand(1, 1, 8, 8)
    assert pooled_kernels(kernels, size=(8, 8)) is kernels
    assert pooled_mask(kernels, size=(8, 8)) is kernels


@pytest.mark.parametrize("size", [(3, 3), (4, 2), (8, 8)])
def test_sizes_that_do_not_divide_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(RecipeError, match="do not fit"):
        db_targets(label_tensors(), size=size)
