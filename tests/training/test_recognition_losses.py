"""The losses of recognisers: CTC, centers, mutual learning and a teacher."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgeocr.ctc import greedy_path
from edgeocr_training.errors import CheckpointError, RecipeError
from edgeocr_training.losses.center import (
    CenterLossConfig,
    Centers,
    load_centers,
    save_centers,
)
from edgeocr_training.losses.ctc import CtcLoss, needed_steps
from edgeocr_training.losses.mutual_recognition import (
    distance_from_teacher,
    divergence_from_teacher,
    feature_distance,
    symmetric_divergence,
)


def random_logits(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32))


def labels(*texts: Sequence[int], room: int = 6) -> tuple[Tensor, Tensor]:
    """Padded as a data set pads them."""
    label_BL = torch.zeros(len(texts), room, dtype=torch.int32)
    for row, text in enumerate(texts):
        label_BL[row, : len(text)] = torch.tensor(text, dtype=torch.int32)
    return label_BL, torch.tensor([len(text) for text in texts], dtype=torch.int32)


def probability_of(logits_TK: Tensor, text: Sequence[int]) -> float:
    """Of all paths that read so, one by one, by the product's own decoding."""
    probability_TK = logits_TK.softmax(dim=1)
    steps, classes = probability_TK.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=steps):
        one_hot_TK = np.eye(classes, dtype=np.float32)[list(path)]
        if greedy_path(one_hot_TK, outputs="probabilities").indices.tolist() == list(text):
            total += math.prod(probability_TK[t, k].item() for t, k in enumerate(path))
    return total


@pytest.mark.parametrize("text", [(), (1,), (2, 1), (1, 1), (1, 2, 1)])
def test_ctc_is_the_sum_over_all_paths(text: tuple[int, ...]) -> None:
    logits_BTK = random_logits(0, 1, 5, 3)
    expected = -math.log(probability_of(logits_BTK[0], text))
    assert CtcLoss()(logits_BTK, *labels(text)).mean.item() == pytest.approx(expected, rel=1e-5)
    focal = (1 - math.exp(-expected)) ** 2 * expected
    found = CtcLoss(focal=True)(logits_BTK, *labels(text)).mean.item()
    assert found == pytest.approx(focal, rel=1e-5)


@pytest.mark.parametrize("focal", [False, True])
def test_ctc_is_the_mean_over_lines_of_any_length(focal: bool) -> None:
    logits_BTK = random_logits(1, 3, 8, 4)
    texts = [(1, 2, 3, 1), (2,), ()]
    each = [
        CtcLoss(focal=focal)(logits_BTK[i : i + 1], *labels(text)).mean.item()
        for i, text in enumerate(texts)
    ]
    together = CtcLoss(focal=focal)(logits_BTK, *labels(*texts)).mean.item()
    assert together == pytest.approx(sum(each) / 3, rel=1e-5)


def test_what_stands_behind_a_label_does_not_count() -> None:
    logits_BTK = random_logits(2, 1, 6, 4)
    label_BL, length_B = labels((3, 2))
    expected = CtcLoss()(logits_BTK, label_BL, length_B)
    label_BL[:, 2:] = 2
    found = CtcLoss()(logits_BTK, label_BL, length_B)
    assert found.mean == expected.mean
    assert needed_steps(label_BL, length_B).tolist() == [2]


@pytest.mark.parametrize(
    ("text", "needed"), [((), 0), ((1,), 1), ((1, 2), 2), ((1, 1), 3), ((2, 2, 2, 1), 6)]
)
def test_equal_neighbours_need_a_blank_between_them(text: tuple[int, ...], needed: int) -> None:
    label_BL, length_B = labels(text)
    assert needed_steps(label_BL, length_B).tolist() == [needed]
    for steps in range(max(needed - 1, 1), needed + 2):
        terms = CtcLoss()(random_logits(3, 1, steps, 3), label_BL, length_B)
        assert terms.unreachable.item() == (steps < needed)
        assert (terms.mean.item() == 0) == (steps < needed)


