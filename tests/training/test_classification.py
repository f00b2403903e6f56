"""The classifier of directions: what it learns from, and how it is measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeocr_training.checkpoint import Weights, save_weights
from edgeocr_training.data.mixing import cutmix, mixup
from edgeocr_training.errors import CheckpointError, DataError, RecipeError
from edgeocr_training.evaluation.classification import ClassificationEvaluatorConfig
from edgeocr_training.models.classifier import Classifier, ClassifierConfig
from edgeocr_training.models.classifier_weights import ClassifierWeights
from edgeocr_training.models.line_pp_lcnet import LinePpLcNetConfig
from edgeocr_training.tasks.classification import ClassificationTask, ClassificationTaskConfig

CPU: Final = torch.device("cpu")
SMALL: Final = ClassifierConfig(backbone=LinePpLcNetConfig(), height=32, width=48)


def batch(size: int = 4) -> dict[str, Tensor]:
    """Lines that are bright at the top, or at the bottom."""
    label = torch.arange(size) % 2
    image = torch.randint(
        0, 60, (size, 32, 48, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    image[label == 0, :16] += 150
    image[label == 1, 16:] += 150
    return {"image": image, "label": label}


def build(config: ClassificationTaskConfig, seed: int = 0) -> ClassificationTask:
    torch.manual_seed(seed)
    task = config.build()
    task.train()
    return task


@pytest.mark.parametrize("mixing", [None, "mixup", "cutmix"])
def test_it_learns_a_batch_by_heart(mixing: Literal["mixup", "cutmix"] | None) -> None:
    task = build(ClassificationTaskConfig(classifier=SMALL, mixing=mixing))
    tensors = batch()
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    for _ in range(12):
        optimizer.zero_grad()
        torch.autograd.backward(task(tensors)["loss"])
        optimizer.step()
    image = task.student.normalise(tensors["image"])
    assert (task.student(image).argmax(dim=1) == tensors["label"]).all()


def test_the_loss_is_cross_entropy_by_hand() -> None:
    task = build(ClassificationTaskConfig(classifier=SMALL))
    with torch.no_grad():
        task.student.classes.weight.zero_()
        task.student.classes.bias.copy_(torch.tensor([0.0, math.log(3.0)]))
    # Whatever is seen, 1/4 is upright and 3/4 turned.
    expected = -(math.log(1 / 4) + math.log(3 / 4)) / 2
    assert task(batch())["loss"].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_images_and_their_classes_are_mixed_in_training_alone(
    mixing: Literal["mixup", "cutmix"],
) -> None:
    task = build(ClassificationTaskConfig(classifier=SMALL, mixing=mixing, alpha=2.0))
    plain = build(ClassificationTaskConfig(classifier=SMALL))
    tensors = batch()
    torch.manual_seed(3)
    found = task(tensors)["loss"]
    torch.manual_seed(3)
    mixer = {"mixup": mixup, "cutmix": cutmix}[mixing]
    image = plain.student.normalise(tensors["image"])
    mixed = mixer(image, tensors["label"], classes=2, alpha=2.0)
    expected = F.cross_entropy(plain.student(mixed.image_BCHW), mixed.probability_BK)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    assert task.eval()(tensors)["loss"] == plain.eval()(tensors)["loss"]


def test_a_classifier_starts_from_weights(tmp_path: Path) -> None:
    torch.manual_seed(5)
    student = SMALL.build().state_dict()
    path = tmp_path / "weights.pt"
    save_weights(Weights(recipe="cls", step=1, metrics={}, student=student), path)
    own = ClassificationTaskConfig(
        classifier=SMALL, initial_weights=ClassifierWeights(own=str(path))
    )
    for name, weight in own.build().student.state_dict().items():
        assert torch.equal(weight, student[name]), name
    missing = replace(own, initial_weights=ClassifierWeights(own="missing.pt"))
    assert missing.build_student().state_dict().keys() == student.keys()
    with pytest.raises(CheckpointError, match=r"missing\.pt"):
        missing.build()
    with pytest.raises(RecipeError, match="alpha"):
        replace(own, alpha=0.0)


class BrightAboveIsUpright(Classifier):
    """Says how much brighter the upper half is."""

    def __init__(self) -> None:
        super().__init__(SMALL)
        self.shapes: list[tuple[int, ...]] = []
        self.modes: list[tuple[bool, bool, int]] = []

    def forward(self, image_B3HW: Tensor) -> Tensor:
        self.shapes.append(tuple(image_B3HW.shape))
        self.modes.append((self.training, torch.is_grad_enabled(), torch.get_num_threads()))
        above_B = image_B3HW[:, :, :16].mean(dim=(1, 2, 3))
        below_B = image_B3HW[:, :, 16:].mean(dim=(1, 2, 3))
        return torch.stack((above_B, below_B), dim=1)


class AlwaysUpright(BrightAboveIsUpright):
    def forward(self, image_B3HW: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0]]).expand(len(super().forward(image_B3HW)), 2)


def write_lines(folder: Path, bright_above: Sequence[bool], name: str = "lines") -> str:
    rows = []
    for number, above in enumerate(bright_above):
        image = np.full((40, 50 + 40 * number, 3), 20, np.uint8)
        image[:16] += 150
        cv2.imwrite(str(folder / f"{name}{number}.png"), image if above else image[::-1])
        rows.append(f"{name}{number}.png\ttext\n")
    (folder / f"{name}.txt").write_text("".join(rows))
    return f"lines={folder / name}.txt"


def test_lines_are_measured_both_ways(tmp_path: Path) -> None:
    labels = write_lines(tmp_path, [True, True, False])
    config = ClassificationEvaluatorConfig(labels=(labels,), batch_size=4)
    classifier = BrightAboveIsUpright()
    assert config.build().evaluate(classifier, device=CPU) == {
        "accuracy": pytest.approx(2 / 3),
        "accuracy_upright": pytest.approx(2 / 3),
        "accuracy_turned": pytest.approx(2 / 3),
    }
    assert classifier.shapes == [(4, 3, 32, 48), (2, 3, 32, 48)]
    assert config.build().evaluate(AlwaysUpright(), device=CPU) == {
        "accuracy": 0.5,
        "accuracy_upright": 1.0,
        "accuracy_turned": 0.0,
    }


def test_lines_without_a_direction_are_left_out(tmp_path: Path) -> None:
    labels = write_lines(tmp_path, [True, False])
    path = tmp_path / "lines.txt"
    path.write_text("lines0.png\ttext\nlines1.png\tHO\n")
    config = ClassificationEvaluatorConfig(labels=(labels,))
    assert config.build().evaluate(BrightAboveIsUpright(), device=CPU)["accuracy"] == 1
    path.write_text("lines1.png\tHO\n")
    with pytest.raises(DataError, match="direction"):
        config.build()


def test_files_are_measured_together_and_each(tmp_path: Path) -> None:
    right = write_lines(tmp_path, [True], "right")
    wrong = write_lines(tmp_path, [False, False], "wrong")
    figures = (
        ClassificationEvaluatorConfig(labels=(right, wrong))
        .build()
        .evaluate(BrightAboveIsUpright(), device=CPU)
    )
    assert figures["accuracy"] == pytest.approx(1 / 3)
    assert figures[f"accuracy_{tmp_path.name}/right"] == 1
    assert figures[f"accuracy_{tmp_path.name}/wrong"] == 0


def test_modes_and_threads_are_as_before(tmp_path: Path) -> None:
    classifier = BrightAboveIsUpright()
    classifier.train()
    threads = torch.get_num_threads()
    labels = write_lines(tmp_path, [True])
    config = ClassificationEvaluatorConfig(labels=(labels,), threads=threads + 1)
    config.build().evaluate(classifier, device=CPU)
    assert classifier.modes == [(False, False, threads + 1)]
    assert classifier.training
    assert torch.get_num_threads() == threads


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    labels = write_lines(tmp_path, [True, True])
    config = ClassificationEvaluatorConfig(labels=(labels,), lines=1)
    with pytest.raises(RecipeError, match="Linear"):
        config.build().evaluate(nn.Linear(1, 1), device=CPU)
    with pytest.raises(RecipeError, match="batch_size is 0"):
        replace(config, batch_size=0).build()
    with pytest.raises(DataError, match=r"missing\.txt"):
        replace(config, labels=("missing.txt",)).build()
    (tmp_path / "lines1.png").write_bytes(b"no image")
    assert config.build().evaluate(BrightAboveIsUpright(), device=CPU)["accuracy"] == 1
    with pytest.raises(DataError, match=r"lines1\.png"):
        replace(config, lines=None).build().evaluate(BrightAboveIsUpright(), device=CPU)
