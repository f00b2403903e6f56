from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeocr_training.data.loader import TrainingLoader
from edgeocr_training.data.pages import PagesConfig, PagesDataset
from edgeocr_training.data.sample import Sample
from edgeocr_training.errors import DataError, RecipeError, SampleError

WIDTH, HEIGHT = 200, 160
TEXTS = (
    [[20, 20], [100, 20], [100, 50], [20, 50]],
    [[110, 60], [190, 70], [186, 100], [106, 90]],
    [[30, 100], [120, 100], [120, 130], [30, 130]],
)
IGNORED = [[140, 110], [190, 110], [190, 140], [140, 140]]


def row(name: str, regions: list[tuple[Any, str]]) -> str:
    label = [{"transcription": text, "points": points} for points, text in regions]
    return f"{name}\t{json.dumps(label)}\n"


def write_page(folder: Path, name: str) -> str:
    """White text on black, ignored text blue; its row."""
    # OpenCV fills the outline's pixels too: drawn large they add little.
    large = np.zeros((8 * HEIGHT, 8 * WIDTH, 3), dtype=np.uint8)
    for points in TEXTS:
        cv2.fillPoly(large, [8 * np.array(points)], (255, 255, 255))
    cv2.fillPoly(large, [8 * np.array(IGNORED)], (255, 0, 0))
    image = cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / name), image)
    return row(name, [*((points, "text") for points in TEXTS), (IGNORED, "###")])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pages, labelled in ``train.txt``."""
    rows = [write_page(tmp_path, "a.png"), write_page(tmp_path, "b.jpg")]
    (tmp_path / "train.txt").write_text("".join(rows))
    return tmp_path


@pytest.fixture
def config(folder: Path) -> PagesConfig:
    return PagesConfig(labels=(str(folder / "train.txt"),), crop_size=128)


def sample(data: PagesDataset, index: int, seed: int = 0) -> Sample:
    return data.sample(index, np.random.default_rng(seed))


def assert_same(first: Sample, second: Sample) -> None:
    assert first.name == second.name
    assert first.arrays.keys() == second.arrays.keys()
    for name in first.arrays:
        np.testing.assert_array_equal(first.arrays[name], second.arrays[name])


def test_a_sample_is_what_it_says(config: PagesConfig, folder: Path) -> None:
    data = config.build()
    assert len(data) == 2
    made = sample(data, 0)
    assert made.name == str(folder / "a.png")
    kinds = {name: (array.shape, array.dtype.name) for name, array in made.arrays.items()}
    assert kinds == {
        "image": ((128, 128, 3), "uint8"),
        "shrink_map": ((128, 128), "uint8"),
        "shrink_mask": ((128, 128), "uint8"),
        "threshold_map": ((128, 128), "uint8"),
        "threshold_mask": ((128, 128), "uint8"),
    }


@pytest.mark.parametrize("copy_paste", [False, True])
@pytest.mark.parametrize("fill_square", [False, True])
def test_labels_follow_the_image(config: PagesConfig, copy_paste: bool, fill_square: bool) -> None:
    """Text is white. Kernels are on it, bands around it, masks on what is blue."""
    data = replace(config, copy_paste=copy_paste, fill_square=fill_square).build()
    kernels = 0
    for seed in range(60):
        arrays = sample(data, seed % 2, seed).arrays
        blue, green = arrays["image"][..., 0].astype(int), arrays["image"][..., 1]
        kernel = arrays["shrink_map"] == 1
        assert (green[kernel] > 200).all()
        assert (arrays["threshold_mask"][green > 200] == 1).all()
        # The mask's corners are whole pixels, and moved where the page cuts them off.
        ignored = np.zeros_like(green)
        inner = (blue - green > 200)[2:-2, 2:-2].astype(np.uint8)
        ignored[2:-2, 2:-2] = cv2.erode(inner, np.ones((3, 3)))
        assert not arrays["shrink_mask"][ignored == 1].any()
        kernels += kernel.any()
    assert kernels > 50


def test_pasted_text_comes_on_top_of_the_pages_own(config: PagesConfig) -> None:
    """Seen whole and straight, a page with three texts has a fourth one wherever it fits."""
    plain = replace(
        config,
        flip_probability=0.0,
        rotation=(0.0, 0.0),
        resize=(1.0, 1.0),
        min_crop_side_ratio=1.0,
        crop_size=224,
    )
    own = sample(plain.build(), 0).arrays
    pasting = replace(plain, copy_paste=True).build()
    counts = []
    for seed in range(20):
        arrays = sample(pasting, 0, seed).arrays
        assert (arrays["shrink_map"] >= own["shrink_map"]).all()
        pieces, _ = cv2.connectedComponents(arrays["shrink_map"])
        counts.append(pieces - 1)
    assert set(counts) == {3, 4}


def test_a_sample_depends_on_its_generator_alone(config: PagesConfig) -> None:
    config = replace(config, copy_paste=True, colour_jitter=0.3)
    data = config.build()
    first = sample(data, 1, 7)
    sample(data, 0, 8)
    assert_same(first, sample(data, 1, 7))
    assert_same(first, sample(pickle.loads(pickle.dumps(config.build())), 1, 7))
    assert any(
        not np.array_equal(first.arrays[name], sample(data, 1, 9).arrays[name])
        for name in first.arrays
    )


def test_jitter_changes_colours_and_nothing_else(config: PagesConfig) -> None:
    """And leaves the padding black."""
    plain, jittered = config.build(), replace(config, colour_jitter=0.5).build()
    changed = 0
    for seed in range(10):
        first, second = sample(plain, 0, seed).arrays, sample(jittered, 0, seed).arrays
        for name in first.keys() - {"image"}:
            np.testing.assert_array_equal(first[name], second[name])
        changed += not np.array_equal(first["image"], second["image"])
        height = 128 - np.flatnonzero(first["image"].any(axis=(1, 2)))[-1]
        if height > 20:
            assert not second["image"][-height // 2 :].any()
    assert changed == 10


def test_files_are_repeated(folder: Path) -> None:
    (folder / "more.txt").write_text(write_page(folder, "c.png"))
    labels = (str(folder / "train.txt"), str(folder / "more.txt"))
    data = PagesConfig(labels=labels, repeats=(1, 3), crop_size=128).build()
    names = [Path(sample(data, i).name).name for i in range(len(data))]
    assert names == ["a.png", "b.jpg", "c.png", "c.png", "c.png"]


def test_the_loader_makes_batches_of_them(config: PagesConfig) -> None:
    loader = TrainingLoader(config.build(), batch_size=2)
    (batch,) = loader.epoch(0)
    assert batch.tensors["image"].shape == (2, 128, 128, 3)


@pytest.mark.parametrize("text", ["###", "*"])
def test_unreadable_text_is_ignored(folder: Path, text: str) -> None:
    (folder / "train.txt").write_text(row("a.png", [(TEXTS[0], text)]))
    data = PagesConfig(labels=(str(folder / "train.txt"),), min_crop_side_ratio=1.0).build()
    arrays = sample(data, 0).arrays
    assert not arrays["shrink_map"].any()
    assert not arrays["shrink_mask"].all()


@pytest.mark.parametrize("regions", [[], [([[5, 5], [5, 5], [5, 5]], "dot")]])
def test_pages_without_text_that_can_be_seen(folder: Path, regions: list[Any]) -> None:
    """No text, or of no area: a page teaches what background is."""
    (folder / "train.txt").write_text(row("a.png", regions))
    data = PagesConfig(labels=(str(folder / "train.txt"),), copy_paste=True).build()
    for seed in range(5):
        arrays = sample(data, 0, seed).arrays
        assert not arrays["shrink_map"].any()


BROKEN_ROWS = {
    "no tab": ("a.png only", r"row 2: expected image<TAB>label"),
    "no JSON": ("a.png\t[{", r"row 2: the regions are not JSON"),
    "no list": ('a.png\t{"points": 1}', r"row 2: the regions are not a JSON list"),
    "no points": ('a.png\t[{"transcription": "a"}]', r"row 2, region 0"),
    "two points": (row("a.png", [([[0, 0], [9, 9]], "a")]), r"row 2, region 0: expected three"),
    "NaN": (row("a.png", [([[0, 0], [9, 0], [9, float("nan")]], "a")]), "not finite"),
    "infinity": (row("a.png", [([[0, 0], [9, 0], [9, float("inf")]], "a")]), "not finite"),
    "outside": (
        row("a.png", [(TEXTS[0], "a"), ([[500, 10], [600, 10], [600, 40], [500, 40]], "b")]),
        r"row 2, region 1: .*\(500, 10\) lies outside of the image of 200 x 160 pixels",
    ),
    "above": (row("a.png", [([[10, -40], [60, -40], [60, -9]], "a")]), "lies outside"),
    "gigantic": (row("a.png", [([[0, 0], [1e12, 0], [1e12, 1e12]], "a")]), "lies outside"),
    "no image": (row("z.png", [(TEXTS[0], "a")]), r"z\.png: can't be read: No such file"),
    "a folder": (row(".", [(TEXTS[0], "a")]), r"can't be read: Is a directory"),
}


@pytest.mark.parametrize(("broken", "message"), BROKEN_ROWS.values(), ids=BROKEN_ROWS.keys())
def test_a_broken_row_costs_its_sample_alone(folder: Path, broken: str, message: str) -> None:
    good = write_page(folder, "a.png")
    (folder / "train.txt").write_text(good + broken.rstrip("\n") + "\n" + good)
    data = PagesConfig(labels=(str(folder / "train.txt"),), crop_size=128).build()
    with pytest.raises(SampleError, match=message):
        sample(data, 1)
    sample(data, 2)
    loader = TrainingLoader(data, batch_size=3, tolerated_broken=1)
    (batch,) = loader.epoch(0)
    assert len(batch.broken) == 1
    assert len(batch.names) == 3


def test_text_that_begins_outside_is_no_fault(folder: Path) -> None:
    (folder / "train.txt").write_text(
        row("a.png", [([[-10, 20], [100, 20], [100, 50], [-10, 50]], "a")])
    )
    data = PagesConfig(labels=(str(folder / "train.txt"),), crop_size=128).build()
    assert any(sample(data, 0, seed).arrays["shrink_map"].any() for seed in range(5))


@pytest.mark.parametrize("cut", [50, 5])
def test_an_image_that_was_cut_off_is_named(folder: Path, cut: int) -> None:
    path = folder / "b.jpg"
    path.write_bytes(path.read_bytes()[:-cut])
    data = PagesConfig(labels=(str(folder / "train.txt"),), crop_size=32).build()
    for seed in range(5):
        with pytest.raises(SampleError, match=r"b\.jpg"):
            sample(data, 1, seed)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "holds no labels"),
        (b"\n \n", "holds no labels"),
        (b"a.png\tsome text\nb.png\tmore\n", "holds no labels of pages.*row 1"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_label_file_of_no_pages_is_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "train.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        PagesConfig(labels=(str(file),)).build()
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ()},
        {"repeats": (1, 2)},
        {"repeats": (0,)},
        {"crop_size": 100},
        {"crop_size": 0},
        {"flip_probability": 1.5},
        {"rotation": (10.0, -10.0)},
        {"resize": (0.0, 1.0)},
        {"crop_tries": 0},
        {"min_crop_side_ratio": -0.1},
        {"colour_jitter": 1.0},
        {"shrink_ratio": 1.0},
        {"min_text_size": 0},
        {"threshold_range": (0.7, 0.3)},
    ],
)
def test_values_out_of_range_are_named(config: PagesConfig, changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(RecipeError, match=name):
        replace(config, **changes).build()


@pytest.mark.parametrize("name", ["icdar2015", "funsd", "sroie"])
def test_real_pages(real_data: Path, name: str) -> None:
    """All of their labels are sound, and text is on the samples."""
    data = PagesConfig(labels=(str(real_data / name / "train.txt"),), copy_paste=True).build()
    step = len(data) // 6
    kernels = [sample(data, i).arrays["shrink_map"].any() for i in range(0, len(data), step)]
    assert sum(kernels) >= 5
