"""How many channels are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgeocr_training.compression.pruning.channel_groups import ChannelGroup, without
from edgeocr_training.compression.pruning.inference import inference_of
from edgeocr_training.compression.pruning.planning import (
    counts_by_loss,
    counts_by_ratio,
    counts_for_macs,
    macs_with,
    rounded_count,
)
from edgeocr_training.compression.pruning.sensitivity import Curve, Sensitivity
from edgeocr_training.errors import CompressionError

Groups: TypeAlias = tuple[ChannelGroup, ...]


def sensitivity(losses: Mapping[str, Mapping[float, float]]) -> Sensitivity:
    """Relative losses of groups by their ratios."""
    return Sensitivity(
        recipe="det",
        weights="0",
        criterion="fpgm",
        evaluation={},
        metric="hmean",
        unpruned=0.8,
        curves={
            name: Curve(
                makers=(name,),
                channels=96,
                figures={ratio: 0.8 * (1 - loss) for ratio, loss in curve.items()},
            )
            for name, curve in losses.items()
        },
    )


@given(channels=st.integers(1, 600), ratio=st.floats(0, 1))
def test_widths_are_multiples_of_8_or_what_they_were(channels: int, ratio: float) -> None:
    count = rounded_count(channels, ratio)
    assert count == channels or (count % 8 == 0 and 8 <= count < channels)
    # Never more than half of a step from what was asked for, but for the eight that stay.
    assert abs(count - max(min(channels, 8), channels * (1 - ratio))) <= 8


@given(channels=st.integers(1, 600), ratios=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_larger_ratio_never_keeps_more(channels: int, ratios: tuple[float, float]) -> None:
    assert rounded_count(channels, max(ratios)) <= rounded_count(channels, min(ratios))
    assert rounded_count(channels, 0) == channels


def test_the_nearest_multiple_is_taken() -> None:
    assert [rounded_count(96, ratio) for ratio in (0.1, 0.25, 0.5, 0.99)] == [88, 72, 48, 8]
    assert [rounded_count(24, ratio) for ratio in (0.1, 0.2, 0.5, 0.6)] == [24, 16, 16, 8]
    assert rounded_count(12, 0.1) == 12
    assert rounded_count(8, 0.9) == 8


def test_a_loss_between_two_points_is_a_ratio_between_them() -> None:
    curves = sensitivity({"a": {0.2: 0.01, 0.4: 0.03, 0.6: 0.13}})
    for loss, ratio in ((0.005, 0.1), (0.01, 0.2), (0.02, 0.3), (0.03, 0.4), (0.08, 0.5)):
        assert curves.ratio_for_loss("a", loss) == pytest.approx(ratio)
    # It ends where it was measured.
    assert curves.ratio_for_loss("a", 0.9) == 0.6
    assert curves.largest_loss() == pytest.approx(0.13)


def test_a_curve_that_falls_again_gives_the_largest_ratio() -> None:
    curves = sensitivity({"a": {0.2: 0.05, 0.4: 0.01, 0.6: 0.21}})
    assert curves.ratio_for_loss("a", 0.02) == pytest.approx(0.41)
    better = sensitivity({"a": {0.5: -0.02}})
    assert better.ratio_for_loss("a", 0.001) == 0.5
    assert better.largest_loss() == 0


@given(
    losses=st.lists(st.floats(-0.1, 1), min_size=1, max_size=9),
    wanted=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_larger_loss_never_gives_a_smaller_ratio(
    losses: list[float], wanted: tuple[float, float]
) -> None:
    curves = sensitivity({"a": {(i + 1) / 10: loss for i, loss in enumerate(losses)}})
    small, large = (curves.ratio_for_loss("a", loss) for loss in sorted(wanted))
    assert 0 <= small <= large <= len(losses) / 10


def test_sensitive_layers_keep_more(student: nn.Module, groups: Groups) -> None:
    groups = without(groups, ["backbone", "head"])
    losses = {group.name: {0.5: 0.02, 0.75: 0.5} for group in groups}
    losses["neck.smooth.0"] = {0.5: 0.4, 0.75: 0.8}
    counts = counts_by_loss(groups, sensitivity(losses), 0.02)
    assert counts == {
        "neck.lateral.0": 48,
        "neck.smooth.0": 24,
        **{f"neck.smooth.{i}": 16 for i in (1, 2, 3)},
    }
    unmeasured = replace(sensitivity(losses), curves={})
    with pytest.raises(CompressionError, match=r"neck\.lateral\.0 was not measured"):
        counts_by_loss(groups, unmeasured, 0.02)


@settings(max_examples=3, deadline=None)
@given(share=st.floats(0.05, 0.75))
def test_a_share_of_the_arithmetic_goes_and_no_step_more(
    student: nn.Module, groups: Groups, share: float
) -> None:
    before = inference_of(student).macs
    counts = counts_for_macs(
        student,
        groups,
        share,
        counts_at=lambda ratio: counts_by_ratio(groups, ratio),
        hardest=0.9,
    )
    assert 1 - macs_with(student, groups, counts) / before >= share
    # With the nearest smaller ratio that changes anything, less than that goes.
    ratios = [i / 1000 for i in range(900)]
    hardest_milder = max(
        ratio
        for ratio in ratios
        if sum(counts_by_ratio(groups, ratio).values()) > sum(counts.values())
    )
    milder = counts_by_ratio(groups, hardest_milder)
    assert 1 - macs_with(student, groups, milder) / before < share


def test_what_is_too_much_is_refused_with_what_can_go(student: nn.Module, groups: Groups) -> None:
    groups = without(groups, ["neck", "head"])
    with pytest.raises(CompressionError, match=r"40.0% .* can't go: at most (1|2)\d\.\d%"):
        counts_for_macs(
            student,
            groups,
            0.4,
            counts_at=lambda ratio: counts_by_ratio(groups, ratio),
            hardest=0.9,
        )
