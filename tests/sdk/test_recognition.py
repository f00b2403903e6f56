"""Widths, and lines that are longer than the widest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeocr import Bundle, BundleError, Ocr
from edgeocr.recognition import MOST_PIECES, TextRecogniser, split_line

Paint: TypeAlias = Callable[..., NDArray[np.uint8]]


@pytest.mark.parametrize(
    ("columns", "width"), [(1, 32), (32, 32), (38, 32), (39, 64), (64, 64), (76, 64), (77, 256)]
)
def test_the_narrowest_width_is_taken_and_a_little_squashing_is_allowed(
    ocr: Ocr, columns: int, width: int
) -> None:
    (piece,) = ocr.recogniser.prepare(np.zeros((16, columns, 3), dtype=np.uint8)).pieces
    assert piece.tensor.shape == (1, 16, width, 3)
    assert piece.span.end == min(columns, width)


def test_a_squashed_line_says_where_its_steps_are(ocr: Ocr) -> None:
    line = np.zeros((32, 134, 3), dtype=np.uint8)  # 67 columns go into 64
    prepared = ocr.recogniser.prepare(line)
    reading = ocr.recogniser.decode(ocr.recogniser.infer(prepared), prepared)
    assert reading.step_width == pytest.approx(4 * 134 / 64)


def test_a_resizable_width_is_as_narrow_as_the_line_allows(tiny: Path, paint_line: Paint) -> None:
    bundle = Bundle.open(tiny)
    rec = dataclasses.replace(bundle.stages.rec, width_multiple=16)
    resizable = dataclasses.replace(bundle, stages=dataclasses.replace(bundle.stages, rec=rec))
    recogniser = TextRecogniser(resizable, workers=1)
    (piece,) = recogniser.prepare(np.zeros((16, 90, 3), dtype=np.uint8)).pieces
    assert piece.tensor.shape == (1, 16, 96, 3)
    (piece,) = recogniser.prepare(np.zeros((16, 260, 3), dtype=np.uint8)).pieces
    assert piece.tensor.shape == (1, 16, 256, 3)


@pytest.mark.parametrize(("line_width", "width"), [(1, 112), (90, 112), (112, 112), (113, 128)])
def test_short_lines_get_room_behind_them(tiny: Path, line_width: int, width: int) -> None:
    bundle = Bundle.open(tiny)
    rec = dataclasses.replace(bundle.stages.rec, width_multiple=16, min_width=100)
    roomy = dataclasses.replace(bundle, stages=dataclasses.replace(bundle.stages, rec=rec))
    line = np.zeros((16, line_width, 3), dtype=np.uint8)
    (piece,) = TextRecogniser(roomy, workers=1).prepare(line).pieces
    assert piece.tensor.shape == (1, 16, width, 3)


@given(
    beyond=st.integers(1, 6000),
    height=st.integers(1, 64),
    step=st.integers(1, 16),
    steps=st.integers(4, 200),
    seed=st.integers(0, 2**32 - 1),
)
def test_pieces_cover_a_line_and_fit(
    beyond: int, height: int, step: int, steps: int, seed: int
) -> None:
    widest = step * steps
    columns = widest + beyond
    noise = np.random.default_rng(seed).integers(0, 256, (height, columns, 3), dtype=np.uint8)
    spans = split_line(noise, widest=widest, step=step)
    assert spans[0].own_begin == 0
    assert spans[-1].own_end == columns
    for left, right in pairwise(spans):
        assert left.own_end == right.own_begin
    for span in spans:
        assert 0 < span.end - span.begin <= widest
        assert span.begin <= span.own_begin < span.own_end <= span.end
        assert span.begin % step == 0


def test_a_line_is_cut_in_its_gaps() -> None:
    """Words of noise with gaps of a character's width: every cut lies in a gap."""
    random = np.random.default_rng(1)
    line = np.full((48, 4000, 3), 255, dtype=np.uint8)
    for begin in range(0, 4000, 200):
        line[8:40, begin : begin + 160] = random.integers(0, 256, (32, 160, 1), dtype=np.uint8)
    spans = split_line(line, widest=640, step=8)
    assert len(spans) > 1
    for span in spans[:-1]:
        assert span.own_end % 200 >= 160


@pytest.mark.parametrize("text", ["ab cd" * 36, "abcd" * 45, "a b c d " * 22 + "ab", "d" * 178])
def test_split_lines_lose_and_double_nothing(ocr: Ocr, paint_line: Paint, text: str) -> None:
    """Wherever the cuts fall: for many lengths, with and without spaces beside a cut."""
    for length in range(40, len(text), 23):
        expected = text[:length].strip()
        prepared = ocr.recogniser.prepare(paint_line(expected))
        assert len(prepared.pieces) > 1
        assert ocr.recogniser.recognise(paint_line(expected)).text == expected


def test_the_work_for_one_line_is_bounded(ocr: Ocr) -> None:
    prepared = ocr.recogniser.prepare(np.zeros((1, 8192, 3), dtype=np.uint8))
    assert 1 < len(prepared.pieces) <= MOST_PIECES


def test_a_model_must_have_the_classes_that_the_charset_has(tiny: Path) -> None:
    bundle = Bundle.open(tiny)
    rec = dataclasses.replace(bundle.stages.rec, classes=7)
    wrong = dataclasses.replace(bundle, stages=dataclasses.replace(bundle.stages, rec=rec))
    with pytest.raises(BundleError, match=r"rec\.tflite has 6 classes, bundle\.json states 7"):
        TextRecogniser(wrong, workers=1)
