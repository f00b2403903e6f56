"""Recognisers learn: alone, from one another, from a teacher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch
from torch import Tensor

from edgeocr_training.checkpoint import Weights, save_weights
from edgeocr_training.errors import CheckpointError, RecipeError
from edgeocr_training.losses.center import CenterLossConfig, Centers, save_centers
from edgeocr_training.losses.ctc import CtcLoss
from edgeocr_training.losses.mutual_recognition import symmetric_divergence
from edgeocr_training.losses.recognition_loss import RecognitionLossConfig
from edgeocr_training.models.bilstm_neck import BiLstmConfig
from edgeocr_training.models.ctc_head import CtcHeadConfig
from edgeocr_training.models.mobilenet_v1_enhance import MobileNetV1EnhanceConfig
from edgeocr_training.models.recogniser import Recogniser, RecogniserConfig
from edgeocr_training.models.recogniser_weights import RecogniserWeights
from edgeocr_training.tasks.distill_recognition import (
    DistillRecognition,
    DistillRecognitionConfig,
    RecogniserTeacherConfig,
)
from edgeocr_training.tasks.supervised_recognition import SupervisedRecognitionConfig
from edgeocr_training.tasks.task import Task, TaskConfig
from edgeocr_training.tasks.u_dml_recognition import UDmlRecognition, UDmlRecognitionConfig

CLASSES: Final = 5
TINY: Final = RecogniserConfig(
    backbone=MobileNetV1EnhanceConfig(scale=0.25),
    neck=BiLstmConfig(hidden=8, layers=1),
    head=CtcHeadConfig(mid_channels=6, classes=CLASSES),
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with weights of the tiny recogniser."""
    torch.manual_seed(9)
    path = tmp_path_factory.mktemp("weights") / "teacher.pt"
    student = TINY.build().state_dict()
    save_weights(Weights(recipe="tiny", step=1, metrics={}, student=student), path)
    return str(path)


