"""Detectors learn: alone, from one another, from a teacher, and all together."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import torch
from torch import Tensor

from edgeocr_training.errors import CheckpointError, RecipeError
from edgeocr_training.losses.db_loss import DbLoss
from edgeocr_training.losses.distillation import DistillationLoss, MutualLoss
from edgeocr_training.models.dbfpn import DbFpnConfig
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.initial_weights import InitialWeights
from edgeocr_training.models.mobilenet_v3 import MobileNetV3Config
from edgeocr_training.tasks.cml_detection import CmlDetection, CmlDetectionConfig
from edgeocr_training.tasks.distill_detection import DistillDetectionConfig
from edgeocr_training.tasks.dml_detection import DmlDetection, DmlDetectionConfig
from edgeocr_training.tasks.supervised_detection import SupervisedDetectionConfig
from edgeocr_training.tasks.task import Task, TaskConfig
from edgeocr_training.tasks.teacher import Teacher, TeacherConfig

SIZE: Final = 64
TINY: Final = DetectorConfig(
    backbone=MobileNetV3Config(size="small", scale=0.35), neck=DbFpnConfig(channels=16)
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with weights of the tiny detector."""
    torch.manual_seed(9)
    path = tmp_path_factory.mktemp("weights") / "teacher.pt"
    torch.save({"student": TINY.build().state_dict()}, path)
    return str(path)


def batch(*, with_teacher: bool = False) -> dict[str, Tensor]:
    """Two images with a bright line of text each."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 90, (2, SIZE, SIZE, 3), dtype=torch.uint8, generator=generator)
    image[:, 20:40, 8:56] += 120
    blank = torch.zeros(2, SIZE, SIZE, dtype=torch.uint8)
    tensors = {
        "image": image,
        "shrink_map": blank.clone(),
        "shrink_mask": torch.ones_like(blank),
        "threshold_map": torch.full_like(blank, 77),
        "threshold_mask": blank.clone(),
    }
    tensors["shrink_map"][:, 26:34, 14:50] = 1
    tensors["threshold_map"][:, 18:22, 6:58] = 178
    tensors["threshold_mask"][:, 14:46, 2:62] = 1
    tensors["shrink_mask"][1, :8] = 0
    if with_teacher:
        tensors["teacher_map"] = tensors["shrink_map"] * 200
    return tensors


def build(config: TaskConfig, seed: int = 0) -> Task:
    torch.manual_seed(seed)
    return config.build().train()


CONFIGS: Final[dict[str, TaskConfig]] = {
    "supervised": SupervisedDetectionConfig(detector=TINY),
    "dml": DmlDetectionConfig(detector=TINY),
    "distill": DistillDetectionConfig(detector=TINY),
    "cml": CmlDetectionConfig(detector=TINY),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_task_learns_a_batch_by_heart(config: TaskConfig) -> None:
    task = build(config)
    tensors = batch(with_teacher=True)
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    before = losses = task(tensors)
    for _ in range(25):
        losses = task(tensors)
        optimizer.zero_grad()
        torch.autograd.backward(losses["loss"])
        optimizer.step()
    for part in ("loss", "probability", "binary", "threshold"):
        assert losses[part] < before[part], part
    # Two students' losses are added up, so each must fall for the sum to fall this much.
    assert losses["loss"] < 0.85 * before["loss"]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_losses_are_scalars_that_name_their_parts(config: TaskConfig) -> None:
    losses = build(config)(batch(with_teacher=True))
    for value in losses.values():
        assert value.shape == ()
        assert value.dtype == torch.float32
    parts = [losses[name] for name in ("labels", "mutual", "distillation") if name in losses]
    if parts:
        assert losses["loss"].item() == pytest.approx(sum(part.item() for part in parts))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_state_is_what_is_trained(config: TaskConfig) -> None:
    """A task made anew gives the same losses once it has another's state."""
    first, second = build(config, seed=1), build(config, seed=2)
    tensors = batch(with_teacher=True)
    assert first(tensors)["loss"] != second(tensors)["loss"]
    second.load_state_dict(first.state_dict())
    assert first(tensors)["loss"] == second(tensors)["loss"]
    assert isinstance(first.student, Detector)


def test_a_student_is_made_without_weights_to_start_from_and_without_a_teacher() -> None:
    missing = InitialWeights(own="missing.pt")
    teacher = TeacherConfig(detector=TINY, weights=missing)
    wanted = TINY.build().state_dict().keys()
    for config in (
        SupervisedDetectionConfig(detector=TINY, initial_weights=missing),
        DmlDetectionConfig(detector=TINY, initial_weights=missing),
        DistillDetectionConfig(detector=TINY, initial_weights=missing, teacher=teacher),
        CmlDetectionConfig(detector=TINY, initial_weights=missing, teacher=teacher),
    ):
        assert config.build_student().state_dict().keys() == wanted


def test_supervised_is_the_loss_of_the_detectors_maps() -> None:
    task = build(replace(SupervisedDetectionConfig(detector=TINY), loss=DbLoss(reading="as_paper")))
    losses = task(batch())
    assert losses["loss"].item() == pytest.approx(
        (losses["probability"] + losses["binary"] + 10 * losses["threshold"]).item()
    )


