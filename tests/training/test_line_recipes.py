"""A step of every recipe of a recogniser or a classifier gives the losses that it gave when it was
written.

Two losses are stored, before and after an update, so that they hold data, network, losses,
gradients and optimiser. Who changes what a recipe computes on purpose prints new ones::

    python tests/training/test_line_recipes.py
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest
import torch

from edgeocr_training.ablation_tables import TABLES, table_recipes
from edgeocr_training.checkpoint import Weights, save_weights
from edgeocr_training.data.direction_dataset import DirectionsConfig
from edgeocr_training.data.line_dataset import LinesConfig
from edgeocr_training.data.sample import stack
from edgeocr_training.losses.center import Centers, save_centers
from edgeocr_training.models.ctc_head import PP_OCR_CLASSES, CtcHeadConfig
from edgeocr_training.models.mobilenet_v1_enhance import MobileNetV1EnhanceConfig
from edgeocr_training.models.recogniser import RecogniserConfig
from edgeocr_training.optimization import build_optimizer
from edgeocr_training.recipe import Recipe
from edgeocr_training.recipe_json import recipe_data
from edgeocr_training.recipes import RecipeFunction
from edgeocr_training.recipes.classification import RECIPES as CLASSIFICATION_RECIPES
from edgeocr_training.recipes.recognition import RECIPES as RECOGNITION_RECIPES
from edgeocr_training.settings import setting_keys, with_settings
from edgeocr_training.tasks.distill_recognition import DistillRecognitionConfig

STORED: Final = Path(__file__).with_name("line_recipe_losses.json")
RECIPES: Final[dict[str, RecipeFunction]] = {**RECOGNITION_RECIPES, **CLASSIFICATION_RECIPES}
CHARACTERS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"

TOLERANCE: Final = 1e-3
"""Relative. Sums of convolutions differ in their last bits between processors, and Adam's first
step is as long for a gradient of nearly nothing as for any other. Another weight of a loss, or
another order of random numbers, changes far more."""


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root)
    return root


def write_data(root: Path) -> None:
    """Three lines under every name that a recipe has, characters, centers and a teacher."""
    (root / "pictures").mkdir()
    rows = []
    for number, text in enumerate(("edge", "of2day", "kgf")):
        image = np.full((40, 24 * len(text), 3), 200 - 30 * number, np.uint8)
        ink = (20, 40, 10 * number)
        cv2.putText(image, text, (4, 30), cv2.FONT_HERSHEY_SIMPLEX, 1.0, ink, 2)
        cv2.imwrite(str(root / "pictures" / f"{number}.png"), image)
        rows.append(f"{root}/pictures/{number}.png\t{text}\n")
    files = [
        *(
            f"{words}/{part}.txt"
            for words in ("icdar2015_words", "iiit5k_words")
            for part in ("train", "dev")
        ),
        *(
            f"cut_lines/{pages}_{part}/lines.txt"
            for pages in ("icdar2015", "funsd", "sroie")
            for part in ("train", "dev")
        ),
        "chinese_lines/lines.txt",
    ]
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("".join(rows), "utf-8")
    (root / "models").mkdir()
    (root / "models" / "ppocr_keys_v1.txt").write_text("\n".join(CHARACTERS) + "\n", "utf-8")
    classes = len(CHARACTERS) + 2  # with the space, and the blank
    torch.manual_seed(1)
    # PP-OCRv2's recogniser as `tiny` makes it.
    teacher = RecogniserConfig(
        backbone=MobileNetV1EnhanceConfig(scale=0.25), head=CtcHeadConfig(classes=classes)
    )
    student = teacher.build().state_dict()
    weights = Weights(recipe="rec_ch", step=1, metrics={}, student=student)
    save_weights(weights, root / "teacher.pt")
    for count in (classes, 96):
        means = np.random.default_rng(0).normal(size=(count, 96)).astype(np.float32)
        centers = Centers(means_KC=means, counts_K=np.ones(count, np.int64))
        save_centers(centers, root / f"centers{count}.npz")


def tiny(name: str, data_root: Path) -> Recipe:
    """The recipe on short lines with narrow networks, without what a test has no files of."""
    recipe = RECIPES[name](data_root=str(data_root))
    keys = setting_keys(recipe)
    settings = ["batch_size=3", "data.synthetic=none"]
    if "data.max_length" in keys:
        settings += ["data.width=80", "data.max_length=10"]
    if "task.initial_weights.official" in keys:
        settings.append("task.initial_weights.official=none")
    classes = None
    for key in keys:
        if key.endswith("backbone.scale") and name.startswith("rec"):
            mv3 = "row_strides" in "".join(keys)
            settings.append(f"{key}={0.35 if mv3 else 0.25}")
        if key.endswith("head.classes"):
            classes = recipe_classes(recipe, len(CHARACTERS) + 2)
            settings.append(f"{key}={classes}")
    if "task.loss.center.centers" in keys:
        settings.append(f"task.loss.center.centers={data_root}/centers{classes}.npz")
    if isinstance(recipe.task, DistillRecognitionConfig):
        settings.append(f"task.teacher.weights.own={data_root}/teacher.pt")
        if recipe.task.initial_weights.own is not None:
            settings.append(f"task.initial_weights.own={data_root}/teacher.pt")
    return with_settings(recipe, settings)


def recipe_classes(recipe: Recipe, chinese: int) -> int:
    """Classes of its recogniser, where ``chinese`` stands for PP-OCR's."""
    classes = int(recipe_data(recipe)["task"]["recogniser"]["head"]["classes"])
    return chinese if classes == PP_OCR_CLASSES else classes


