"""Layers with fewer channels than they were built with.

Channels are cut out of the tensors, so that a network that lost some is smaller in memory, on
disk and in arithmetic. How many are left of which layer is plain data, by which the network can
be built again: see :data:`Widths`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor, nn

from edgeocr_training.errors import CheckpointError

Widths: TypeAlias = Mapping[str, tuple[int, int]]
"""(inputs, outputs) of layers by their names in the network, of those that were narrowed alone.
Empty for a network as its recipe builds it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptChannels:
    """Which channels of a layer stay, rising; None keeps all."""

    inputs: Tensor | None = None
    """(n,) int64."""
    outputs: Tensor | None = None
    """(m,) int64. Of a depthwise convolution and a normalisation the same as the inputs."""


def layer_widths(network: nn.Module) -> dict[str, tuple[int, int]]:
    """(inputs, outputs) of all layers that can be narrowed."""
    return {
        name: _width(layer) for name, layer in network.named_modules() if isinstance(layer, _LAYERS)
    }


def widths_beside(network: nn.Module, full: nn.Module) -> dict[str, tuple[int, int]]:
    """The widths of ``network`` that differ from those of ``full``, of layers that both have."""
    before = layer_widths(full)
    return {
        name: width
        for name, width in layer_widths(network).items()
        if name in before and before[name] != width
    }


def narrow(network: nn.Module, widths: Widths, *, source: str) -> None:
    """Gives layers these widths, with the first of their channels; for weights to be loaded.

    Args:
        network: changed in place.
        widths: of :func:`widths_beside`.
        source: file that they are from, for messages.

    Raises:
        CheckpointError: the network has no such layer, or one that is narrower already.
    """
    before = layer_widths(network)
    kept = {}
    for name, width in widths.items():
        if name not in before:
            raise CheckpointError(f"{source} is of another network: there is no layer {name!r}")
        inputs, outputs = width
        had_inputs, had_outputs = before[name]
        if not (1 <= inputs <= had_inputs and 1 <= outputs <= had_outputs):
            raise CheckpointError(
                f"{source} is of another network: {name} has {inputs} inputs and {outputs} "
                f"outputs there, of {had_inputs} and {had_outputs} here"
            )
        kept[name] = KeptChannels(
            inputs=torch.arange(inputs) if inputs < had_inputs else None,
            outputs=torch.arange(outputs) if outputs < had_outputs else None,
        )
    keep_channels(network, kept)


def keep_channels(network: nn.Module, kept: Mapping[str, KeptChannels]) -> None:
    """Cuts all other channels out of layers.

    Args:
        network: changed in place. Whether its layers still fit together is the caller's affair.
        kept: by the layers' names.

    Raises:
        TypeError: a layer is of a kind that can't be narrowed, see :func:`can_be_narrowed`.
    """
    for name, channels in kept.items():
        layer = network.get_submodule(name)
        match layer:
            case nn.BatchNorm2d():
                _narrow_norm(layer, channels)
            case nn.Conv2d() if layer.groups > 1:
                _narrow_depthwise(layer, channels)
            case nn.Conv2d():
                _take(layer, "weight", dim=0, kept=channels.outputs)
                _take(layer, "weight", dim=1, kept=channels.inputs)
                _take(layer, "bias", dim=0, kept=channels.outputs)
                layer.out_channels, layer.in_channels = layer.weight.shape[:2]
            case nn.ConvTranspose2d():
                _take(layer, "weight", dim=0, kept=channels.inputs)
                _take(layer, "weight", dim=1, kept=channels.outputs)
                _take(layer, "bias", dim=0, kept=channels.outputs)
                layer.in_channels, layer.out_channels = layer.weight.shape[:2]
            case nn.Linear():
                _take(layer, "weight", dim=0, kept=channels.outputs)
                _take(layer, "weight", dim=1, kept=channels.inputs)
                _take(layer, "bias", dim=0, kept=channels.outputs)
                layer.out_features, layer.in_features = layer.weight.shape
            case nn.LSTM():
                _narrow_lstm(layer, channels)
            case _:
                raise TypeError(f"{name} is a {type(layer).__name__}, which can't be narrowed")


def can_be_narrowed(layer: nn.Module) -> bool:
    """Whether :func:`keep_channels` knows how."""
    if isinstance(layer, nn.Conv2d):
        return layer.groups in (1, layer.out_channels) and layer.groups in (1, layer.in_channels)
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.groups == 1
    return isinstance(layer, _LAYERS)


_LAYERS: Final = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm2d, nn.LSTM)


def _width(
    layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.BatchNorm2d | nn.LSTM,
) -> tuple[int, int]:
    match layer:
        case nn.BatchNorm2d():
            return layer.num_features, layer.num_features
        case nn.Linear():
            return layer.in_features, layer.out_features
        case nn.LSTM():
            return layer.input_size, layer.hidden_size
        case _:
            return layer.in_channels, layer.out_channels


def _narrow_norm(norm: nn.BatchNorm2d, channels: KeptChannels) -> None:
    for name in ("weight", "bias", "running_mean", "running_var"):
        _take(norm, name, dim=0, kept=channels.outputs)
    if channels.outputs is not None:
        norm.num_features = len(channels.outputs)


def _narrow_depthwise(layer: nn.Conv2d, channels: KeptChannels) -> None:
    _take(layer, "weight", dim=0, kept=channels.outputs)
    _take(layer, "bias", dim=0, kept=channels.outputs)
    layer.in_channels = layer.out_channels = layer.groups = layer.weight.shape[0]


def _narrow_lstm(layer: nn.LSTM, channels: KeptChannels) -> None:
    if channels.outputs is not None:
        raise TypeError("the units of an LSTM can't be narrowed, its inputs alone")
    for name in [name for name, _ in layer.named_parameters() if name.startswith("weight_ih_l0")]:
        _take(layer, name, dim=1, kept=channels.inputs)
    if channels.inputs is not None:
        layer.input_size = len(channels.inputs)


def _take(layer: nn.Module, name: str, *, dim: int, kept: Tensor | None) -> None:
    """Keeps some indices of a parameter or buffer, and its order in memory."""
    tensor = getattr(layer, name)
    if tensor is None or kept is None:
        return
    taken = tensor.detach().index_select(dim, kept.to(tensor.device))
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        taken = taken.contiguous(memory_format=torch.channels_last)
    if isinstance(tensor, nn.Parameter):
        setattr(layer, name, nn.Parameter(taken, requires_grad=tensor.requires_grad))
    else:
        setattr(layer, name, taken)
