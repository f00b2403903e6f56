"""DB decoding equals PP-OCR's, on integers as on floats, and survives every map."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edgeocr.db_boxes import DbParameters, decode_boxes
from edgeocr.geometry import polygon_area

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
PARAMETERS = DbParameters(threshold=0.3, box_threshold=0.6, unclip_ratio=1.5, max_candidates=1000)


def _read_map(path: Path) -> NDArray[np.uint8]:
    """Probabilities * 255."""
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def _page() -> NDArray[np.int8]:
    """Probabilities q / 256 + 0.5 with four kernels: plain, tilted, faint, tiny."""
    page = np.full((160, 240), -128, dtype=np.int8)
    page[20:30, 20:120] = 120
    tilted = cv2.boxPoints(((170.0, 90.0), (90.0, 12.0), 20.0)).astype(np.int32)
    mask = np.zeros(page.shape, dtype=np.uint8)
    cv2.fillPoly(mask, [tilted], 1)
    page[mask > 0] = 100
    page[60:70, 20:80] = -20  # 0.42: above threshold, below box_threshold
    page[100:102, 20:22] = 127
    return page


def _decode(page: NDArray[np.int8], **changes: Any) -> list[NDArray[np.float32]]:
    boxes = decode_boxes(
        page, scale=1 / 256, zero_point=-128, parameters=replace(PARAMETERS, **changes)
    )
    return sorted((box.quad for box in boxes), key=lambda quad: float(quad[0, 1]))


@pytest.mark.parametrize("case", json.loads((GOLDEN / "db_boxes.json").read_text())["cases"])
def test_boxes_equal_those_of_the_peer(case: dict[str, Any]) -> None:
    """Recorded by tests/golden/make_db_boxes.py from another implementation of PP-OCR's."""
    probabilities = np.divide(_read_map(GOLDEN / case["map"]), 255, dtype=np.float32)
    height, width = probabilities.shape
    boxes = decode_boxes(probabilities, parameters=DbParameters(**case["parameters"]))
    ours = sorted(
        (np.clip(np.round(box.quad), 0, (width, height)).astype(int).tolist(), box.score)
        for box in boxes
    )
    expected = sorted(zip(case["boxes"], case["scores"], strict=True))
    assert [quad for quad, _ in ours] == [quad for quad, _ in expected]
    np.testing.assert_allclose(
        [score for _, score in ours], [score for _, score in expected], atol=1e-6
    )


@pytest.mark.parametrize("score_mode", ["fast", "slow"])
@pytest.mark.parametrize("box_type", ["quad", "polygon"])
@pytest.mark.parametrize("dilation", [False, True])
def test_an_integer_map_decodes_like_its_real_values(
    score_mode: Literal["fast", "slow"], box_type: Literal["quad", "polygon"], dilation: bool
) -> None:
    scale, zero_point = 1 / 255, -128
    for path in sorted(GOLDEN.glob("db_boxes_*.png")):
        q = (_read_map(path).astype(np.int16) - 128).astype(np.int8)
        real = ((q.astype(np.float64) - zero_point) * scale).astype(np.float32)
        parameters = replace(
            PARAMETERS, score_mode=score_mode, box_type=box_type, dilation=dilation
        )
        of_integers = decode_boxes(q, scale=scale, zero_point=zero_point, parameters=parameters)
        of_floats = decode_boxes(real, parameters=parameters)
        assert len(of_integers) == len(of_floats) > 0
        for a, b in zip(of_integers, of_floats, strict=True):
            np.testing.assert_array_equal(a.quad, b.quad)
            assert a.score == pytest.approx(b.score, abs=1e-6)


@given(
    st.floats(0.01, 0.99), st.floats(1 / 512, 1 / 128), st.integers(-128, 0), st.integers(-128, 127)
)
def test_integer_threshold_is_the_real_one(
    threshold: float, scale: float, zero_point: int, value: int
) -> None:
    real = (value - zero_point) * scale
    q = np.full((20, 20), -128, dtype=np.int8)
    q[5:15, 5:15] = value
    boxes = decode_boxes(
        q,
        scale=scale,
        zero_point=zero_point,
        parameters=replace(PARAMETERS, threshold=threshold, box_threshold=0),
    )
    background = (-128 - zero_point) * scale
    if background <= threshold and abs(real - threshold) > 1e-9:
        assert bool(boxes) == (real > threshold)


