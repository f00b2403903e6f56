"""How many channels each group keeps.

Widths are multiples of 8, which is what the kernels for INT8 compute at a time. A group of 8
channels or fewer stays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from torch import nn

from edgeocr_training.compression.pruning.channel_groups import ChannelGroup, kept_channels
from edgeocr_training.compression.pruning.inference import inference_of
from edgeocr_training.compression.pruning.sensitivity import Sensitivity
from edgeocr_training.errors import CompressionError
from edgeocr_training.models.narrowing import keep_channels, layer_widths

CHANNEL_MULTIPLE: Final = 8
LARGEST_RATIO: Final = 0.9
"""Of a group's channels that may go."""

_BISECTIONS: Final = 40


def rounded_count(channels: int, ratio: float) -> int:
    """Channels that stay when a share of them goes: the nearest multiple of 8, or all of them.

    Args:
        channels: of a group.
        ratio: in [0, 1], share that should go.
    """
    wanted = channels * (1 - ratio)
    candidates = [channels, *range(CHANNEL_MULTIPLE, channels, CHANNEL_MULTIPLE)]
    # Of two that are equally near, the larger: less is lost.
    nearest: int = min(candidates, key=lambda count: (abs(count - wanted), -count))
    return nearest


def counts_by_ratio(groups: Sequence[ChannelGroup], ratio: float) -> dict[str, int]:
    """The same ratio for all groups."""
    return {group.name: rounded_count(group.channels, ratio) for group in groups}


def counts_by_loss(
    groups: Sequence[ChannelGroup], sensitivity: Sensitivity, max_loss: float
) -> dict[str, int]:
    """For each group the largest ratio that alone costs at most so much.

    Args:
        groups: that may lose channels.
        sensitivity: of the same network.
        max_loss: relative, as :meth:`Sensitivity.loss`.

    Raises:
        CompressionError: a group was not analysed.
    """
    return {
        group.name: rounded_count(group.channels, sensitivity.ratio_for_loss(group.name, max_loss))
        for group in groups
        if group.channels > CHANNEL_MULTIPLE
    }


def macs_with(student: nn.Module, groups: Sequence[ChannelGroup], counts: Mapping[str, int]) -> int:
    """Multiply-accumulates of inference when groups keep so many channels."""
    network = copy.deepcopy(student).to("meta")
    staying = {name: range(count) for name, count in counts.items()}
    keep_channels(network, kept_channels(groups, staying, layer_widths(network)))
    return inference_of(network).macs


def counts_for_macs(
    student: nn.Module,
    groups: Sequence[ChannelGroup],
    share: float,
    *,
    counts_at: Callable[[float], Mapping[str, int]],
    hardest: float,
) -> dict[str, int]:
    """What groups keep at the least hardness that takes away a share of the multiply-accumulates.

    Args:
        student: left as it is.
        groups: that may lose channels.
        share: of the multiply-accumulates of inference that must go, in (0, 1).
        counts_at: what groups keep, by how hard they are pruned; harder never keeps more.
        hardest: that ``counts_at`` takes; it is asked from 0 on.

    Raises:
        CompressionError: not even the hardest pruning takes so much away.
    """
    before = inference_of(student).macs

    macs: dict[tuple[tuple[str, int], ...], int] = {}
    """By what is kept: widths have few steps, and most of a bisection falls on one of them."""

    def removed(hardness: float) -> float:
        counts = counts_at(hardness)
        key = tuple(counts.items())
        if key not in macs:
            macs[key] = macs_with(student, groups, counts)
        return 1 - macs[key] / before

    if (most := removed(hardest)) < share:
        raise CompressionError(
            f"{share:.1%} of the multiply-accumulates can't go: at most {most:.1%}, with these "
            f"layers, widths that are multiples of {CHANNEL_MULTIPLE} and at most "
            f"{LARGEST_RATIO:.0%} of the channels of each"
        )
    low, high = 0.0, hardest
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if removed(middle) < share:
            low = middle
        else:
            high = middle
    return dict(counts_at(high))