@pytest.mark.parametrize("focal", [False, True])
@pytest.mark.parametrize("logits", [0.0, 1e4])
def test_ctc_has_finite_gradients_at_its_extremes(focal: bool, logits: float) -> None:
    """Lines without text, lines whose text does not fit, and recognisers that are quite sure."""
    logits_BTK = torch.zeros(4, 4, 3)
    logits_BTK[..., 2] = logits
    logits_BTK.requires_grad_()
    terms = CtcLoss(focal=focal)(logits_BTK, *labels((), (1, 1, 1, 1), (1,), (2,)))
    (gradient,) = torch.autograd.grad(terms.mean, logits_BTK)
    assert torch.isfinite(terms.mean)
    assert torch.isfinite(gradient).all()
    assert (gradient[1] == 0).all()
    assert (gradient[2] != 0).any()
    assert terms.unreachable.item() == 0.25


def test_ctc_of_half_precision_is_computed_in_float32() -> None:
    logits_BTK = random_logits(4, 2, 6, 5).bfloat16()
    texts = labels((1, 2), (3,))
    with torch.autocast("cpu", torch.bfloat16):
        found = CtcLoss()(logits_BTK, *texts).mean
    assert found.dtype == torch.float32
    assert found == CtcLoss()(logits_BTK.float(), *texts).mean


CENTERS = Centers(
    means_KC=np.array([[0, 0], [1, 2], [0, 0]], np.float32), counts_K=np.array([7, 3, 0])
)


@pytest.fixture
def centers_file(tmp_path: Path) -> str:
    save_centers(CENTERS, tmp_path / "made" / "centers.npz")
    return str(tmp_path / "made" / "centers.npz")


def test_center_loss_by_hand(centers_file: str) -> None:
    loss = CenterLossConfig(centers=centers_file).build()
    logits_BTK = torch.tensor([[[9.0, 0, 0], [0, 9, 0], [0, 0, 9], [0, 9, 0]]])
    features_BTC = torch.tensor([[[3.0, 4.0], [1.0, 5.0], [8.0, 8.0], [1.0, 2.0]]])
    features_BTC.requires_grad_()
    logits_BTK.requires_grad_()
    # 25 from the blank's, 9 from the first character's, none from the unknown, none from its own.
    value = loss(features_BTC, logits_BTK)
    assert value.item() == pytest.approx((25 + 9) / 4)
    to_features, to_logits = torch.autograd.grad(
        value, (features_BTC, logits_BTK), allow_unused=True
    )
    expected = torch.tensor([[[3.0, 4.0], [0.0, 3.0], [0.0, 0.0], [0.0, 0.0]]]) * 2 / 4
    torch.testing.assert_close(to_features, expected)
    assert to_logits is None


def test_center_loss_is_finite_far_away(centers_file: str) -> None:
    loss = CenterLossConfig(centers=centers_file).build()
    features_BTC = torch.full((1, 1, 2), 1e20, requires_grad=True)
    value = loss(features_BTC, torch.zeros(1, 1, 3))
    (gradient,) = torch.autograd.grad(value, features_BTC)
    assert value.item() == pytest.approx(1e12)
    assert torch.isfinite(gradient).all()


def test_centers_stay(centers_file: str) -> None:
    loss = CenterLossConfig(centers=centers_file).build()
    assert loss.state_dict() == {}
    assert list(loss.parameters()) == []
    found = load_centers(Path(centers_file))
    np.testing.assert_array_equal(found.means_KC, CENTERS.means_KC)
    np.testing.assert_array_equal(found.counts_K, CENTERS.counts_K)


def test_centers_that_cannot_be_used_are_named(centers_file: str, tmp_path: Path) -> None:
    loss = CenterLossConfig(centers=centers_file).build()
    with pytest.raises(CheckpointError, match=r"3 centers of 2 numbers.*4 classes"):
        loss(torch.zeros(1, 1, 2), torch.zeros(1, 1, 4))
    with pytest.raises(CheckpointError, match="edgeocr-train centers"):
        CenterLossConfig(centers=str(tmp_path / "missing.npz")).build()
    broken = tmp_path / "broken.npz"
    for content in (b"", b"PK\x03\x04", Path(centers_file).read_bytes()[:-60]):
        broken.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"broken\.npz"):
            CenterLossConfig(centers=str(broken)).build()
    np.savez(broken, means=np.zeros((2, 3)), counts=np.zeros(3))
    with pytest.raises(CheckpointError, match="shape"):
        CenterLossConfig(centers=str(broken)).build()
    np.savez(broken, means=np.zeros((2, 3)), counts=np.zeros(2))
    with pytest.raises(CheckpointError, match="no center"):
        CenterLossConfig(centers=str(broken)).build()
    with pytest.raises(RecipeError, match="weight"):
        CenterLossConfig(centers=centers_file, weight=0.0)


