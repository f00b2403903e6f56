from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeocr_benchmarks import sampling
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.metrics import METRICS, TIMES, page_samples, run_samples, unit

MakeDeviceResult = Callable[..., DeviceResult]


def test_a_stage_is_the_sum_of_its_parts(make_device_result: MakeDeviceResult) -> None:
    (page,) = make_device_result(ms=(100.0, 200.0)).runs[0].bundles[0].pages
    assert page_samples(page, "det") == pytest.approx([44.0, 88.0])
    assert page_samples(page, "rec") == pytest.approx([42.0, 84.0])
    assert page_samples(page, "other") == pytest.approx([1.0, 2.0])
    assert page_samples(page, "total").tolist() == [100.0, 200.0]


def test_a_sample_of_a_run_is_a_round_over_all_pages(
    make_device_result: MakeDeviceResult,
) -> None:
    run = make_device_result(ms=(100.0, 200.0), pages=(("a", 1, 320), ("b", 2, 320))).runs[0]
    assert run_samples(run.bundles[0], "total").tolist() == [100.0, 200.0]


def test_every_metric_has_samples_and_a_unit(make_device_result: MakeDeviceResult) -> None:
    (bundle,) = make_device_result().runs[0].bundles
    for metric in METRICS:
        assert len(run_samples(bundle, metric)) == (12 if metric in TIMES else 2)
    assert run_samples(bundle, "peak").tolist() == [120.0, 120.0]
    assert (unit("pss"), unit("start"), unit("det.pre")) == ("MB", "ms", "ms")


@given(
    st.lists(st.floats(min_value=1, max_value=1e3), min_size=2, max_size=12),
    st.floats(min_value=0.5, max_value=2),
)
def test_a_change_by_a_factor_is_seen_as_that(samples: list[float], factor: float) -> None:
    base = np.array(samples)
    for name in ("mean", "p50", "p90", "max"):
        change = sampling.relative_change(base, base * factor, name)
        assert change.value == pytest.approx(factor - 1, abs=1e-9)
        assert change.low <= change.value + 1e-9
        assert change.high >= change.value - 1e-9


def test_statistics_by_hand() -> None:
    samples = [1.0, 2.0, 3.0, 4.0, 10.0]
    expected = {"mean": 4.0, "min": 1.0, "p50": 3.0, "max": 10.0, "std": 10**0.5}
    assert {name: sampling.statistic(samples, name) for name in expected} == pytest.approx(expected)
    # 90 % of the way over four gaps is 0.6 of the last, from 4 to 10.
    assert sampling.statistic(samples, "p90") == pytest.approx(7.6)


def test_an_estimate_lies_within_its_interval() -> None:
    found = sampling.estimate([10.0, 11.0, 12.0, 13.0, 30.0], "p50")
    assert found.value == 12.0
    assert 10.0 <= found.low <= 12.0 <= found.high <= 30.0
