"""Lines say what their labels say, as far as fonts and charsets go."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeocr_training.data.synthetic.lines import SyntheticLines, SyntheticLinesConfig
from edgeocr_training.errors import DataError, RecipeError


@pytest.fixture(scope="module")
def sources(latin_font: Path, chinese_font: Path, corpus: Path) -> dict[str, Any]:
    return {"fonts": (str(latin_font), str(chinese_font)), "corpora": (str(corpus),)}


@pytest.fixture(scope="module")
def lines(sources: dict[str, Any]) -> SyntheticLines:
    return SyntheticLinesConfig(**sources).build()


def test_lines_are_pictures_with_text(lines: SyntheticLines) -> None:
    for seed in range(150):
        image, text = lines.line(np.random.default_rng(seed))
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert min(image.shape[:2]) >= 4
        assert text
        assert text == " ".join(text.split())
        assert image.std() > 2, f"nothing to be seen of {text!r}"


def test_the_same_state_gives_the_same_line(lines: SyntheticLines) -> None:
    again: SyntheticLines = pickle.loads(pickle.dumps(lines))
    for seed in range(20):
        (image, text), (other, label) = (
            source.line(np.random.default_rng(seed)) for source in (lines, again)
        )
        np.testing.assert_array_equal(image, other)
        assert text == label


def test_nothing_outside_of_the_charset_is_written(sources: dict[str, Any], tmp_path: Path) -> None:
    charset = "abcdeABCDE0123456789今天气"
    path = tmp_path / "charset.txt"
    path.write_text("\r\n".join(charset), "utf-8")
    lines = SyntheticLinesConfig(**sources, charset=str(path)).build()
    seen: Counter[str] = Counter()
    for seed in range(150):
        seen.update(lines.line(np.random.default_rng(seed))[1])
    assert set(seen) <= set(charset) | {" "}
    # Rare characters are drawn evenly, so that each of few comes up.
    assert set(charset) <= set(seen)


def test_lines_are_at_most_as_long_as_asked(sources: dict[str, Any]) -> None:
    only = {"words": 0.0, "sentences": 1.0, "fields": 0.0, "rare_characters": 0.0, "size": (20, 20)}
    for limit in (3.0, 30.0):
        lines = SyntheticLinesConfig(**sources | only, longest_aspect=limit).build()
        widths = [lines.line(np.random.default_rng(s))[0].shape[1] for s in range(80)]
        # The room around text and its tilt: up to half of its height at each end, and a stroke.
        assert max(widths) <= 20 * (limit + 2)
        assert max(widths) >= 20 * 0.6 * limit


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "count"),
        ({"languages": ("xx",)}, "xx"),
        ({"words": -0.1}, "shares"),
        ({"size": (4, 20)}, "size"),
        ({"size": (30, 20)}, "size"),
        ({"longest_aspect": 0.5}, "longest_aspect"),
    ],
)
def test_a_value_out_of_range_is_refused(
    sources: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        SyntheticLinesConfig(**(sources | changes)).build()


def test_a_charset_that_no_font_has_is_told(sources: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "charset.txt"
    path.write_text("ㄱ\nㄴ\n", "utf-8")
    lines = SyntheticLinesConfig(**sources, charset=str(path)).build()
    with pytest.raises(DataError, match="charset"):
        lines.line(np.random.default_rng(0))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff"])
def test_a_charset_that_cannot_be_read_is_named(
    sources: dict[str, Any], tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "charset.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"charset\.txt"):
        SyntheticLinesConfig(**sources, charset=str(path)).build()


def test_an_epoch_has_as_many_lines_as_asked(sources: dict[str, Any]) -> None:
    assert len(SyntheticLinesConfig(**sources, count=17).build()) == 17