def losses_of_a_step(recipe: Recipe) -> list[float]:
    """Before and after an update with the first samples."""
    torch.manual_seed(recipe.seed)
    task = recipe.task.build().train()
    dataset = recipe.data.build()
    batch = stack(
        [dataset.sample(index, np.random.default_rng((0, 0, index))) for index in range(3)]
    )
    optimizer = build_optimizer(recipe.optimizer, task)
    torch.manual_seed(recipe.seed + 1)  # of Mixup and CutMix
    losses = task(batch.tensors)
    torch.autograd.backward(losses["loss"])
    optimizer.step()
    return [losses["loss"].item(), task(batch.tensors)["loss"].item()]


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_reproduces_the_stored_losses(name: str, data_root: Path) -> None:
    stored = json.loads(STORED.read_text("utf-8"))
    assert losses_of_a_step(tiny(name, data_root)) == pytest.approx(stored[name], rel=TOLERANCE)


def test_every_stored_loss_is_of_a_recipe() -> None:
    assert json.loads(STORED.read_text("utf-8")).keys() == RECIPES.keys()


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_bear_their_names_and_can_be_evaluated(name: str, data_root: Path) -> None:
    recipe = RECIPES[name](data_root=str(data_root))
    assert recipe.name == name
    assert recipe.description
    assert recipe.evaluation is not None
    assert recipe.evaluation.build().metric in ("accuracy", "alphanumeric_accuracy")
    assert str(data_root) in json.dumps(recipe_data(recipe))
    # Charsets fit the networks: 6,623 characters, space and blank, or 95 and blank.
    if isinstance(recipe.data, LinesConfig):
        wanted = 96 if recipe.data.charset == "english" else PP_OCR_CLASSES
        assert recipe_data(recipe)["task"]["recogniser"]["head"]["classes"] == wanted
    if isinstance(recipe.data, DirectionsConfig):
        classifier = recipe_data(recipe)["task"]["classifier"]
        assert recipe.data.size == (classifier["height"], classifier["width"])


def test_rows_of_the_tables_differ_in_what_they_say() -> None:
    """And in nothing that would give one of them more to learn from, or more time."""
    for name, table in TABLES.items():
        names = [recipe for recipe in table_recipes(table) if recipe in RECIPES]
        recipes = {recipe: RECIPES[recipe]() for recipe in names}
        for recipe in recipes.values():
            base = recipes[names[0]]
            for field in ("epochs", "batch_size", "optimizer", "schedule", "evaluation", "seed"):
                assert getattr(recipe, field) == getattr(base, field), (name, recipe.name, field)
            assert (recipe.task, recipe.data) != (base.task, base.data) or recipe is base
            same_data = name not in ("tia", "cls-augmentation", "cls-input")
            assert not same_data or recipe.data == base.data, recipe.name


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder))
        losses = {name: losses_of_a_step(tiny(name, Path(folder))) for name in RECIPES}
    STORED.write_text(json.dumps(losses, indent=2) + "\n", "utf-8")
    print(STORED.read_text("utf-8"))
