"""Which channels go together, in the networks that recipes have."""

from __future__ import annotations

import pytest
from torch import nn

from edgeocr_training.compression.pruning.channel_groups import (
    ChannelGroup,
    channel_groups,
    without,
)
from edgeocr_training.errors import CompressionError

from .conftest import STUDENTS, groups_of


def by_name(kind: str) -> dict[str, ChannelGroup]:
    return {group.name: group for group in groups_of(kind)}


def readers(group: ChannelGroup) -> set[str]:
    """Layers with weights for each pair of an input and an output, that read the channels."""
    return {
        slot.layer
        for slot in group.slots
        if slot.side == "inputs" and not slot.layer.endswith((".norm", "depthwise.conv"))
    }


def test_residuals_that_are_added_go_together() -> None:
    group = by_name("PP-OCRv2's detector")["backbone.stages.1.0.project.conv"]
    assert group.channels == 24
    assert group.makers == tuple(f"backbone.stages.1.{i}.project.conv" for i in range(3))
    assert readers(group) == {
        "backbone.stages.1.1.expand.conv",
        "backbone.stages.1.2.expand.conv",
        "backbone.stages.2.0.expand.conv",
        "neck.lateral.1",
    }


def test_an_expansion_takes_its_depthwise_convolution_and_both_normalisations_along() -> None:
    group = by_name("PP-OCRv2's detector")["backbone.stages.3.1.expand.conv"]
    assert group.makers == ("backbone.stages.3.1.expand.conv",)
    assert {slot.layer for slot in group.slots if slot.side == "outputs"} == {
        f"backbone.stages.3.1.{part}"
        for part in ("expand.conv", "expand.norm", "depthwise.conv", "depthwise.norm")
    }
    assert readers(group) == {"backbone.stages.3.1.project.conv"}


def test_a_gate_goes_with_the_channels_that_it_multiplies() -> None:
    groups = by_name("a detector with gates")
    group = groups["backbone.stages.3.1.expand.conv"]
    assert group.makers == (
        "backbone.stages.3.1.expand.conv",
        "backbone.stages.3.1.gate.expand",
    )
    assert readers(group) == {
        "backbone.stages.3.1.project.conv",
        "backbone.stages.3.1.gate.reduce",
    }
    assert readers(groups["backbone.stages.3.1.gate.reduce"]) == {"backbone.stages.3.1.gate.expand"}


def test_the_levels_of_a_pyramid_are_added_and_concatenated() -> None:
    groups = by_name("PP-OCRv2's detector")
    laterals = groups["neck.lateral.0"]
    assert laterals.makers == tuple(f"neck.lateral.{i}" for i in range(4))
    assert readers(laterals) == {f"neck.smooth.{i}" for i in range(4)}
    # Coarsest first: the finest level has the last quarter of 96 channels.
    places = {
        name: {
            slot.places
            for slot in groups[name].slots
            if slot.layer == "head.probability_branch.conv"
        }
        for name in ("neck.smooth.0", "neck.smooth.3")
    }
    assert places == {
        "neck.smooth.0": {tuple(range(72, 96))},
        "neck.smooth.3": {tuple(range(24))},
    }
    assert readers(groups["neck.smooth.0"]) == {
        "head.probability_branch.conv",
        "head.threshold_branch.conv",
    }


def test_levels_that_are_only_added_go_in_pairs() -> None:
    group = by_name("the edge detector")["neck.lateral.1.conv"]
    assert group.makers == ("neck.lateral.1.conv", "neck.smooth.2.1.conv")


def test_what_a_network_is_there_for_stays() -> None:
    detector = by_name("PP-OCRv2's detector")
    assert "head.probability_branch.upscale" in detector
    assert not any("emit" in maker for group in detector.values() for maker in group.makers)
    recogniser = by_name("PP-OCRv2's recogniser")
    assert readers(recogniser["head.features"]) == {"head.classes"}
    assert "head.classes" not in recogniser
    classifier = by_name("a PP-LCNet classifier")
    assert readers(classifier["pool.1"]) == {"classes"}
    assert "classes" not in classifier


def test_what_inference_does_not_compute_stays() -> None:
    """A detector's thresholds are for training: without them nothing gets faster."""
    for kind in ("PP-OCRv2's detector", "the edge detector"):
        assert not any(
            maker.startswith("head.threshold_branch")
            for group in by_name(kind).values()
            for maker in group.makers
        )


def test_the_units_of_an_lstm_stay_and_its_inputs_go() -> None:
    groups = by_name("PP-OCRv2's recogniser")
    (group,) = [group for group in groups.values() if "neck.lstm" in readers(group)]
    assert group.makers == ("backbone.trunk.stages.3.1.2.conv",)
    assert not any("lstm" in maker for group in groups.values() for maker in group.makers)


def test_channels_that_are_interleaved_stay_and_those_within_a_branch_go() -> None:
    makers = [
        maker for group in by_name("a ShuffleNet classifier").values() for maker in group.makers
    ]
    assert "backbone.layers.3.branch.0.conv" in makers
    assert "backbone.layers.3.branch.2.conv" not in makers
    assert not any("shortcut" in maker for maker in makers)


@pytest.mark.parametrize("kind", STUDENTS)
def test_no_channel_is_in_two_groups(kind: str) -> None:
    seen: set[tuple[str, str, int]] = set()
    for group in by_name(kind).values():
        for slot in group.slots:
            assert len(slot.places) == group.channels
            places = {(slot.layer, slot.side, place) for place in slot.places}
            assert not seen & places
            seen |= places


def test_skipped_layers_and_parts_stay() -> None:
    groups = [*by_name("PP-OCRv2's detector").values()]
    left = without(groups, ["backbone", "neck.lateral.2"])
    assert [group.name for group in left] == [
        "neck.smooth.0",
        "neck.smooth.1",
        "neck.smooth.2",
        "neck.smooth.3",
        "head.probability_branch.conv",
        "head.probability_branch.upscale",
    ]
    assert without(groups, []) == tuple(groups)
    # A part's name is no mere beginning of a layer's.
    with pytest.raises(CompressionError, match=r"no layer 'neck.smo'.*neck\.smooth\.0"):
        without(groups, ["neck.smo"])


def test_another_kind_of_network_is_refused() -> None:
    with pytest.raises(CompressionError, match="a Sequential is no detector"):
        channel_groups(nn.Sequential(nn.Conv2d(3, 8, 3)))
