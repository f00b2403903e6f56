"""Properties of the offline methods on distributions whose answer is known."""

from __future__ import annotations

import pytest
import torch

from edgeocr_training.compression.quantization.histogram import Histogram
from edgeocr_training.compression.quantization.range_estimation import METHODS, estimate_range


def histogram(values: torch.Tensor) -> Histogram:
    counted = Histogram()
    for start in range(0, len(values), 4000):
        counted.add(values[start : start + 4000])
    return counted


def normal(count: int = 20_000) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(0))


def error(values: torch.Tensor, ends: tuple[float, float]) -> float:
    scale = (ends[1] - ends[0]) / 255
    zero_point = round(-128 - ends[0] / scale)
    rounded = torch.fake_quantize_per_tensor_affine(values, scale, zero_point, -128, 127)
    return float((rounded - values).square().mean())


def test_every_value_is_kept() -> None:
    values = normal()
    assert estimate_range(histogram(values), "minmax") == (float(values.min()), float(values.max()))


def test_a_percentile_cuts_one_in_ten_thousand_off() -> None:
    values = torch.cat([normal(), torch.tensor([500.0])])
    low, high = estimate_range(histogram(values), "percentile")
    assert high < 5
    assert ((values < low) | (values > high)).float().mean() < 4e-4


def test_divergence_gives_outliers_up_for_the_rest() -> None:
    values = torch.cat([normal(), torch.tensor([60.0, -55.0])])
    low, high = estimate_range(histogram(values), "kl")
    assert -30 < low < -2
    assert 2 < high < 30


def test_the_squared_error_is_the_least_of_all_methods() -> None:
    values = torch.cat([normal(), 8 * normal(300)])
    counted = histogram(values)
    errors = {method: error(values, estimate_range(counted, method)) for method in METHODS}
    # The histogram has 11 bits: its minimum is off by little.
    assert errors["mse"] <= 1.01 * min(errors.values())
    assert errors["mse"] < errors["minmax"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "values",
    [torch.zeros(10), torch.full((10,), 3.0), -torch.rand(50), torch.rand(50)],
    ids=["dead", "constant", "negative", "positive"],
)
def test_every_range_holds_zero(method: str, values: torch.Tensor) -> None:
    low, high = estimate_range(histogram(values), method)  # type: ignore[arg-type]
    assert low <= 0 <= high


@pytest.mark.parametrize("method", METHODS)
def test_a_relus_range_begins_at_zero(method: str) -> None:
    low, high = estimate_range(histogram(normal().relu()), method)  # type: ignore[arg-type]
    assert low == 0
    assert high > 1


def test_a_histogram_counts_by_value() -> None:
    counted = histogram(torch.tensor([0.5, -2.0, 0.5, 3.0]))
    values, counts = counted.values()
    assert values.tolist() == [-2.0, 0.5, 3.0]
    assert counts.tolist() == [1, 2, 1]
