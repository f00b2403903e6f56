import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeocr_benchmarks import sampling

times_st = st.lists(st.floats(1, 100), min_size=3, max_size=20)


def test_ratio_of_medians_and_its_interval() -> None:
    random = np.random.default_rng(1)
    slow = random.normal(100, 5, 40).tolist()
    fast = random.normal(35, 2, 40).tolist()
    estimate = sampling.ratio_of_medians(fast, slow)
    assert estimate.value == pytest.approx(np.median(fast) / np.median(slow))
    assert estimate.low < 0.35 < estimate.high
    assert estimate.high - estimate.low < 0.05


def test_what_slows_both_engines_of_a_round_cancels() -> None:
    # Load that doubles times in half of the rounds, while the ratio is 0.5 in every round.
    load = np.where(np.arange(30) % 2, 2.0, 1.0) * np.linspace(1, 1.2, 30)
    estimate = sampling.ratio_of_medians((50 * load).tolist(), (100 * load).tolist())
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((0.5, 0.5, 0.5))


@given(times_st)
def test_an_engine_equals_itself(times: list[float]) -> None:
    estimate = sampling.ratio_of_medians(times, times)
    assert (estimate.low, estimate.value, estimate.high) == (1, 1, 1)


def test_difference_of_accuracies_by_hand() -> None:
    # 3 of 4 lines against 2 of 4.
    first = [(1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (0.0, 1.0)]
    second = [(1.0, 1.0), (0.0, 1.0), (1.0, 1.0), (0.0, 1.0)]
    estimate = sampling.difference_of_ratios(first, second)
    assert estimate.value == pytest.approx(0.25)
    assert estimate.low == 0.0  # they differ in one line only, which some resamples miss
    assert 0.5 <= estimate.high <= 1.0


def test_difference_weighs_images_by_what_is_on_them() -> None:
    # 90 of 100 and 0 of 10 against 100 of 100 and 10 of 10: sums, not a mean of ratios.
    estimate = sampling.difference_of_ratios([(90, 100), (0, 10)], [(100, 100), (10, 10)])
    assert estimate.value == pytest.approx(90 / 110 - 1)


def test_images_without_anything_to_find() -> None:
    estimate = sampling.difference_of_ratios([(0, 0), (0, 0)], [(0, 0), (0, 0)])
    assert (estimate.low, estimate.value, estimate.high) == (0, 0, 0)


def test_intervals_are_the_same_every_time() -> None:
    samples = ([3.0, 1.0, 2.0, 5.0], [6.0, 3.0, 4.0, 9.0])
    assert sampling.ratio_of_medians(*samples) == sampling.ratio_of_medians(*samples)


def test_spread_ignores_single_hiccups() -> None:
    calm = [10.0] * 19 + [500.0]
    assert sampling.spread(calm) == 0
    assert sampling.spread([8.0, 9.0, 10.0, 11.0, 12.0]) == pytest.approx(0.2)
