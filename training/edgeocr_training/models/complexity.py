"""How large a network is and how much it computes."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def count_parameters(network: nn.Module) -> int:
    """Weights, biases, and the scales and shifts of normalisations; no running statistics."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, height: int, width: int) -> int:
    """Multiply-accumulates of convolutions, linear layers and LSTMs for one 3-channel image.

    Nothing is computed: the shapes alone are followed. Additions of biases, normalisations
    and activations don't count.
    """
    shapes_only = copy.deepcopy(network).to("meta").eval()
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        nonlocal total
        match layer:
            case nn.LSTM():
                steps = inputs[0].shape[1 if layer.batch_first else 0]
                total += steps * sum(
                    weight.numel() for name, weight in layer.named_parameters() if "weight" in name
                )
            case nn.Conv2d() | nn.Linear():
                total += output.numel() * layer.weight[0].numel()
            case nn.ConvTranspose2d():
                total += inputs[0].numel() * layer.weight[0].numel()

    for layer in shapes_only.modules():
        if isinstance(layer, nn.LSTM):
            # Without values PyTorch would follow it step by step, which takes half a minute.
            layer.forward = partial(_lstm_shapes, layer)  # type: ignore[assignment,method-assign]
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.LSTM):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        shapes_only(torch.empty(1, 3, height, width, device="meta"))
    return total


def _lstm_shapes(layer: nn.LSTM, sequence: Tensor) -> tuple[Tensor, None]:
    directions = 2 if layer.bidirectional else 1
    return sequence.new_empty(*sequence.shape[:-1], directions * layer.hidden_size), None
