"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from edgeocr_training.recipe import Recipe
from edgeocr_training.recipes import recipe_named

TINY = f"{Path(__file__).with_name('tiny_recipes.py')}:tiny"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small tensors gain nothing from threads, and the sums are then the same everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_name() -> str:
    """What ``edgeocr-train`` calls the recipe that a second runs."""
    return TINY


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """A recipe that takes a second."""
    return recipe_named(TINY)


@pytest.fixture
def write_teacher(tmp_path: Path) -> Callable[..., str]:
    """Writes an ONNX model whose map is a weighted sum of an image's channels: its brightness,
    of images in [0, 1] and with the weights that it has unless others are given.
    """

    def write(
        name: str = "teacher.onnx",
        *,
        weights: Sequence[float] = (1 / 3, 1 / 3, 1 / 3),
        outputs: int = 1,
    ) -> str:
        kernel = np.tile(np.array(weights, dtype=np.float32), (outputs, 1))
        graph = helper.make_graph(
            [helper.make_node("Conv", ["x", "kernel"], ["map"])],
            "teacher",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
            [helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", outputs, "h", "w"])],
            [onnx.numpy_helper.from_array(kernel.reshape(outputs, 3, 1, 1), "kernel")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / name)
        return str(tmp_path / name)

    return write
