"""Cuts the channels out of a network that its criterion says it can do without."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from edgeocr_training.compression.pruning.channel_groups import (
    ChannelGroup,
    kept_channels,
    network_outputs,
)
from edgeocr_training.compression.pruning.criterion import Criterion, filter_scores
from edgeocr_training.compression.pruning.inference import inference_of
from edgeocr_training.errors import CompressionError
from edgeocr_training.models.narrowing import keep_channels, layer_widths

_PARITY: Final = 1e-6
"""Of outputs, relative to the largest one or to 1. Everything before them is computed in float64,
they themselves are float32, which has steps of 6e-8."""


def group_scores(network: nn.Module, group: ChannelGroup, criterion: Criterion) -> Tensor:
    """Scores of a group's channels; the least go first.

    A channel that several layers make, as in residuals, has the mean of its filters' scores, each
    relative to the mean of its layer: large weights of one layer must not decide for all.

    Args:
        network: that the group is of.
        group: whose channels are scored.
        criterion: of single filters.

    Returns:
        (channels,) float64.
    """
    makers = [slot for slot in group.slots if slot.layer in group.makers and slot.side == "outputs"]
    relative = []
    for slot in makers:
        weight = network.get_submodule(slot.layer).weight
        assert isinstance(weight, Tensor)
        transposed = isinstance(network.get_submodule(slot.layer), nn.ConvTranspose2d)
        filters = weight.detach().transpose(0, 1) if transposed else weight.detach()
        scores = filter_scores(filters[[*slot.places]].flatten(1), criterion)
        relative.append(scores / scores.mean().clamp(min=torch.finfo(scores.dtype).tiny))
    return torch.stack(relative).mean(dim=0)


def staying_channels(
    network: nn.Module,
    groups: Sequence[ChannelGroup],
    counts: Mapping[str, int],
    criterion: Criterion,
) -> dict[str, tuple[int, ...]]:
    """Which channels stay of the groups that lose some, rising.

    Args:
        network: that the groups are of.
        groups: all of the network.
        counts: channels to keep, by the group's name; of those that are not in it all.
        criterion: by which they are chosen.
    """
    staying = {}
    for group in groups:
        count = counts.get(group.name, group.channels)
        if count < group.channels:
            by_score = group_scores(network, group, criterion).argsort(descending=True, stable=True)
            staying[group.name] = tuple(sorted(by_score[:count].tolist()))
    return staying


def prune(
    student: nn.Module,
    groups: Sequence[ChannelGroup],
    staying: Mapping[str, Sequence[int]],
) -> nn.Module:
    """A copy of a student without some of its channels.

    It computes what the student would with zeros in these channels, which is checked.

    Args:
        student: a detector, a recogniser or a classifier; left as it is.
        groups: of the student.
        staying: channels that stay, by the group's name; of those that are not in it all.

    Raises:
        CompressionError: the copy computes something else: its channels were not followed rightly.
    """
    pruned = copy.deepcopy(student)
    keep_channels(pruned, kept_channels(groups, staying, layer_widths(student)))
    _check_parity(pruned, masked(student, groups, staying))
    return pruned


def masked(
    student: nn.Module,
    groups: Sequence[ChannelGroup],
    staying: Mapping[str, Sequence[int]],
) -> nn.Module:
    """A copy of a student in which channels are 0 instead of gone.

    Every layer that makes them, or passes them on, has zeros for weights, biases, scales and
    shifts there. What follows keeps the zero: ReLU, hard-swish, and a gate, whatever its factor.

    Args:
        student: left as it is.
        groups: of the student.
        staying: see :func:`prune`.
    """
    network = copy.deepcopy(student)
    for group in groups:
        leaving = set(range(group.channels)) - set(staying.get(group.name, range(group.channels)))
        for slot in group.slots:
            if leaving and slot.side == "outputs":
                _zero(
                    network.get_submodule(slot.layer),
                    [slot.places[channel] for channel in sorted(leaving)],
                )
    return network


@torch.no_grad()
def _zero(layer: nn.Module, places: Sequence[int]) -> None:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    if isinstance(layer, nn.ConvTranspose2d):
        weight[:, places] = 0
    else:
        weight[places] = 0
    if isinstance(bias, Tensor):
        bias[places] = 0


@torch.inference_mode()
def _check_parity(pruned: nn.Module, zeroed: nn.Module) -> None:
    image_B3HW = torch.rand(
        1, 3, *inference_of(pruned).smallest, generator=torch.Generator().manual_seed(0)
    )
    found, expected = (
        network_outputs(copy.deepcopy(network).cpu().double().eval()(image_B3HW.double()))
        for network in (pruned, zeroed)
    )
    for ours, theirs in zip(found, expected, strict=True):
        largest = max(1.0, float(theirs.abs().max()))
        difference = float((ours - theirs).abs().max())
        if not difference <= _PARITY * largest:
            raise CompressionError(
                f"the pruned {type(pruned).__name__.lower()} computes something else than with "
                f"zeros in the channels that went, different by {difference:.2g}: its layers "
                "are connected in a way that pruning can't follow; skip some of them"
            )
