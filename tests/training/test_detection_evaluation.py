"""The evaluation of detectors, with a detector whose maps are known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgeocr
from edgeocr_training.errors import DataError, RecipeError
from edgeocr_training.evaluation.detection import DetectionEvaluatorConfig
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.interfaces import Backbone, Head, Neck

CPU = torch.device("cpu")

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""


class WhiteIsText(Detector):
    """Text is where the blue channel is white."""

    def __init__(self, *, mean: float = 0.5, std: float = 0.25) -> None:
        super().__init__(
            backbone=Backbone(),
            neck=Neck(),
            head=Head(),
            mean=(mean, 0.5, 0.5),
            std=(std, 0.25, 0.25),
        )
        self.shapes: list[tuple[int, ...]] = []
        self.modes: list[tuple[bool, bool, int]] = []

    def probability(self, image_B3HW: Tensor) -> Tensor:
        self.shapes.append(tuple(image_B3HW.shape))
        self.modes.append((self.training, torch.is_grad_enabled(), torch.get_num_threads()))
        pixels_B1HW = image_B3HW[:, :1] * self.std[0] + self.mean[0]
        return pixels_B1HW.clamp(0, 1)


class RedIsText(WhiteIsText):
    """What ``det.tflite`` of the tiny bundle computes: max(0, red - blue) / 2."""

    def __init__(self) -> None:
        super().__init__(mean=0.5, std=0.5)
        self.mean = self.std = (0.5, 0.5, 0.5)

    def probability(self, image_B3HW: Tensor) -> Tensor:
        return (image_B3HW[:, 2:] - image_B3HW[:, :1]).clamp(min=0) / 2


class HalfSized(WhiteIsText):
    """Its maps are half as large as its images."""

    def probability(self, image_B3HW: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(super().probability(image_B3HW), 2)


def grown(kernel: Box, ratio: float = 1.5) -> Box:
    """What decoding makes of an upright kernel: moved out by area * ratio / perimeter."""
    left, top, right, bottom = kernel
    width, height = right - left, bottom - top
    by = round(width * height * ratio / (2 * (width + height)))
    return left - by, top - by, right + by, bottom + by


def region(box: Box, text: str = "text") -> dict[str, object]:
    left, top, right, bottom = box
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return {"transcription": text, "points": corners}


KERNELS: list[Box] = [(60, 60, 160, 80), (60, 200, 260, 230)]


def write_page(
    folder: Path,
    regions: Sequence[dict[str, object]],
    *,
    kernels: Sequence[Box] = tuple(KERNELS),
    size: tuple[int, int] = (320, 480),
    name: str = "labels",
) -> str:
    image = np.zeros((*size, 3), dtype=np.uint8)
    for left, top, right, bottom in kernels:
        image[top:bottom, left:right, 0] = 255
    cv2.imwrite(str(folder / f"{name}.png"), image)
    labels = folder / f"{name}.txt"
    labels.write_text(f"{name}.png\t{json.dumps(regions)}\n", "utf-8")
    return str(labels)


def evaluate(labels: str, detector: Detector | None = None) -> dict[str, float]:
    config = DetectionEvaluatorConfig(labels=(labels,), limit_side=320)
    return config.build().evaluate(detector or WhiteIsText(), device=CPU)


@pytest.mark.parametrize("detector", [WhiteIsText(), HalfSized()], ids=["whole", "half"])
def test_a_perfect_detector_finds_everything(tmp_path: Path, detector: Detector) -> None:
    labels = write_page(tmp_path, [region(grown(kernel)) for kernel in KERNELS])
    assert evaluate(labels, detector) == {"precision": 1.0, "recall": 1.0, "hmean": 1.0}


def test_what_is_not_labelled_costs_precision(tmp_path: Path) -> None:
    labels = write_page(tmp_path, [region(grown(KERNELS[0]))])
    assert evaluate(labels) == {"precision": 0.5, "recall": 1.0, "hmean": pytest.approx(2 / 3)}


def test_what_is_not_found_costs_recall(tmp_path: Path) -> None:
    labels = write_page(
        tmp_path, [region(grown(kernel)) for kernel in KERNELS], kernels=KERNELS[1:]
    )
    assert evaluate(labels) == {"precision": 1.0, "recall": 0.5, "hmean": pytest.approx(2 / 3)}


def test_what_nobody_can_read_does_not_count(tmp_path: Path) -> None:
    labels = write_page(
        tmp_path, [region(grown(KERNELS[0])), region(grown(KERNELS[1]), text="###")]
    )
    assert evaluate(labels) == {"precision": 1.0, "recall": 1.0, "hmean": 1.0}


def test_a_blank_page_without_text_is_right(tmp_path: Path) -> None:
    assert evaluate(write_page(tmp_path, [], kernels=()))["hmean"] == 1.0


def test_files_are_measured_together_and_each(tmp_path: Path) -> None:
    right = write_page(tmp_path, [region(grown(kernel)) for kernel in KERNELS], name="right")
    wrong = write_page(tmp_path, [region(grown(KERNELS[0]))], kernels=(), name="wrong")
    evaluator = DetectionEvaluatorConfig(labels=(right, wrong), limit_side=320).build()
    figures = evaluator.evaluate(WhiteIsText(), device=CPU)
    assert figures["hmean"] == pytest.approx(4 / 5)
    folder = tmp_path.name
    assert figures[f"hmean_{folder}/right"] == 1.0
    assert figures[f"hmean_{folder}/wrong"] == 0.0


@pytest.mark.parametrize(
    ("size", "limit_side", "limit_type", "shape"),
    [
        ((330, 500), 320, "min", (320, 512)),  # to the nearest multiples of 32
        ((160, 480), 320, "min", (320, 960)),
        ((320, 480), 240, "max", (160, 256)),  # Python rounds 7.5 to 8
        ((30, 400), 32, "min", (96, 384)),  # flat: margins of 400 // 8 - 15 above and below
    ],
)
def test_images_are_shown_as_the_product_shows_them(
    tmp_path: Path,
    size: tuple[int, int],
    limit_side: int,
    limit_type: str,
    shape: tuple[int, int],
) -> None:
    labels = write_page(tmp_path, [], kernels=(), size=size)
    detector = WhiteIsText()
    config = DetectionEvaluatorConfig(
        labels=(labels,),
        limit_side=limit_side,
        limit_type="min" if limit_type == "min" else "max",
    )
    config.build().evaluate(detector, device=CPU)
    assert detector.shapes == [(1, 3, *shape)]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> edgeocr.Ocr:
    """The SDK with a detector that takes images of any size."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    shutil.copytree(Path(__file__).parents[1] / "golden" / "tiny-fp32", folder)
    manifest = json.loads((folder / "bundle.json").read_text("utf-8"))
    manifest["stages"]["det"] |= {
        "height_multiple": 32,
        "width_multiple": 32,
        "limit_side": 200,
        "limit_type": "min",
        "max_side": 300,
        "unclip_ratio": 1.5,
        "dilation": True,
    }
    (folder / "bundle.json").write_text(json.dumps(manifest), "utf-8")
    return edgeocr.Ocr.load(folder)