def test_only_kernels_that_are_sure_and_large_enough_count() -> None:
    plain, tilted = _decode(_page())
    # 100 x 10 grown by A r / L = 99 * 9 * 1.5 / 216 = 6.2 and rounded; edges lie on pixels.
    np.testing.assert_allclose(plain, [[14, 14], [125, 14], [125, 35], [14, 35]])
    assert polygon_area(tilted) > 90 * 12
    assert len(_decode(_page(), box_threshold=0.4)) == 3
    assert len(_decode(_page(), threshold=0.45, box_threshold=0.4)) == 2


def test_scores_are_means_of_probabilities() -> None:
    boxes = decode_boxes(_page(), scale=1 / 256, zero_point=-128, parameters=PARAMETERS)
    assert max(box.score for box in boxes) == pytest.approx(248 / 256)


def test_fast_and_slow_scores_differ_where_the_kernel_is_no_rectangle() -> None:
    page = np.full((100, 100), -128, dtype=np.int8)
    page[10:20, 10:90] = 120
    page[10:90, 10:20] = 120  # an L fills a fifth of its rectangle
    assert len(_decode(page, score_mode="slow")) == 1
    assert _decode(page, score_mode="fast") == []


def test_dilation_joins_kernels_that_almost_touch() -> None:
    page = np.full((60, 100), -128, dtype=np.int8)
    page[20:40, 10:50] = page[20:40, 51:90] = 120
    assert len(_decode(page)) == 2
    assert len(_decode(page, dilation=True)) == 1


def test_max_candidates_bounds_the_boxes() -> None:
    page = np.full((200, 100), -128, dtype=np.int8)
    for top in range(10, 190, 30):
        page[top : top + 10, 10:90] = 120
    assert len(_decode(page)) == 6
    assert len(_decode(page, max_candidates=4)) == 4


def test_unclip_ratio_grows_the_boxes() -> None:
    areas = [polygon_area(_decode(_page(), unclip_ratio=ratio)[0]) for ratio in (1.0, 1.5, 2.5)]
    assert areas == sorted(areas)
    assert areas[0] < areas[2]


def test_polygon_follows_a_curved_line() -> None:
    page = np.full((200, 300), -128, dtype=np.int8)
    ring = np.zeros(page.shape, dtype=np.uint8)
    cv2.ellipse(ring, (150, 160), (100, 100), 0, 200, 340, 1, 14)
    page[ring > 0] = 120
    (box,) = decode_boxes(
        page,
        scale=1 / 256,
        zero_point=-128,
        parameters=replace(PARAMETERS, box_type="polygon"),
    )
    assert box.polygon is not None
    assert len(box.polygon) > 8
    assert polygon_area(box.polygon) < 0.7 * polygon_area(box.quad)
    covered = np.zeros(page.shape, dtype=np.uint8)
    cv2.fillPoly(covered, [np.round(box.polygon).astype(np.int32)], 1)
    assert (covered[ring > 0] == 1).all()


@given(st.integers(0, 60), st.integers(0, 60))
def test_boxes_move_with_the_map(dx: int, dy: int) -> None:
    page = np.full((260, 340), -128, dtype=np.int8)
    page[dy : dy + 160, dx : dx + 240] = _page()
    for still, moved in zip(_decode(_page()), _decode(page), strict=True):
        # The least rectangle of a tilted kernel is rounded to whole pixels after it grew.
        np.testing.assert_allclose(moved - still, np.full((4, 2), (dx, dy)), atol=1.01)


@given(
    arrays(np.int8, st.tuples(st.integers(1, 24), st.integers(1, 24))),
    st.sampled_from(["fast", "slow"]),
    st.sampled_from(["quad", "polygon"]),
    st.booleans(),
    st.floats(0.1, 10),
)
def test_no_map_raises(
    page: NDArray[np.int8],
    score_mode: Literal["fast", "slow"],
    box_type: Literal["quad", "polygon"],
    dilation: bool,
    ratio: float,
) -> None:
    boxes = decode_boxes(
        page,
        scale=1 / 255,
        zero_point=-128,
        parameters=DbParameters(
            threshold=0.3,
            box_threshold=0.0,
            unclip_ratio=ratio,
            max_candidates=1000,
            score_mode=score_mode,
            box_type=box_type,
            dilation=dilation,
        ),
    )
    for box in boxes:
        assert 0 <= box.score <= 1
        assert np.isfinite(box.quad).all()
        assert (box.polygon is None) == (box_type == "quad")


@pytest.mark.parametrize("value", [-128, 127])
def test_blank_and_full_maps(value: int) -> None:
    page = np.full((64, 64), value, dtype=np.int8)
    assert len(_decode(page)) == (value > 0)