def test_symmetric_divergence_by_hand() -> None:
    """Two steps, of which the second is the same in both."""
    p, q = (0.25, 0.75), (0.5, 0.5)
    first_BTK = torch.tensor([[p, p]]).log() + 3
    second_BTK = torch.tensor([[q, p]]).log() - 1
    forth = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    back = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    found = symmetric_divergence(first_BTK, second_BTK).item()
    assert found == pytest.approx((forth + back) / 2, rel=1e-5)
    taught = divergence_from_teacher(second_BTK, first_BTK).item()
    assert taught == pytest.approx(forth, rel=1e-5)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_symmetric_divergence_is_a_distance_of_distributions(seed: int) -> None:
    first, second = random_logits(seed, 2, 4, 5), random_logits(seed + 1, 2, 4, 5)
    distance = symmetric_divergence(first, second)
    assert distance.item() == pytest.approx(symmetric_divergence(second, first).item(), rel=1e-4)
    assert distance > symmetric_divergence(first, first + 0.5 * (second - first)) > 0
    # What is added to all logits of a step changes nothing.
    assert symmetric_divergence(first, first + 7).item() == pytest.approx(0, abs=1e-4)
    both = divergence_from_teacher(first, second) + divergence_from_teacher(second, first)
    assert distance.item() == pytest.approx(both.item() / 2, rel=1e-4)


@pytest.mark.parametrize("logits", [0.0, 1e4])
def test_divergences_teach_with_finite_gradients(logits: float) -> None:
    first = random_logits(0, 1, 3, 4)
    first[..., 0] += logits
    second = random_logits(1, 1, 3, 4)
    second[..., 1] += logits
    first.requires_grad_()
    second.requires_grad_()
    for gradient in torch.autograd.grad(symmetric_divergence(first, second), (first, second)):
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).any()
    taught = divergence_from_teacher(first, second)
    student, teacher = torch.autograd.grad(taught, (first, second), allow_unused=True)
    assert torch.isfinite(student).all()
    assert (student != 0).any()
    assert teacher is None


def test_a_temperature_keeps_the_size_of_gradients() -> None:
    """For logits that are small against it, t^2 KL is a quadratic form that has no t."""
    student, teacher = 0.01 * random_logits(0, 1, 2, 5), 0.01 * random_logits(1, 1, 2, 5)
    cold = divergence_from_teacher(student.double(), teacher.double())
    hot = divergence_from_teacher(student.double(), teacher.double(), temperature=4.0)
    # What is left out of that form is of the logits' own size.
    assert hot.item() == pytest.approx(cold.item(), rel=0.05)


def test_feature_distance_by_hand() -> None:
    first, second = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[1.0, 5.0]]]])
    assert feature_distance(first, second).item() == 4.5


def test_distance_from_a_teacher_by_hand() -> None:
    """Two lines of one step: 9 + 16 and 0, so 12.5 a line; the teacher is told nothing."""
    student = torch.tensor([[[1.0, 2.0]], [[3.0, 3.0]]], requires_grad=True)
    teacher = torch.tensor([[[4.0, -2.0]], [[3.0, 3.0]]], requires_grad=True)
    distance = distance_from_teacher(student, teacher)
    assert distance.item() == 12.5
    told, untold = torch.autograd.grad(distance, (student, teacher), allow_unused=True)
    assert told.tolist() == [[[-3.0, 4.0]], [[0.0, 0.0]]]
    assert untold is None


def test_recognisers_of_other_steps_cannot_teach() -> None:
    for loss in (symmetric_divergence, divergence_from_teacher, distance_from_teacher):
        with pytest.raises(RecipeError, match="same steps"):
            loss(torch.zeros(1, 4, 3), torch.zeros(1, 8, 3))
    with pytest.raises(RecipeError, match="feature"):
        feature_distance(torch.zeros(1, 4, 1, 8), torch.zeros(1, 8, 1, 8))
