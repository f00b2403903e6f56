"""Puts the layers of an ONNX file into ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeocr_training.errors import CheckpointError
from edgeocr_training.importers.onnx_layers import OnnxLayer, OnnxLinear, OnnxLstm
from edgeocr_training.models.convolution import ConvNorm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slot:
    """Where a convolution of the file goes."""

    name: str
    layer: nn.Conv2d | nn.ConvTranspose2d
    norm: nn.BatchNorm2d | None = None


def norm_slots(network: nn.Module, name: str) -> Iterator[Slot]:
    """Every convolution with a normalisation, in the order in which modules are registered."""
    for path, module in network.named_modules(prefix=name):
        if isinstance(module, ConvNorm):
            yield Slot(name=f"{path}.conv", layer=module.conv, norm=module.norm)


def convolution_slots(network: nn.Module, name: str) -> Iterator[Slot]:
    """Every convolution, with its normalisation where it has one."""
    normalised: set[nn.Module] = set()
    for path, module in network.named_modules(prefix=name):
        if isinstance(module, ConvNorm):
            normalised.add(module.conv)
            yield Slot(name=f"{path}.conv", layer=module.conv, norm=module.norm)
        elif isinstance(module, nn.Conv2d) and module not in normalised:
            yield Slot(name=path, layer=module)


def fill(slots: Sequence[Slot], layers: Sequence[OnnxLayer], path: Path) -> None:
    """Copies convolutions and normalisations, the first into the first slot.

    Batch normalisation may be folded in the file: ours then does nothing but add.

    Raises:
        CheckpointError: there are more or fewer layers than slots, or a tensor doesn't fit.
    """
    if len(slots) != len(layers):
        raise CheckpointError(
            f"{path} has {len(layers)} convolutions where the network has {len(slots)}: "
            "this part of it is of another kind"
        )
    for slot, layer in zip(slots, layers, strict=True):
        _fill_convolution(slot, layer, path)


def fill_linear(linear: nn.Linear, layer: OnnxLinear, *, name: str, path: Path) -> None:
    """Copies a linear layer.

    Raises:
        CheckpointError: its tensors don't fit.
    """
    assert linear.bias is not None
    where = f"{layer.name} of {path}"
    _copy(linear.weight, layer.weight, where, f"{name}.weight")
    _copy(linear.bias, layer.bias, where, f"{name}.bias")


def fill_lstm(lstm: nn.LSTM, layers: Sequence[OnnxLstm], *, name: str, path: Path) -> None:
    """Copies all layers of an LSTM that reads in both directions.

    Raises:
        CheckpointError: there are more or fewer layers, or a tensor doesn't fit.
    """
    if len(layers) != lstm.num_layers:
        raise CheckpointError(
            f"{path} has {len(layers)} layers of LSTM where {name} has {lstm.num_layers}"
        )
    for i, layer in enumerate(layers):
        for direction, suffix in enumerate(("", "_reverse")):
            for ours, theirs in (
                ("weight_ih", layer.input_weight),
                ("weight_hh", layer.hidden_weight),
                ("bias_ih", layer.input_bias),
                ("bias_hh", layer.hidden_bias),
            ):
                parameter = f"{ours}_l{i}{suffix}"
                _copy(
                    getattr(lstm, parameter),
                    theirs[direction],
                    f"{layer.name} of {path}",
                    f"{name}.{parameter}",
                )


@torch.no_grad()
def _copy(parameter: Tensor, values: NDArray[np.float32], where: str, name: str) -> None:
    if tuple(parameter.shape) != values.shape:
        raise CheckpointError(
            f"{where} has the shape {values.shape}; {name} has {tuple(parameter.shape)}"
        )
    parameter.copy_(torch.from_numpy(values))


@torch.no_grad()
def _fill_convolution(slot: Slot, layer: OnnxLayer, path: Path) -> None:
    where = f"{layer.name} of {path}"
    _copy(slot.layer.weight, layer.weight, where, slot.name)
    channels = slot.layer.out_channels
    bias = np.zeros(channels, np.float32) if layer.bias is None else layer.bias
    norm = slot.norm
    if slot.layer.bias is not None:
        slot.layer.bias.copy_(torch.from_numpy(bias))
        bias = np.zeros(channels, np.float32)
    if norm is None:
        if layer.norm is not None or bias.any():
            raise CheckpointError(f"{where} has a bias or a norm, for which {slot.name} has none")
        return
    running_mean, running_var = norm.running_mean, norm.running_var
    assert running_mean is not None
    assert running_var is not None
    if layer.norm is None:
        norm.weight.fill_(1)
        norm.bias.copy_(torch.from_numpy(bias))
        running_mean.zero_()
        running_var.fill_(1 - norm.eps)
    else:
        norm.weight.copy_(torch.from_numpy(layer.norm.scale))
        norm.bias.copy_(torch.from_numpy(layer.norm.shift))
        running_mean.copy_(torch.from_numpy(layer.norm.mean - bias))
        running_var.copy_(torch.from_numpy(layer.norm.variance + (layer.norm.epsilon - norm.eps)))