@pytest.fixture(scope="module")
def centers(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("centers") / "centers.npz"
    means = np.random.default_rng(0).normal(size=(CLASSES, 6)).astype(np.float32)
    save_centers(Centers(means_KC=means, counts_K=np.ones(CLASSES, np.int64)), path)
    return str(path)


def batch() -> dict[str, Tensor]:
    """Two lines of bars, which stand for characters by their heights."""
    image = torch.full((2, 32, 32, 3), 30, dtype=torch.uint8)
    image[0, 4:28, 4:12] = 220
    image[0, 16:28, 20:28] = 220
    image[1, 2:10, 8:24] = 220
    return {
        "image": image,
        "label": torch.tensor([[1, 2, 0], [4, 0, 0]], dtype=torch.int32),
        "label_length": torch.tensor([2, 1], dtype=torch.int32),
    }


def build(config: TaskConfig, seed: int = 0) -> Task:
    torch.manual_seed(seed)
    return config.build().train()


@pytest.fixture(params=["supervised", "u_dml", "three", "distill", "enhanced"])
def config(request: pytest.FixtureRequest, weights: str, centers: str) -> TaskConfig:
    enhanced = RecognitionLossConfig(center=CenterLossConfig(centers=centers))
    teacher = RecogniserTeacherConfig(recogniser=TINY, weights=RecogniserWeights(own=weights))
    configs: dict[str, TaskConfig] = {
        "supervised": SupervisedRecognitionConfig(recogniser=TINY),
        "u_dml": UDmlRecognitionConfig(recogniser=TINY, loss=enhanced),
        "three": UDmlRecognitionConfig(recogniser=TINY, count=3),
        "distill": DistillRecognitionConfig(recogniser=TINY, teacher=teacher),
        "enhanced": SupervisedRecognitionConfig(recogniser=TINY, loss=enhanced),
    }
    return configs[request.param]


def test_every_task_learns_a_batch_by_heart(config: TaskConfig) -> None:
    task = build(config)
    tensors = batch()
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    before = losses = task(tensors)
    for _ in range(12):
        losses = task(tensors)
        optimizer.zero_grad()
        torch.autograd.backward(losses["loss"])
        optimizer.step()
    # A teacher with random weights says other things than the labels.
    assert losses["loss"] < 0.85 * before["loss"]
    assert losses["ctc"] < before["ctc"]


def test_losses_are_scalars_that_name_their_parts(config: TaskConfig) -> None:
    losses = build(config)(batch())
    for value in losses.values():
        assert value.shape == ()
        assert value.dtype == torch.float32
    assert losses["unreachable"] == 0
    names = [name for name in ("labels", "mutual", "features", "distillation") if name in losses]
    parts = [losses[name].item() for name in names]
    if not parts:
        parts = [losses["ctc"].item()]
        if "center" in losses:
            parts.append(0.05 * losses["center"].item())
    assert losses["loss"].item() == pytest.approx(sum(parts))


def test_state_is_what_is_trained(config: TaskConfig) -> None:
    """A task made anew gives the same losses once it has another's state; neither teachers nor
    centers are in it.
    """
    first, second = build(config, seed=1), build(config, seed=2)
    tensors = batch()
    assert first(tensors)["loss"] != second(tensors)["loss"]
    second.load_state_dict(first.state_dict())
    assert first(tensors)["loss"] == second(tensors)["loss"]
    assert isinstance(first.student, Recogniser)
    trained = {id(parameter) for parameter in first.parameters()}
    kept = {name for name, _ in first.named_parameters()} | {n for n, _ in first.named_buffers()}
    assert first.state_dict().keys() <= kept
    assert all(parameter.requires_grad for parameter in first.parameters())
    assert {id(parameter) for parameter in first.student.parameters()} <= trained


def test_a_student_is_made_without_weights_to_start_from(centers: str) -> None:
    missing = RecogniserWeights(own="missing.pt")
    teacher = RecogniserTeacherConfig(recogniser=TINY, weights=missing)
    wanted = TINY.build().state_dict().keys()
    enhanced = RecognitionLossConfig(center=CenterLossConfig(centers="missing.npz"))
    for config in (
        SupervisedRecognitionConfig(recogniser=TINY, initial_weights=missing, loss=enhanced),
        UDmlRecognitionConfig(recogniser=TINY, initial_weights=missing, loss=enhanced),
        DistillRecognitionConfig(recogniser=TINY, teacher=teacher),
    ):
        assert config.build_student().state_dict().keys() == wanted


def test_supervised_is_ctc_of_the_recognisers_logits() -> None:
    loss = RecognitionLossConfig(ctc=CtcLoss(focal=True))
    task = build(SupervisedRecognitionConfig(recogniser=TINY, loss=loss)).eval()
    tensors = batch()
    recogniser = task.student
    assert isinstance(recogniser, Recogniser)
    logits_BTK = recogniser(recogniser.normalise(tensors["image"])).logits_BTK
    expected = CtcLoss(focal=True)(logits_BTK, tensors["label"], tensors["label_length"]).mean
    assert task(tensors)["loss"].item() == pytest.approx(expected.item())


def test_labels_that_do_not_fit_are_counted_and_teach_nothing() -> None:
    task = build(SupervisedRecognitionConfig(recogniser=TINY))
    tensors = batch()
    tensors["label"] = torch.full((2, 9), 1, dtype=torch.int32)
    tensors["label_length"] = torch.tensor([9, 9], dtype=torch.int32)
    losses = task(tensors)
    torch.autograd.backward(losses["loss"])
    assert losses["unreachable"] == 1
    assert losses["loss"] == 0
    assert all(p.grad is not None and (p.grad == 0).all() for p in task.parameters())


@pytest.mark.parametrize("count", [2, 3])
def test_each_recogniser_hears_the_mean_of_the_others(count: int) -> None:
    task = build(UDmlRecognitionConfig(recogniser=TINY, count=count)).eval()
    assert isinstance(task, UDmlRecognition)
    recognisers = [task._first, *task._others]
    assert len(recognisers) == count
    tensors = batch()
    image = task._first.normalise(tensors["image"])
    logits = [recogniser(image).logits_BTK for recogniser in recognisers]
    halves = [
        symmetric_divergence(one, other) / 2 / (count - 1)
        for one in logits
        for other in logits
        if other is not one
    ]
    losses = task(tensors)
    assert losses["mutual"].item() == pytest.approx(sum(half.item() for half in halves), rel=1e-5)
    each = sum(
        CtcLoss()(one, tensors["label"], tensors["label_length"]).mean.item() for one in logits
    )
    assert losses["labels"].item() == pytest.approx(each, rel=1e-5)
    for name in ("mutual", "features"):
        gradients = torch.autograd.grad(
            losses[name],
            [next(recogniser.parameters()) for recogniser in recognisers],
            retain_graph=True,
        )
        assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_recognisers_that_would_stay_the_same_are_refused(weights: str) -> None:
    config = UDmlRecognitionConfig(recogniser=TINY, initial_weights=RecogniserWeights(own=weights))
    with pytest.raises(RecipeError, match="same weights"):
        config.build()
    with pytest.raises(RecipeError, match="alone"):
        UDmlRecognitionConfig(recogniser=TINY, count=1)


def test_a_teacher_never_learns_and_moves_along(weights: str) -> None:
    teacher = RecogniserTeacherConfig(recogniser=TINY, weights=RecogniserWeights(own=weights))
    task = build(DistillRecognitionConfig(recogniser=TINY, teacher=teacher))
    assert isinstance(task, DistillRecognition)
    image = batch()["image"]
    before = task._teacher(image)
    torch.manual_seed(9)
    same = TINY.build().eval()
    # Without a gradient as well: some processors have another LSTM kernel then.
    with torch.no_grad():
        output = same(same.normalise(image))
    assert torch.equal(before.logits_BTK, output.logits_BTK)
    assert torch.equal(before.features_BTC, output.features_BTC)
    optimizer = torch.optim.Adam(task.parameters(), lr=0.1)
    torch.autograd.backward(task(batch())["loss"])
    optimizer.step()
    assert torch.equal(task.train()._teacher(image).logits_BTK, before.logits_BTK)
    task.to(torch.float64)
    assert {weight.dtype for weight in task._teacher.network.parameters()} == {torch.float64}


def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_it(weights: str) -> None:
    own = RecogniserWeights(own=weights)
    teacher = RecogniserTeacherConfig(recogniser=TINY, weights=own)
    config = DistillRecognitionConfig(recogniser=TINY, initial_weights=own, teacher=teacher)
    assert config.build().eval()(batch())["distillation"].item() == pytest.approx(0, abs=1e-6)
    hot = replace(config, initial_weights=RecogniserWeights(), distillation_weight=0.5)
    losses = build(hot)(batch())
    expected = losses["labels"] + 0.5 * losses["distillation"]
    assert losses["loss"].item() == pytest.approx(expected.item())


def test_features_of_the_teacher_are_a_lesson_of_their_own(weights: str) -> None:
    own = RecogniserWeights(own=weights)
    teacher = RecogniserTeacherConfig(recogniser=TINY, weights=own)
    config = DistillRecognitionConfig(
        recogniser=TINY, teacher=teacher, distillation_weight=0.0, feature_weight=0.25
    )
    same = replace(config, initial_weights=own).build().eval()(batch())
    # Squares of float32's last bits: the teacher runs without a gradient, for which some
    # processors have another LSTM kernel.
    assert same["features"].item() == pytest.approx(0, abs=1e-12)
    losses = build(config)(batch())
    assert "distillation" not in losses
    assert losses["features"].item() > 0
    expected = losses["labels"] + 0.25 * losses["features"]
    assert losses["loss"].item() == pytest.approx(expected.item())


def test_what_cannot_teach_is_refused(weights: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="teaches nothing"):
        RecogniserTeacherConfig(recogniser=TINY, weights=RecogniserWeights()).build()
    with pytest.raises(RecipeError, match="not from both"):
        RecogniserWeights(own=weights, official=weights).load_into(TINY.build())
    missing = RecogniserWeights(own=str(tmp_path / "missing.pt"))
    with pytest.raises(CheckpointError, match=r"missing\.pt"):
        RecogniserTeacherConfig(recogniser=TINY, weights=missing).build()
    other = replace(TINY, head=CtcHeadConfig(mid_channels=6, classes=7))
    with pytest.raises(CheckpointError, match="another network"):
        RecogniserWeights(own=weights).load_into(other.build())
    teacher = RecogniserTeacherConfig(recogniser=TINY, weights=RecogniserWeights(own=weights))
    with pytest.raises(RecipeError, match="same steps"):
        DistillRecognitionConfig(recogniser=other, teacher=teacher).build()(batch())
    config = DistillRecognitionConfig(recogniser=TINY, teacher=teacher)
    with pytest.raises(RecipeError, match="temperature"):
        replace(config, temperature=0.0)
    with pytest.raises(RecipeError, match="distillation_weight is -1"):
        replace(config, distillation_weight=-1.0)
    with pytest.raises(RecipeError, match="feature_weight is -1"):
        replace(config, feature_weight=-1.0)
    with pytest.raises(RecipeError, match="the teacher teaches nothing"):
        replace(config, distillation_weight=0.0)
