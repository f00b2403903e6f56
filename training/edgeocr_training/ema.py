"""An average of the weights over the last steps, which is often better than the last weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class AveragedWeights:
    """Exponential moving average of all floating tensors of a network.

    ``average = d * average + (1 - d) * weights`` after every update, with
    ``d = min(decay, (1 + step) / (10 + step))``, so that the initial weights are soon forgotten.
    Running statistics are averaged like the weights that they belong to; counters are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begins with the network's present weights."""
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        """Has the averaged weights."""
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Adds the weights after the update with the number ``step``, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        averages = self.network.state_dict()
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                averages[name].lerp_(value, 1 - decay)
            else:
                averages[name].copy_(value)
