"""Classes of characters are the product's: blank first, then the charset in its order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeocr.ctc import greedy_path
from edgeocr_training.data.charset import (
    ClassesOfCharacters,
    needed_steps,
    read_charset,
)
from edgeocr_training.errors import DataError

ENGLISH = read_charset("english")
texts_st = st.text(st.sampled_from(ENGLISH), min_size=1, max_size=20)


def test_english_is_printable_ascii() -> None:
    assert len(ENGLISH) == 95
    assert set(ENGLISH) == set(map(chr, range(0x20, 0x7F)))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf"])
def test_a_file_gives_its_lines_in_order(tmp_path: Path, ending: str, prefix: bytes) -> None:
    path = tmp_path / "keys.txt"
    path.write_bytes(prefix + ending.join("b今a").encode() + ending.encode())
    assert read_charset(str(path)) == ("b", "今", "a", " ")


def test_a_space_in_the_file_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    path.write_text("a\n \nb\n")
    assert read_charset(str(path)) == ("a", " ", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file.*english"),
        (b"", "line 1 of the charset is empty"),
        (b"a\n\nb\n", "line 2 of the charset is empty"),
        (b"\xff\n", "not UTF-8"),
    ],
)
def test_what_is_no_charset_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "keys.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        read_charset(str(path))
    assert "keys.txt" in str(raised.value)


@given(texts_st)
def test_the_products_decoder_reads_what_was_encoded(text: str) -> None:
    """At exactly the steps that a text needs."""
    classes_N = ClassesOfCharacters(ENGLISH).encode(text)
    steps: list[int] = []
    for index in classes_N.tolist():
        if steps and steps[-1] == index:
            steps.append(0)
        steps.append(index)
    assert needed_steps(classes_N) == len(steps)
    scores_TK = np.eye(len(ENGLISH) + 1, dtype=np.float32)[steps]
    path = greedy_path(scores_TK, outputs="probabilities")
    assert "".join(ENGLISH[index - 1] for index in path.indices) == text


def test_unknown_characters_are_told_and_of_equal_ones_the_first_counts() -> None:
    classes = ClassesOfCharacters(("a", "b", "a"))
    assert classes.encode("ab").tolist() == [1, 2]
    assert classes.unknown("xaéxb") == "xé"
    with pytest.raises(KeyError):
        classes.encode("x")
