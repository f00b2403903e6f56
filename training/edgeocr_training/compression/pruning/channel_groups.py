"""Channels that can only go together.

A channel that a convolution no longer makes is missing in its normalisation, in the depthwise
convolution and the gate behind it, and among the inputs of every layer that reads it. Where maps
are added, as in residuals and feature pyramids, all that is added loses the same channels; where
maps are concatenated, places move. torch-pruning follows that through autograd's graph (Fang et
al., "DepGraph", CVPR 2023, arXiv:2301.12900).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

import torch
import torch_pruning  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch_pruning.ops import OPTYPE  # type: ignore[import-untyped]

from edgeocr_training.compression.pruning.inference import inference_of
from edgeocr_training.compression.quantization.preparation import is_prepared
from edgeocr_training.errors import CompressionError
from edgeocr_training.models.interfaces import DbMaps
from edgeocr_training.models.narrowing import KeptChannels, can_be_narrowed
from edgeocr_training.models.text_line import CtcOutput

Side: TypeAlias = Literal["inputs", "outputs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where the channels of a group are in a layer."""

    layer: str
    side: Side
    places: tuple[int, ...]
    """Of the group's channels, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelGroup:
    """Channels that several layers have in common."""

    name: str
    """Of the first layer that makes them."""
    makers: tuple[str, ...]
    """Layers whose filters make them, each filter from all inputs; depthwise convolutions and
    normalisations only pass them on."""
    channels: int
    slots: tuple[Slot, ...]


def channel_groups(student: nn.Module) -> tuple[ChannelGroup, ...]:
    """The groups of a student that can lose channels, in the order of its layers.

    Those are left out whose channels are an output of the network, belong to an LSTM's units, or
    are not at one place of every layer, as where ShuffleNet interleaves them; and those that
    inference does not compute, as a detector's threshold branch.

    Args:
        student: a detector, a recogniser or a classifier; left as it is.

    Raises:
        CompressionError: it is something else, or prepared for integers.
    """
    if is_prepared(student):
        raise CompressionError(
            f"this {type(student).__name__.lower()} is prepared for integers: prune the float one "
            "that it was made of, train it further, and quantize that"
        )
    network = copy.deepcopy(student).cpu().float().requires_grad_(True)
    image_B3HW = torch.zeros(1, 3, *inference_of(student).smallest)
    with torch.enable_grad():
        graph = torch_pruning.DependencyGraph().build_dependency(
            network,
            image_B3HW,
            forward_fn=lambda traced, image: traced(image),
            output_transform=network_outputs,
            verbose=False,
        )
    names = {module: name for name, module in network.named_modules()}
    order = {name: i for i, name in enumerate(names.values())}
    inference = {
        names[module] for module in inference_of(network).network.modules() if module in names
    }
    found = []
    for traced in graph.get_all_groups(
        root_module_types=(nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    ):
        slots = _slots(graph, traced, names)
        if slots is not None and any(
            slot.layer in inference for slot in slots if slot.side == "outputs"
        ):
            found.append(_group(network, sorted(slots, key=lambda slot: order[slot.layer])))
    return tuple(sorted(found, key=lambda group: order[group.name]))


def network_outputs(output: Tensor | DbMaps | CtcOutput) -> list[Tensor]:
    """The tensors that a network is there for, of what its ``forward`` returns."""
    match output:
        case Tensor():
            return [output]
        case CtcOutput():
            return [output.logits_BTK]
        case DbMaps():
            return [getattr(output, field.name) for field in fields(output)]


def without(groups: Sequence[ChannelGroup], skipped: Iterable[str]) -> tuple[ChannelGroup, ...]:
    """The groups of which no maker is skipped.

    Args:
        groups: of a network.
        skipped: names of layers, or of parts of the network with all their layers.

    Raises:
        CompressionError: a name is of no layer that could be pruned.
    """
    left = tuple(groups)
    for name in skipped:
        hit = {
            group.name
            for group in groups
            if any(maker == name or maker.startswith(f"{name}.") for maker in group.makers)
        }
        if not hit:
            makers = ", ".join(maker for group in groups for maker in group.makers)
            raise CompressionError(f"There is no layer {name!r} to skip; there are: {makers}")
        left = tuple(group for group in left if group.name not in hit)
    return left


def kept_channels(
    groups: Iterable[ChannelGroup],
    staying: Mapping[str, Sequence[int]],
    widths: Mapping[str, tuple[int, int]],
) -> dict[str, KeptChannels]:
    """What every layer keeps when groups keep some of their channels.

    Args:
        groups: of a network.
        staying: channels that stay, by the group's name; all of those that are not in it.
        widths: of all layers of the network before.
    """
    gone: dict[tuple[str, Side], set[int]] = {}
    for group in groups:
        leaving = set(range(group.channels)) - set(staying.get(group.name, range(group.channels)))
        for slot in group.slots:
            if leaving:
                places = {slot.places[channel] for channel in leaving}
                gone.setdefault((slot.layer, slot.side), set()).update(places)

    def left(layer: str, side: Side) -> Tensor | None:
        if (layer, side) not in gone:
            return None
        before = widths[layer][0 if side == "inputs" else 1]
        return torch.tensor(sorted(set(range(before)) - gone[layer, side]))

    return {
        layer: KeptChannels(inputs=left(layer, "inputs"), outputs=left(layer, "outputs"))
        for layer in dict.fromkeys(layer for layer, _ in gone)
    }


def _slots(graph: Any, traced: Any, names: Mapping[nn.Module, str]) -> list[Slot] | None:
    """Where the channels of a traced group are; None where it can't lose any."""
    channels = len(traced[0].idxs)
    slots = {}
    for item in traced:
        node = item.dep.target
        makes = graph.is_out_channel_pruning_fn(item.dep.handler)
        reads = graph.is_in_channel_pruning_fn(item.dep.handler)
        if node.type == OPTYPE.OUTPUT or (makes and not node.outputs):
            return None
        if node.module not in names:
            continue  # An operation without weights.
        if sorted(item.root_idxs) != [*range(channels)] or len(set(item.idxs)) != channels:
            return None
        sides: list[Side] = []
        if makes:
            sides.append("outputs")
        if reads:
            sides.append("inputs")
        if not can_be_narrowed(node.module) or (isinstance(node.module, nn.LSTM) and makes):
            return None
        by_channel = sorted(zip(item.root_idxs, item.idxs, strict=True))
        for side in sides:
            slot = Slot(
                layer=names[node.module], side=side, places=tuple(place for _, place in by_channel)
            )
            slots[slot.layer, slot.side] = slot
    return [*slots.values()]


def _group(network: nn.Module, slots: Sequence[Slot]) -> ChannelGroup:
    makers = [
        slot.layer
        for slot in slots
        if slot.side == "outputs"
        and not isinstance(layer := network.get_submodule(slot.layer), nn.BatchNorm2d)
        and getattr(layer, "groups", 1) == 1
    ]
    return ChannelGroup(
        name=makers[0],
        makers=tuple(makers),
        channels=len(slots[0].places),
        slots=tuple(slots),
    )
