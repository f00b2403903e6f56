"""Scores of filters."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgeocr_training.compression.pruning.criterion import CRITERIA, Criterion, filter_scores


@st.composite
def filters_st(draw: st.DrawFn) -> Tensor:
    """(N, D) float64, of any scale."""
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 12)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = draw(st.sampled_from([1e-4, 1.0, 1e3]))
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(filters=filters_st())
def test_fpgm_is_the_sum_of_the_distances_to_all_filters(filters: Tensor) -> None:
    by_hand = torch.stack(
        [torch.stack([(a - b).square().sum().sqrt() for b in filters]).sum() for a in filters]
    )
    torch.testing.assert_close(filter_scores(filters, "fpgm"), by_hand)


@settings(max_examples=40, deadline=None)
@given(filters=filters_st(), offset=st.floats(-10, 10))
def test_fpgm_sees_where_filters_are_to_one_another_and_not_where_all_are(
    filters: Tensor, offset: float
) -> None:
    """Unlike a norm: that no filter is near zero doesn't matter."""
    moved = filter_scores(filters + offset, "fpgm")
    # The sums have lost what is beyond 16 digits of the offset.
    torch.testing.assert_close(moved, filter_scores(filters, "fpgm"), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("criterion", CRITERIA)
@settings(max_examples=40, deadline=None)
@given(filters=filters_st(), seed=st.integers(0, 1000))
def test_the_order_of_filters_and_of_weights_does_not_matter(
    criterion: Criterion, filters: Tensor, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(filters), generator=generator)
    columns = torch.randperm(filters.shape[1], generator=generator)
    torch.testing.assert_close(
        filter_scores(filters[rows][:, columns], criterion), filter_scores(filters, criterion)[rows]
    )


def test_l1_is_the_sum_of_the_magnitudes() -> None:
    filters = torch.tensor([[1.0, -2.0], [0.0, 0.5], [-3.0, -4.0]])
    assert filter_scores(filters, "l1").tolist() == [3.0, 0.5, 7.0]


def test_fpgm_removes_what_others_can_do_and_l1_what_is_small() -> None:
    """Three filters that are alike and large, and a small one that is like no other."""
    filters = torch.tensor([[5.0, 5.0], [5.0, 5.1], [5.1, 5.0], [0.1, -0.1]])
    assert int(filter_scores(filters, "fpgm").argmax()) == 3
    assert int(filter_scores(filters, "l1").argmin()) == 3


def test_equal_filters_are_at_no_distance_in_float32_too() -> None:
    filters = torch.full((4, 300), 1e3, dtype=torch.float32)
    assert filter_scores(filters, "fpgm").tolist() == [0.0] * 4
