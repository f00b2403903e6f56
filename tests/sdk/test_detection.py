"""Which shape an image goes into, and what the detector makes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr import Bundle, Ocr, OcrOptions
from edgeocr.bundle import DetectionModel, Signature
from edgeocr.db_boxes import DbParameters
from edgeocr.detection import (
    TOLERATED_SHRINK,
    DetectorInput,
    TextDetector,
    TextRegion,
    choose_shape,
    regions_of_map,
    wanted_scale,
)

SIDES = st.integers(1, 20_000)
SCALES = st.floats(1e-3, 100)


def buckets(*shapes: tuple[int, int]) -> tuple[Signature, ...]:
    return tuple(Signature(name=f"{h}x{w}", height=h, width=w) for h, w in shapes)


@pytest.fixture(scope="module")
def model() -> DetectionModel:
    golden = Path(__file__).resolve().parents[1] / "golden/tiny-int8"
    bundle = Bundle.open(golden)
    shapes = buckets((640, 640), (736, 1312), (960, 1280), (1280, 960))
    return dataclasses.replace(bundle.stages.det, signatures=shapes)


@pytest.mark.parametrize(
    ("size", "limit", "scale"),
    [
        ((960, 1280), (736, "min", 2000), 1),  # large enough: as it is
        ((368, 600), (736, "min", 2000), 2),  # grown until the shorter side fits
        ((100, 1000), (736, "min", 2000), 2),  # but no side beyond max_side
        ((3000, 4000), (736, "min", 2000), 0.5),
        ((960, 1280), (960, "max", 2000), 0.75),
        ((100, 200), (960, "max", 2000), 1),  # never grown
    ],
)
def test_the_wanted_scale_is_that_of_pp_ocr(
    size: tuple[int, int], limit: tuple[int, str, int], scale: float
) -> None:
    side, kind, most = limit
    wanted = wanted_scale(
        *size, limit_side=side, limit_type="min" if kind == "min" else "max", max_side=most
    )
    assert wanted == pytest.approx(scale)


@pytest.mark.parametrize(
    ("size", "wanted", "chosen"),
    [
        ((600, 600), 1.0, (640, 640)),
        ((700, 700), 1.0, (640, 640)),  # a little smaller beats a shape twice as large
        ((710, 710), 1.0, (736, 1312)),
        ((720, 1280), 736 / 720, (736, 1312)),
        ((960, 1280), 1.0, (960, 1280)),
        ((1280, 960), 1.0, (1280, 960)),
        ((2000, 3000), 1.0, (960, 1280)),  # larger than all: the one that shows it largest
        ((3000, 2000), 1.0, (1280, 960)),
        ((100, 3000), 1.0, (736, 1312)),
    ],
)
def test_the_cheapest_shape_that_shows_enough_is_chosen(
    model: DetectionModel, size: tuple[int, int], wanted: float, chosen: tuple[int, int]
) -> None:
    shape = choose_shape(*size, wanted, model)
    assert (shape.height, shape.width) == chosen


@given(height=SIDES, width=SIDES, wanted=SCALES)
def test_no_shape_shows_the_image_much_larger_or_as_large_for_less(
    model: DetectionModel, height: int, width: int, wanted: float
) -> None:
    chosen = choose_shape(height, width, wanted, model)

    def scale(shape: Signature) -> float:
        return min(wanted, shape.height / height, shape.width / width)

    for other in model.signatures:
        assert scale(other) <= scale(chosen) * TOLERATED_SHRINK * (1 + 1e-9)
        if scale(other) >= scale(chosen):
            assert other.height * other.width >= chosen.height * chosen.width


@given(height=st.integers(1, 4000), width=st.integers(1, 4000))
def test_a_resizable_model_is_made_to_fit(model: DetectionModel, height: int, width: int) -> None:
    resizable = dataclasses.replace(model, height_multiple=32, width_multiple=64)
    wanted = wanted_scale(height, width, limit_side=736, limit_type="max", max_side=960)
    shape = choose_shape(height, width, wanted, resizable)
    for side, shown, multiple in ((height, shape.height, 32), (width, shape.width, 64)):
        assert shown % multiple == 0
        # To the nearest multiple of whole pixels, but to one of them at least.
        assert abs(shown - int(side * wanted)) <= multiple / 2 or shown == multiple


def test_a_model_may_be_resizable_along_one_side_only(model: DetectionModel) -> None:
    wide = dataclasses.replace(model, width_multiple=32)
    shape = choose_shape(600, 3000, 1.0, wide)
    assert (shape.name, shape.height, shape.width) == ("640x640", 640, 3008)


@pytest.mark.parametrize("size", [(180, 250), (40, 250), (180, 33), (88, 101), (20, 240)])
def test_resized_and_fixed_shapes_find_the_same(tiny: Path, size: tuple[int, int]) -> None:
    """The tiny detector looks at single pixels: stretching moves a corner by the rounding of
    its image to a multiple and of the corner to whole pixels, no more.
    """
    bundle = Bundle.open(tiny)
    det = dataclasses.replace(bundle.stages.det, height_multiple=8, width_multiple=32)
    stages = dataclasses.replace(bundle.stages, det=det)
    resizable = TextDetector(dataclasses.replace(bundle, stages=stages), threads=1)
    fixed = TextDetector(bundle, threads=1)
    image = np.full((*size, 3), 255, dtype=np.uint8)
    image[2:-2, 10:-10] = (0, 0, 255)
    options = OcrOptions(box_threshold=0.1)
    prepared = resizable.prepare(image, options)
    assert prepared.tensor.shape != fixed.prepare(image, options).tensor.shape
    (found,) = resizable.detect(image, options)
    (expected,) = fixed.detect(image, options)
    # A pixel of the map is at most 250 / 224 of the image; two roundings by half of it each.
    np.testing.assert_allclose(found.quad, expected.quad, atol=2)
    # The edge of the rectangle is blurred over another share of it.
    assert found.score == pytest.approx(expected.score, abs=0.1)


def test_more_shapes_than_are_kept_live_give_the_same_again(ocr: Ocr) -> None:
    """The interpreter is built anew when a third shape comes, and forgets nothing by it."""
    pages = []
    for height, width in ((90, 120), (120, 90), (180, 250)):  # one for each of the three shapes
        page = np.full((height, width, 3), 255, dtype=np.uint8)
        page[20:40, 20:80] = (0, 0, 255)
        pages.append(page)
    options = OcrOptions()
    used = {ocr.detector.prepare(page, options).signature for page in pages}
    assert len(used) == 3
    first = [ocr.detect(page) for page in pages]
    for boxes in first:
        assert boxes.shape == (1, 4, 2)
    for _ in range(2):
        for page, boxes in zip(pages, first, strict=True):
            np.testing.assert_array_equal(ocr.detect(page), boxes)


def test_regions_lie_within_the_image(ocr: Ocr) -> None:
    page = np.zeros((60, 100, 3), dtype=np.uint8)
    page[..., 2] = 255  # text from border to border
    boxes = ocr.detect(page, OcrOptions(unclip_ratio=3.0))
    assert boxes.shape == (1, 4, 2)
    assert boxes.min() >= 0
    np.testing.assert_array_equal(boxes.max(axis=(0, 1)), [99, 59])


def test_specks_are_no_lines(ocr: Ocr) -> None:
    page = np.full((60, 100, 3), 255, dtype=np.uint8)
    page[20:23, 20:80] = (0, 0, 255)  # three rows high
    assert len(ocr.detect(page, OcrOptions(unclip_ratio=0.01))) == 0


@pytest.mark.parametrize("height", [4, 6, 20])
@pytest.mark.parametrize("quantized", [True, False])
def test_a_map_of_half_the_size_gives_the_same_regions(quantized: bool, height: int) -> None:
    """The edges of the text lie between pixels of the small map, so that enlarging it puts
    three quarters of the probability inside of them and one quarter outside.
    """
    full_HW = np.zeros((96, 160), dtype=np.float32)
    full_HW[40 : 40 + height, 20:120] = 1
    half_HW = full_HW.reshape(48, 2, 80, 2).mean(axis=(1, 3))
    prepared = DetectorInput(
        tensor=np.zeros((1, 96, 160, 3), dtype=np.float32),
        signature="96x160",
        scale=(0.5, 0.5),
        top=0,
        height=192,
        width=320,
    )
    parameters = DbParameters(
        threshold=0.3, box_threshold=0.5, unclip_ratio=1.6, max_candidates=1000
    )

    def regions(map_HW: NDArray[np.float32]) -> list[TextRegion]:
        if not quantized:
            return regions_of_map(map_HW, prepared, parameters=parameters)
        integers = (np.round(map_HW * 255) - 128).astype(np.int8)
        return regions_of_map(
            integers, prepared, scale=1 / 255, zero_point=-128, parameters=parameters
        )

    (found,), (expected,) = regions(half_HW), regions(full_HW)
    np.testing.assert_array_equal(found.quad, expected.quad)
    # Of a text of 4 rows half have lost a quarter.
    assert expected.score * 0.8 < found.score <= expected.score
