from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeocr_benchmarks.text_metrics import (
    NO_LINES,
    alphanumeric,
    canonical,
    character_counts,
    edit_distance,
    line_counts,
)

text_st = st.text(st.characters(codec="utf-8"), max_size=12)
short_st = st.text("abcd", max_size=7)


@pytest.mark.parametrize(
    ("text", "fold_case", "expected"),
    [
        ("  Total\u3000 \t12 ", False, "Total 12"),
        ("Ｎｅｗ！", False, "New!"),
        ("ﬁsh", False, "fish"),
        ("STRASSE", True, "strasse"),
        ("Straße", True, "strasse"),
        ("New", False, "New"),
    ],
)
def test_canonical(text: str, fold_case: bool, expected: str) -> None:
    assert canonical(text, fold_case=fold_case) == expected


@given(text_st, st.booleans())
def test_canonical_is_idempotent(text: str, fold_case: bool) -> None:
    once = canonical(text, fold_case=fold_case)
    assert canonical(once, fold_case=fold_case) == once


def test_alphanumeric_keeps_letters_and_digits_of_every_script() -> None:
    assert alphanumeric("It's 50% — 慵懒 Čaj!") == "its50慵懒čaj"


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "abc", 0), ("ab", "ba", 2), ("", "", 0)],
)
def test_edit_distance(first: str, second: str, distance: int) -> None:
    assert edit_distance(first, second) == distance


@given(short_st, short_st, short_st)
def test_edit_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert edit_distance(a, b) == edit_distance(b, a)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))


def test_line_accuracy_and_cer_by_hand() -> None:
    pairs = [("Salon", "Salon"), ("ELEVEn", "ELEVEN"), ("it's", "its"), ("Joint", "Jont")]
    total = reduce(add, (line_counts(*pair, fold_case=False) for pair in pairs), NO_LINES)
    assert total.accuracy == 1 / 4  # Salon
    assert total.alphanumeric_accuracy == 3 / 4  # all but Jont
    assert total.cer == 3 / 20  # one edit in each of the last three; 5 + 6 + 4 + 5 characters


def test_folded_case_makes_case_no_error() -> None:
    counts = line_counts("TOTAL DUE", "Total due", fold_case=True)
    assert (counts.exact, counts.edits) == (1, 0)
    assert line_counts("TOTAL DUE", "Total due", fold_case=False).exact == 0


def test_a_space_counts_in_cer_and_exactness_but_not_in_letters_and_digits() -> None:
    counts = line_counts("due date", "duedate", fold_case=False)
    assert (counts.exact, counts.alphanumeric, counts.edits) == (0, 1, 1)


def test_nothing_read_costs_every_character() -> None:
    assert line_counts("four", "", fold_case=False).cer == 1
    assert line_counts("", "abc", fold_case=False).cer == 3
    assert line_counts("", "", fold_case=False).accuracy == 1


def test_character_bag_by_hand() -> None:
    # Written: a a b c; read: a b b d. In common: a, b.
    counts = character_counts("aa bc", "ab\nbd", fold_case=False)
    assert (counts.expected, counts.found, counts.matched) == (4, 4, 2)
    assert counts.hmean == 0.5


@given(short_st, short_st, st.permutations(range(7)))
def test_character_bag_ignores_order_and_white_space(
    first: str, second: str, order: list[int]
) -> None:
    shuffled = " ".join(second[i] for i in order if i < len(second))
    assert character_counts(first, second, fold_case=False) == character_counts(
        first, shuffled, fold_case=False
    )


@given(text_st, st.booleans())
def test_perfect_reading_scores_one(text: str, fold_case: bool) -> None:
    counts = character_counts(text, text, fold_case=fold_case)
    assert counts.precision == counts.recall == counts.hmean == 1
    line = line_counts(text, text, fold_case=fold_case)
    assert (line.exact, line.alphanumeric, line.edits) == (1, 1, 0)


@given(text_st, text_st)
def test_character_bag_swaps_with_its_sides(first: str, second: str) -> None:
    forth = character_counts(first, second, fold_case=False)
    back = character_counts(second, first, fold_case=False)
    assert (forth.expected, forth.found, forth.matched) == (back.found, back.expected, back.matched)
    assert forth.hmean == back.hmean