@pytest.mark.parametrize("config", [CONFIGS["dml"], CONFIGS["cml"]], ids=["dml", "cml"])
def test_students_start_from_different_weights(config: TaskConfig) -> None:
    task = build(config)
    assert isinstance(task, (DmlDetection, CmlDetection))
    first, second = task._first, task._second
    for name, weight in first.named_parameters():
        if weight.dim() > 1:  # norms and their like start at 1 and 0
            assert not torch.equal(weight, second.get_parameter(name)), name


def test_students_that_would_stay_the_same_are_refused(weights: str) -> None:
    initial = InitialWeights(own=weights)
    for config in (
        DmlDetectionConfig(detector=TINY, initial_weights=initial),
        CmlDetectionConfig(detector=TINY, initial_weights=initial),
    ):
        with pytest.raises(RecipeError, match="same weights"):
            config.build()


def test_mutual_loss_teaches_each_student_by_the_other() -> None:
    """Without labels that count, what is learnt is learnt from the other."""
    task = build(DmlDetectionConfig(detector=TINY, mutual=MutualLoss()))
    tensors = batch()
    tensors["shrink_mask"].zero_()
    tensors["threshold_mask"].zero_()
    torch.autograd.backward(task(tensors)["loss"])
    assert isinstance(task, DmlDetection)
    for student in (task._first, task._second):
        gradient = student.head.probability_branch.get_parameter("emit.weight").grad
        assert gradient is not None
        assert gradient.abs().sum() > 0


def test_a_teacher_never_learns(weights: str) -> None:
    teacher = TeacherConfig(detector=TINY, weights=InitialWeights(own=weights))
    task = build(CmlDetectionConfig(detector=TINY, teacher=teacher))
    assert isinstance(task, CmlDetection)
    assert task._teacher is not None
    (network,) = task._teacher._hidden
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.Adam(task.parameters(), lr=0.1)
    task.train()
    for _ in range(2):
        optimizer.zero_grad()
        torch.autograd.backward(task(batch())["loss"])
        optimizer.step()
    after = network.state_dict()
    for name, tensor in before.items():  # running means of its norms too
        assert torch.equal(tensor, after[name]), name
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())


def test_a_teacher_is_in_no_state(weights: str) -> None:
    """Of the task's tensors those of the students are left, so a checkpoint stays small."""
    teacher = TeacherConfig(detector=TINY, weights=InitialWeights(own=weights))
    taught = build(CmlDetectionConfig(detector=TINY, teacher=teacher))
    alone = build(CmlDetectionConfig(detector=TINY))
    assert taught.state_dict().keys() == alone.state_dict().keys()
    assert len(list(taught.parameters())) == len(list(alone.parameters()))


def test_a_teacher_moves_with_its_task(weights: str) -> None:
    teacher = TeacherConfig(detector=TINY, weights=InitialWeights(own=weights)).build()
    (network,) = teacher._hidden
    teacher.to(torch.float64)
    assert {weight.dtype for weight in network.parameters()} == {torch.float64}


def test_a_teachers_map_is_that_of_its_network(weights: str) -> None:
    teacher = TeacherConfig(detector=TINY, weights=InitialWeights(own=weights)).build()
    torch.manual_seed(9)
    same = TINY.build().eval()
    image = batch()["image"]
    with torch.inference_mode():
        expected = same.probability(same.normalise(image))
    assert torch.equal(teacher(image), expected)
    assert isinstance(teacher, Teacher)


@pytest.mark.parametrize("kind", [DistillDetectionConfig, CmlDetectionConfig])
def test_a_teacher_and_its_maps_teach_the_same(
    weights: str, kind: type[DistillDetectionConfig] | type[CmlDetectionConfig]
) -> None:
    teacher = TeacherConfig(detector=TINY, weights=InitialWeights(own=weights))
    # Random weights see little: the threshold is where the map is cut in two.
    tensors = batch()
    probability = teacher.build()(tensors["image"])[:, 0]
    # Not on a step of the maps' 8 bits, where rounding would decide.
    distillation = DistillationLoss(
        threshold=(round(probability.median().item() * 255) + 0.5) / 255
    )
    live = build(kind(detector=TINY, teacher=teacher, distillation=distillation))
    stored = build(kind(detector=TINY, distillation=distillation))
    stored.load_state_dict(live.state_dict())
    tensors["teacher_map"] = (probability * 255).round().to(torch.uint8)
    kernels = (probability > distillation.threshold).float()
    assert 0.05 < kernels.mean() < 0.95
    assert live(tensors)["distillation"].item() == pytest.approx(
        stored(tensors)["distillation"].item(), rel=1e-6
    )


def test_no_teacher_at_all_is_refused() -> None:
    for config in (CONFIGS["distill"], CONFIGS["cml"]):
        with pytest.raises(RecipeError, match="teacher_map"):
            build(config)(batch())


def test_a_teacher_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="teaches nothing"):
        TeacherConfig(detector=TINY, weights=InitialWeights()).build()
    with pytest.raises(CheckpointError, match=r"missing\.pt"):
        TeacherConfig(
            detector=TINY, weights=InitialWeights(own=str(tmp_path / "missing.pt"))
        ).build()
