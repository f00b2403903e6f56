"""A network with channels cut out computes what it did with zeros in them, and is smaller."""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from edgeocr_training.compression.pruning.channel_groups import (
    ChannelGroup,
    channel_groups,
    network_outputs,
)
from edgeocr_training.compression.pruning.inference import inference_of
from edgeocr_training.compression.pruning.planning import counts_by_ratio, macs_with
from edgeocr_training.compression.pruning.pruning import (
    group_scores,
    masked,
    prune,
    staying_channels,
)
from edgeocr_training.errors import CompressionError
from edgeocr_training.models.complexity import count_parameters
from edgeocr_training.recipes import recipe_named
from edgeocr_training.trained_student import trained_student

from .conftest import STUDENTS, groups_of, student_of

EXACT = 1e-5
"""Computed in float64, but probabilities and logits of order 1 are handed out as float32, and the
binarisation of a detector makes 50 times as much of their last digits, of 6e-8."""


Groups: TypeAlias = tuple[ChannelGroup, ...]


def outputs(network: nn.Module, seed: int = 1) -> list[Tensor]:
    """Of noise, that the pruning itself has not seen."""
    image = torch.randn(
        2, 3, *inference_of(network).smallest, generator=torch.Generator().manual_seed(seed)
    )
    with torch.inference_mode():
        return network_outputs(copy.deepcopy(network).double()(image.double()))


def distance(one: nn.Module, other: nn.Module) -> float:
    return max(
        float((a - b).abs().max()) for a, b in zip(outputs(one), outputs(other), strict=True)
    )


def some_channels(
    groups: Sequence[ChannelGroup], generator: torch.Generator
) -> dict[str, tuple[int, ...]]:
    """One channel at least of every group, at random places."""
    staying = {}
    for group in groups:
        count = int(torch.randint(1, group.channels + 1, (), generator=generator))
        order = torch.randperm(group.channels, generator=generator)
        staying[group.name] = tuple(sorted(order[:count].tolist()))
    return staying


@pytest.mark.parametrize("kind", STUDENTS)
def test_every_network_without_channels_equals_that_with_zeros(kind: str) -> None:
    student, groups = student_of(kind), groups_of(kind)
    staying = some_channels(groups, torch.Generator().manual_seed(2))
    pruned = prune(student, groups, staying)
    zeroed = masked(student, groups, staying)
    assert distance(pruned, zeroed) < EXACT
    # Zeros and the random network itself are told apart: nothing is saturated or dead.
    assert distance(zeroed, student) > 100 * EXACT


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(["the edge detector", "a PP-LCNet classifier"]),
)
def test_any_choice_of_channels_equals_zeros_there(seed: int, kind: str) -> None:
    student, groups = student_of(kind), groups_of(kind)
    generator = torch.Generator().manual_seed(seed)
    staying = some_channels(groups, generator)
    # Some groups stay whole.
    for group in groups:
        if torch.rand((), generator=generator) < 0.3:
            del staying[group.name]
    assert distance(prune(student, groups, staying), masked(student, groups, staying)) < EXACT


def test_the_student_stays_as_it_is(student: nn.Module, groups: Groups) -> None:
    before = copy.deepcopy(student.state_dict())
    prune(student, groups, some_channels(groups, torch.Generator().manual_seed(0)))
    masked(student, groups, some_channels(groups, torch.Generator().manual_seed(0)))
    after = student.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("kind", STUDENTS)
def test_a_pruned_network_is_smaller_in_arithmetic_and_on_disk(kind: str) -> None:
    student, groups = student_of(kind), groups_of(kind)
    counts = counts_by_ratio(groups, 0.5)
    pruned = prune(student, groups, staying_channels(student, groups, counts, "fpgm"))
    assert inference_of(pruned).macs < 0.8 * inference_of(student).macs
    assert inference_of(pruned).macs == macs_with(student, groups, counts)
    assert size(pruned) < 0.9 * size(student)
    # No zeros stand where channels were.
    assert count_parameters(pruned) < 0.9 * count_parameters(student)


def size(network: nn.Module) -> int:
    """Bytes on disk."""
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getbuffer().nbytes


def test_a_pruned_network_learns(student: nn.Module, groups: Groups) -> None:
    counts = counts_by_ratio(groups, 0.5)
    pruned = prune(student, groups, staying_channels(student, groups, counts, "fpgm"))
    pruned.train()
    image = torch.randn(1, 3, 64, 64)
    torch.autograd.backward([output.sum() for output in network_outputs(pruned(image))])
    for name, parameter in pruned.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.shape == parameter.shape, name


def test_a_filter_amid_the_others_goes_first_by_fpgm_and_a_small_one_by_l1(
    student: nn.Module, groups: Groups
) -> None:
    student = copy.deepcopy(student)
    (group,) = [group for group in groups if group.name == "neck.smooth.2"]
    weight = student.get_submodule("neck.smooth.2").weight
    assert isinstance(weight, Tensor)
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
        # In the midst of the others, far from them, and half as large.
        weight[5] = weight.mean(dim=0)
        weight[7] = -6 * weight[3]
        weight[9] = 0.5 * weight[9]
    fpgm = group_scores(student, group, "fpgm")
    l1 = group_scores(student, group, "l1")
    assert int(fpgm.argmin()) == 5
    assert int(fpgm.argmax()) == 7
    assert l1.argsort()[:2].tolist() == [5, 9]


def test_of_channels_that_several_layers_make_each_layer_counts_alike(
    student: nn.Module, groups: Groups
) -> None:
    """The laterals of a pyramid are added; one of them has weights a thousand times larger."""
    network = copy.deepcopy(student)
    (group,) = [group for group in groups if group.name == "neck.lateral.0"]
    before = group_scores(network, group, "fpgm")
    weight = network.get_submodule("neck.lateral.3").weight
    assert isinstance(weight, Tensor)
    with torch.no_grad():
        weight.mul_(1000)
    torch.testing.assert_close(group_scores(network, group, "fpgm"), before)


def test_channels_that_are_followed_wrongly_are_noticed(student: nn.Module, groups: Groups) -> None:
    (group,) = [group for group in groups if group.name == "neck.smooth.2"]
    wrong = [
        type(slot)(layer=slot.layer, side=slot.side, places=(*slot.places[1:], slot.places[0]))
        if slot.side == "inputs"
        else slot
        for slot in group.slots
    ]
    broken = ChannelGroup(
        name=group.name, makers=group.makers, channels=group.channels, slots=tuple(wrong)
    )
    with pytest.raises(CompressionError, match="computes something else"):
        prune(student, [broken], {group.name: range(8)})


def test_the_trained_detector_loses_half_of_its_arithmetic_and_sees_the_same_channels(
    trained: Path,
) -> None:
    student = trained_student(recipe_named("det_ic15_cpu"), trained).eval()
    groups = channel_groups(student)
    counts = counts_by_ratio(groups, 0.3)
    for criterion in ("fpgm", "l1"):
        staying = staying_channels(student, groups, counts, criterion)
        assert {name: len(kept) for name, kept in staying.items()} == {
            group.name: counts[group.name] for group in groups if group.channels > 8
        }
        assert distance(prune(student, groups, staying), masked(student, groups, staying)) < EXACT
