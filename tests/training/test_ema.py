"""The average of the weights."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgeocr_training.ema import AveragedWeights


def of_value(value: float) -> nn.BatchNorm1d:
    """A network all of whose floating tensors have one value."""
    network = nn.BatchNorm1d(2)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.fill_(value)
    return network


@given(values=st.lists(st.floats(-10, 10), min_size=1, max_size=20), decay=st.floats(0.1, 0.99))
def test_it_is_the_average_of_its_equation(values: list[float], decay: float) -> None:
    average = AveragedWeights(of_value(0), decay)
    expected = 0.0
    for step, value in enumerate(values):
        network = of_value(value)
        average.update(network, step)
        share = min(decay, (1 + step) / (10 + step))
        expected = share * expected + (1 - share) * value
        assert torch.all(network.weight == value), "the network itself was changed"
    for tensor in (average.network.weight, average.network.running_var):
        # The network computes in float32.
        torch.testing.assert_close(tensor, torch.full((2,), expected), atol=1e-4, rtol=1e-4)


def test_counters_are_copied_and_nothing_is_trained() -> None:
    network = of_value(1).train()
    average = AveragedWeights(network, 0.9)
    network(torch.randn(4, 2))
    average.update(network, 0)
    assert int(average.network.state_dict()["num_batches_tracked"]) == 1
    assert not average.network.training
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
