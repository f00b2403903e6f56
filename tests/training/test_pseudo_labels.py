"""The teacher's map is how bright a pixel is: white bars are kernels, grey ones are doubtful."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeocr_benchmarks.labels import LabelledImage, read_labels
from edgeocr_benchmarks.polygons import PolygonArea
from edgeocr_training.data.pseudo_labels import write_pseudo_labels
from edgeocr_training.data.teacher_maps import TeacherMaps, TeacherMapsConfig
from edgeocr_training.errors import DataError, RecipeError, SampleError

# x, y, width and height, with the brightness.
SURE = (40, 40, 100, 20, 255)
DOUBTFUL = (40, 120, 100, 20, 130)
FAINT = (180, 40, 60, 20, 60)


@pytest.fixture
def teacher(tmp_path: Path, write_teacher: Callable[..., str]) -> TeacherMaps:
    return TeacherMapsConfig(
        model=write_teacher(),
        cache=str(tmp_path / "cache"),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        limit_side=192,
    ).build()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with a page of three bars, in another folder, and an empty page."""
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    page = np.zeros((192, 256, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "empty.png"), page)
    for x, y, width, height, brightness in (SURE, DOUBTFUL, FAINT):
        page[y : y + height, x : x + width] = brightness
    cv2.imwrite(str(folder / "deep/page.png"), page)
    (folder / "notes.txt").write_text("no image")
    return folder


def grown(bar: tuple[int, int, int, int, int], ratio: float = 1.5) -> NDArray[np.float64]:
    """The bar as a kernel that is unclipped."""
    x, y, width, height, _ = bar
    distance = width * height * ratio / (2 * (width + height))
    left, top, right, bottom = x, y, x + width, y + height
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    outwards = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * distance
    return np.array(corners) + outwards


def assert_is(region: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    assert PolygonArea(region).iou(PolygonArea(expected)) > 0.9


def read(target: Path) -> dict[str, LabelledImage]:
    labels = read_labels(f"pages={target}")
    return {image.image.name: image for image in labels.images}


def test_a_folder_is_labelled(images: Path, teacher: TeacherMaps, tmp_path: Path) -> None:
    """Images are found wherever the labels are written."""
    target = tmp_path / "new/labels/train.txt"
    written = write_pseudo_labels(images, target, teacher=teacher)
    assert (written.pages, written.boxes, written.dont_care) == (2, 1, 0)
    pages = read(target)
    assert pages.keys() == {"page.png", "empty.png"}
    (region,) = pages["page.png"].regions
    assert not region.dont_care
    assert_is(region.polygon, grown(SURE))


def test_doubtful_boxes_are_dont_care(images: Path, teacher: TeacherMaps, tmp_path: Path) -> None:
    target = tmp_path / "train.txt"
    written = write_pseudo_labels(images, target, teacher=teacher, doubtful_from=0.4)
    assert (written.boxes, written.dont_care) == (1, 1)
    sure, doubtful = read(target)["page.png"].regions
    assert (sure.dont_care, doubtful.dont_care) == (False, True)
    assert_is(doubtful.polygon, grown(DOUBTFUL))


def test_how_boxes_are_decoded_can_be_set(
    images: Path, teacher: TeacherMaps, tmp_path: Path
) -> None:
    target = tmp_path / "train.txt"
    write_pseudo_labels(
        images, target, teacher=teacher, threshold=0.1, box_threshold=0.2, unclip_ratio=1.0
    )
    assert len(read(target)["page.png"].regions) == 3
    regions = read(target)["page.png"].regions
    first = min(regions, key=lambda region: float(region.polygon.sum()))
    assert_is(first.polygon, grown(SURE, ratio=1.0))


def test_text_that_the_teacher_misses_is_dont_care(
    images: Path, teacher: TeacherMaps, tmp_path: Path
) -> None:
    """Words in a box are found; so is a region that holds a box. The rest is neither text that
    must be found nor background.
    """
    word_in_box = [[45, 42], [80, 42], [80, 58], [45, 58]]
    around_box = [[5, 5], [170, 5], [170, 90], [5, 90]]
    missed = [[180, 40], [240, 40], [240, 60], [180, 60]]
    unreadable = [[180, 100], [240, 100], [240, 120], [180, 120]]
    texts = [
        (word_in_box, "word"), (around_box, "###"), (missed, "faint"), (unreadable, "###"),
    ]  # fmt: skip
    label = [{"transcription": text, "points": points} for points, text in texts]
    source = images / "words.txt"
    source.write_text(f"deep/page.png\t{json.dumps(label)}\n")
    target = tmp_path / "lines.txt"
    written = write_pseudo_labels(source, target, teacher=teacher)
    assert (written.pages, written.boxes, written.dont_care) == (1, 1, 2)
    regions = read(target)["page.png"].regions
    assert [region.dont_care for region in regions] == [False, True, True]
    np.testing.assert_array_equal(regions[1].polygon, missed)
    np.testing.assert_array_equal(regions[2].polygon, unreadable)


def test_nothing_is_written_where_something_is_wrong(
    images: Path, teacher: TeacherMaps, tmp_path: Path
) -> None:
    target = tmp_path / "train.txt"
    target.write_text("as it was")
    (images / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(SampleError, match=r"broken\.jpg"):
        write_pseudo_labels(images, target, teacher=teacher)
    (images / "train.txt").write_text("deep/page.png\t[]\ndeep/page.png no tab\n")
    with pytest.raises(SampleError, match="row 2"):
        write_pseudo_labels(images / "train.txt", target, teacher=teacher)
    assert target.read_text() == "as it was"


def test_faults_are_named(images: Path, teacher: TeacherMaps, tmp_path: Path) -> None:
    target = tmp_path / "train.txt"
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="nothing holds no images"):
        write_pseudo_labels(tmp_path / "nothing", target, teacher=teacher)
    with pytest.raises(DataError, match=r"can't read the labels .*missing\.txt"):
        write_pseudo_labels(tmp_path / "missing.txt", target, teacher=teacher)
    with pytest.raises(RecipeError, match=r"doubtful_from 0\.7 is not below 0\.6"):
        write_pseudo_labels(images, target, teacher=teacher, doubtful_from=0.7)
    with pytest.raises(DataError, match="can't write the labels"):
        write_pseudo_labels(images, images / "notes.txt" / "train.txt", teacher=teacher)
