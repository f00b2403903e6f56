import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeocr_benchmarks.match_counts import NO_MATCHES, MatchCounts


@st.composite
def counts_st(draw: st.DrawFn) -> MatchCounts:
    expected, found = draw(st.integers(0, 50)), draw(st.integers(0, 50))
    matched = draw(st.integers(0, min(expected, found)))
    return MatchCounts(expected=expected, found=found, matched=matched)


def test_hand_computed() -> None:
    counts = MatchCounts(expected=4, found=5, matched=3)
    assert counts.precision == 3 / 5
    assert counts.recall == 3 / 4
    assert counts.hmean == pytest.approx(2 / (5 / 3 + 4 / 3))  # harmonic mean of the two


@pytest.mark.parametrize(
    ("expected", "found", "precision", "recall", "hmean"),
    [(0, 0, 1, 1, 1), (3, 0, 1, 0, 0), (0, 3, 0, 1, 0)],
)
def test_nothing_expected_or_found(
    expected: int, found: int, precision: float, recall: float, hmean: float
) -> None:
    counts = MatchCounts(expected=expected, found=found, matched=0)
    assert (counts.precision, counts.recall, counts.hmean) == (precision, recall, hmean)


@given(counts_st())
def test_figures_lie_between_0_and_1_and_hmean_between_the_other_two(counts: MatchCounts) -> None:
    low, high = sorted((counts.precision, counts.recall))
    assert 0 <= low <= high <= 1
    # Without anything found the precision of 1 is a convention that hmean does not follow.
    if counts.expected and counts.found:
        assert low - 1e-12 <= counts.hmean <= high + 1e-12


@given(counts_st())
def test_hmean_does_not_care_which_side_is_the_truth(counts: MatchCounts) -> None:
    swapped = MatchCounts(expected=counts.found, found=counts.expected, matched=counts.matched)
    assert swapped.hmean == counts.hmean


@given(counts_st(), counts_st())
def test_addition_commutes_and_has_a_zero(first: MatchCounts, second: MatchCounts) -> None:
    assert first + second == second + first
    assert first + NO_MATCHES == first


@pytest.mark.parametrize("matched", [-1, 3])
def test_more_matches_than_items_are_refused(matched: int) -> None:
    with pytest.raises(ValueError, match="matched must lie"):
        MatchCounts(expected=2, found=5, matched=matched)
