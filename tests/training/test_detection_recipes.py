"""A step of every recipe of a detector gives the losses that it gave when it was written.

Two losses are stored, before and after an update, so that they hold data, network, losses,
gradients and optimiser. Who changes what a recipe computes on purpose prints new ones::

    python tests/training/test_detection_recipes.py
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import onnx
import pytest
import torch

from edgeocr_benchmarks.labels import read_labels
from edgeocr_training.__main__ import main
from edgeocr_training.data.sample import stack
from edgeocr_training.models.detector import DetectorConfig
from edgeocr_training.models.rsefpn import RseFpnConfig
from edgeocr_training.optimization import build_optimizer
from edgeocr_training.recipe import Recipe
from edgeocr_training.recipes.detection import RECIPES
from edgeocr_training.settings import with_settings

STORED: Final = Path(__file__).with_name("detection_recipe_losses.json")

TOLERANCE: Final = 1e-3
"""Relative. Sums of convolutions differ in their last bits between processors, and Adam's first
step is as long for a gradient of nearly nothing as for any other: with other instruction sets the
second loss moved by 2e-4. Another weight of a loss, or another order of random numbers, changes
far more."""


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root)
    return root


def write_data(root: Path) -> None:
    """Two pages under every name that a recipe has, a teacher in ONNX and one of our own."""
    pages = root / "pages"
    pages.mkdir()
    rows = []
    for number in range(2):
        rng = np.random.default_rng(number)
        image = rng.integers(150, 250, (192, 256, 3), dtype=np.uint8)
        regions = []
        for line in range(4):
            x, y, width = 16 + 12 * line, 10 + 44 * line, 130 + 20 * number
            image[y : y + 26, x : x + width] //= 4
            text = "###" if line == 3 else "text"
            corners = [[x, y], [x + width, y], [x + width, y + 26], [x, y + 26]]
            regions.append({"transcription": text, "points": corners})
        cv2.imwrite(str(pages / f"{number}.png"), image)
        rows.append(f"../pages/{number}.png\t{json.dumps(regions)}\n")
    for folder, names in {
        "icdar2015": ("train", "dev"),
        "lines": (
            *("icdar2015_train", "funsd_train", "sroie_train", "samples"),
            *("icdar2015_dev", "funsd_dev", "sroie_dev"),
        ),
    }.items():
        (root / folder).mkdir()
        for name in names:
            (root / folder / f"{name}.txt").write_text("".join(rows), "utf-8")
    (root / "models").mkdir()
    _write_onnx_teacher(root / "models" / "PP-OCRv6_det_small.onnx")
    torch.manual_seed(1)
    weights = DetectorConfig(neck=RseFpnConfig()).build().state_dict()
    torch.save({"student": weights}, root / "teacher.pt")


def _write_onnx_teacher(path: Path) -> None:
    """Text is where the image is dark."""
    helper = onnx.helper
    image: list[str | int | None] = ["N", 3, "H", "W"]
    result: list[str | int | None] = ["N", 1, "H", "W"]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=1),
            helper.make_node("Mul", ["mean", "steepness"], ["logits"]),
            helper.make_node("Sigmoid", ["logits"], ["map"]),
        ],
        "dark_is_text",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("map", onnx.TensorProto.FLOAT, result)],
        [
            helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [1]),
            helper.make_tensor("steepness", onnx.TensorProto.FLOAT, [1], [-4.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(path))


def tiny(name: str, data_root: Path) -> Recipe:
    """The recipe on small crops, without what a test has no files of."""
    recipe = RECIPES[name](data_root=str(data_root))
    settings = [
        "data.crop_size=96",
        # A small page must not shrink to nothing.
        "data.resize=0.8,1.5",
        "data.min_crop_side_ratio=0.6",
        "batch_size=2",
        "task.initial_weights.official=none",
    ]
    if name == "det_lines_slim":
        settings.append(f"task.initial_weights.own={data_root / 'teacher.pt'}")
    if hasattr(recipe.data, "synthetic") and recipe.data.synthetic is not None:
        settings += ["data.synthetic=none", f"data.teacher_maps.cache={data_root / 'cache'}"]
    if getattr(recipe.task, "teacher", None) is not None:
        settings.append(f"task.teacher.weights.own={data_root / 'teacher.pt'}")
    return with_settings(recipe, settings)


def losses_of_a_step(recipe: Recipe) -> list[float]:
    """Before and after an update with the first samples."""
    torch.manual_seed(recipe.seed)
    task = recipe.task.build().train()
    dataset = recipe.data.build()
    batch = stack(
        [dataset.sample(index, np.random.default_rng((0, 0, index))) for index in range(2)]
    )
    optimizer = build_optimizer(recipe.optimizer, task)
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
    recipe = tiny(name, data_root)
    assert recipe.name == name
    assert recipe.description
    assert recipe.evaluation is not None
    assert recipe.evaluation.build().metric == "hmean"


def test_labels_of_lines_are_made_by_a_command(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pages' lines are dark, and the teacher finds what is dark."""
    model = data_root / "models" / "PP-OCRv6_det_small.onnx"
    options = ["--teacher", str(model), "--cache", str(tmp_path / "cache")]
    target = tmp_path / "lines.txt"
    assert main(["label", str(data_root / "pages"), "--out", str(target), *options]) == 0
    assert json.loads(capsys.readouterr().out) == {"pages": 2, "boxes": 8, "dont_care": 0}
    (page, _) = read_labels(str(target)).images
    assert len(page.regions) == 4


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder))
        losses = {name: losses_of_a_step(tiny(name, Path(folder))) for name in RECIPES}
    STORED.write_text(json.dumps(losses, indent=2) + "\n", "utf-8")
    print(STORED.read_text("utf-8"))