@pytest.mark.parametrize("size", [(217, 283), (90, 250), (500, 401), (31, 280)])
def test_boxes_are_those_of_the_product(
    product: edgeocr.Ocr, size: tuple[int, int], tmp_path: Path
) -> None:
    """The same network in LiteRT and in PyTorch, on an image of bars that lie anyhow."""
    rng = np.random.default_rng(size)
    image = rng.integers(0, 40, (*size, 3), dtype=np.uint8)
    for _ in range(6):
        centre = tuple(float(v) for v in rng.integers(10, size[::-1]))
        bar = (centre, (float(rng.integers(20, 90)), float(rng.integers(8, 20))), rng.random() * 90)
        cv2.fillPoly(
            image, [cv2.boxPoints(bar).astype(np.int32)], (0, 0, int(rng.integers(120, 255)))
        )
    expected = product.detect(image)
    labels = write_page(tmp_path, [])
    evaluator = DetectionEvaluatorConfig(
        labels=(labels,),
        limit_side=200,
        limit_type="min",
        max_side=300,
        threshold=0.3,
        box_threshold=0.5,
        unclip_ratio=1.5,
        dilation=True,
    )
    found = evaluator.build().find(RedIsText(), image, device=CPU)
    assert len(expected) > 0
    ours = sorted(region.quad.tolist() for region in found)
    np.testing.assert_array_equal(ours, sorted(quad.tolist() for quad in expected))


def test_modes_and_threads_are_as_before(tmp_path: Path) -> None:
    labels = write_page(tmp_path, [])
    detector = WhiteIsText()
    detector.train()
    threads = torch.get_num_threads()
    config = DetectionEvaluatorConfig(labels=(labels,), threads=threads + 1)
    config.build().evaluate(detector, device=CPU)
    assert detector.modes == [(False, False, threads + 1)]
    assert detector.training
    assert torch.is_grad_enabled()
    assert torch.get_num_threads() == threads


def test_only_so_many_pages_are_measured(tmp_path: Path) -> None:
    labels = write_page(tmp_path, [region(grown(kernel)) for kernel in KERNELS])
    with Path(labels).open("a", encoding="utf-8") as file:
        file.write(f"labels.png\t{json.dumps([region((0, 0, 9, 9))])}\n")
    assert evaluate(labels)["recall"] < 1
    config = DetectionEvaluatorConfig(labels=(labels,), limit_side=320, pages=1)
    assert config.build().evaluate(WhiteIsText(), device=CPU)["recall"] == 1


def test_labels_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.txt"):
        DetectionEvaluatorConfig(labels=(str(tmp_path / "missing.txt"),)).build()
    labels = write_page(tmp_path, [])
    Path(labels).write_text("labels.png\tone line of text\n", "utf-8")
    with pytest.raises(DataError, match="pages"):
        DetectionEvaluatorConfig(labels=(labels,)).build()
    with pytest.raises(RecipeError, match="at least one"):
        DetectionEvaluatorConfig(labels=()).build()
    with pytest.raises(RecipeError, match="pages is 0"):
        DetectionEvaluatorConfig(labels=(labels,), pages=0).build()


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    labels = write_page(tmp_path, [])
    (tmp_path / "labels.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"labels\.png"):
        evaluate(labels)


def test_only_detectors_are_measured(tmp_path: Path) -> None:
    labels = write_page(tmp_path, [])
    evaluator = DetectionEvaluatorConfig(labels=(labels,)).build()
    with pytest.raises(RecipeError, match="Linear"):
        evaluator.evaluate(nn.Linear(1, 1), device=CPU)
