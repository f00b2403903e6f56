"""Half of the lines are turned, and their label says which."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr_training.data.direction_dataset import Augmentation, DirectionsConfig
from edgeocr_training.errors import DataError, RecipeError, SampleError

WriteLines = Callable[..., str]


def line(height: int, width: int) -> NDArray[np.uint8]:
    """Dark above and bright below."""
    rows = np.linspace(0, 100, height).astype(np.uint8) + np.uint8(50)
    return np.tile(rows[:, None, None], (1, width, 3))


@pytest.fixture
def write_lines(tmp_path: Path) -> WriteLines:
    def write(*rows: tuple[str, tuple[int, int]]) -> str:
        for number, (_, size) in enumerate(rows):
            cv2.imwrite(str(tmp_path / f"{number}.png"), line(*size))
        labels = "".join(f"{number}.png\t{text}\n" for number, (text, _) in enumerate(rows))
        (tmp_path / "lines.txt").write_text(labels, "utf-8")
        return str(tmp_path / "lines.txt")

    return write


@pytest.mark.parametrize("size", [(48, 192), (32, 100)])
@pytest.mark.parametrize("augmentation", [(), *((name,) for name in get_args(Augmentation))])
def test_half_of_the_lines_are_turned(
    write_lines: WriteLines, size: tuple[int, int], augmentation: tuple[Augmentation, ...]
) -> None:
    """And where nothing is added, the picture says what the label does."""
    path = write_lines(("Text", (60, 120)))
    config = DirectionsConfig(sources=(path,), size=size, augmentation=augmentation)
    dataset = pickle.loads(pickle.dumps(config.build()))
    labels, images = [], set()
    for seed in range(40):
        sample, again = (dataset.sample(0, np.random.default_rng(seed)) for _ in range(2))
        image, label = sample.arrays["image"], sample.arrays["label"]
        assert np.array_equal(image, again.arrays["image"])
        assert (image.shape, image.dtype) == ((*size, 3), np.uint8)
        assert (label.shape, label.dtype) == ((), np.int64)
        assert label == again.arrays["label"]
        assert (image[:, 2 * size[0] :] == 127).all()
        if not augmentation:
            shown = image[:, : 2 * size[0]].astype(int)
            assert (shown[0] < shown[-1]).all() == (label == 0)
        labels.append(int(label))
        images.add(image.tobytes())
    assert 10 <= sum(labels) <= 30  # 3 deviations
    assert len(images) == 2 if not augmentation else len(images) > 8


def test_of_long_lines_a_piece_is_squashed_no_more_than_the_product_does(
    write_lines: WriteLines,
) -> None:
    path = write_lines(("A long line", (24, 2000)))
    columns = np.linspace(0, 250, 2000).astype(np.uint8)
    cv2.imwrite(str(Path(path).parent / "0.png"), np.tile(columns[None, :, None], (24, 1, 3)))
    dataset = DirectionsConfig(sources=(path,), augmentation=()).build()
    begins = []
    for seed in range(30):
        row = dataset.sample(0, np.random.default_rng(seed)).arrays["image"][0, :, 0].astype(int)
        # Twice 24 * 192 / 48 = 192 of 2,000 columns: an eighth of a grey level each.
        assert abs(abs(row[-1] - row[0]) - 24) <= 2
        begins.append(min(row[0], row[-1]))
    assert np.ptp(begins) > 100


def test_text_that_reads_upside_down_is_left_out(write_lines: WriteLines) -> None:
    texts = ["HO NO", "60-89", "--", "...", "Text", "9.60", "今日", "一口"]
    dataset = DirectionsConfig(sources=(write_lines(*((t, (20, 60)) for t in texts)),)).build()
    names = {dataset.sample(i, np.random.default_rng(0)).name for i in range(len(dataset))}
    assert {texts[int(Path(name).stem)] for name in names} == {"Text", "9.60", "今日"}


def test_another_line_comes_for_a_tall_one(write_lines: WriteLines) -> None:
    dataset = DirectionsConfig(
        sources=(write_lines(("tall", (60, 30)), ("wide", (30, 60))),)
    ).build()
    assert dataset.sample(0, np.random.default_rng(0)).name.endswith("1.png")


def test_tall_lines_alone_are_an_error(write_lines: WriteLines) -> None:
    dataset = DirectionsConfig(sources=(write_lines(("tall", (60, 30))),)).build()
    with pytest.raises(DataError, match="100 lines in a row"):
        dataset.sample(0, np.random.default_rng(0))


def test_a_broken_image_is_named(write_lines: WriteLines) -> None:
    path = Path(write_lines(("Text", (30, 60))))
    (path.parent / "0.png").write_bytes(b"no image")
    with pytest.raises(SampleError, match=r"0\.png"):
        DirectionsConfig(sources=(str(path),)).build().sample(0, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": ()}, "sources: name a label file"),
        ({"augmentation": ("mixup",)}, "'mixup' is none of: bda, "),
        ({"augmentation": ("bda", "bda")}, "names one twice"),
        ({"size": (0, 10)}, "size is"),
        ({"rand_augment_operations": 0}, "N = 0"),
        ({"rand_augment_magnitude": 11.0}, "M = 11"),
    ],
)
def test_values_outside_of_their_range_are_named(
    write_lines: WriteLines, changes: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"sources": (write_lines(("Text", (30, 60))),), **changes}
    with pytest.raises(RecipeError, match=message):
        DirectionsConfig(**arguments).build()
