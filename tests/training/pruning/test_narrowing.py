"""Layers that lose channels, and networks that are built again from their widths."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from edgeocr_training.compression.pruning.channel_groups import network_outputs
from edgeocr_training.compression.pruning.inference import inference_of
from edgeocr_training.compression.pruning.planning import counts_by_ratio
from edgeocr_training.compression.pruning.pruning import prune, staying_channels
from edgeocr_training.errors import CheckpointError
from edgeocr_training.models.narrowing import (
    KeptChannels,
    can_be_narrowed,
    keep_channels,
    layer_widths,
    narrow,
    widths_beside,
)

from .conftest import STUDENTS, groups_of, student_of

IN = torch.tensor([0, 3, 4])
OUT = torch.tensor([1, 2])


def kept(layer: nn.Module, channels: KeptChannels) -> nn.Module:
    network = nn.Sequential(copy.deepcopy(layer))
    keep_channels(network, {"0": channels})
    return network[0]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(5, 4, 3, padding=1),
        nn.Conv2d(5, 4, 1, bias=False).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        nn.ConvTranspose2d(5, 4, 2, stride=2),
        nn.Linear(5, 4),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_computes_the_outputs_that_are_left_of_the_inputs_that_are_left(
    layer: nn.Module,
) -> None:
    image = torch.randn(2, 5, 6, 6)
    image[:, [1, 2]] = 0
    last = isinstance(layer, nn.Linear)
    x = image.movedim(1, -1) if last else image
    axis = -1 if last else 1
    smaller = kept(layer, KeptChannels(inputs=IN, outputs=OUT))
    # Sums of three products instead of five, two of which were 0.
    torch.testing.assert_close(
        smaller(x.index_select(axis, IN)), layer(x).index_select(axis, OUT), atol=1e-6, rtol=1e-5
    )
    assert layer_widths(nn.Sequential(smaller)) == {"0": (3, 2)}


def test_a_depthwise_convolution_and_a_normalisation_lose_the_same_channels() -> None:
    depthwise = nn.Conv2d(5, 5, 3, groups=5)
    norm = nn.BatchNorm2d(5).eval()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm.running_mean = torch.randn(5)
    norm.running_var = torch.rand(5) + 0.5
    channels = KeptChannels(inputs=IN, outputs=IN)
    image = torch.randn(2, 5, 6, 6)
    smaller = nn.Sequential(kept(depthwise, channels), kept(norm, channels))
    assert torch.equal(smaller(image[:, IN]), nn.Sequential(depthwise, norm)(image)[:, IN])
    assert layer_widths(smaller) == {"0": (3, 3), "1": (3, 3)}


def test_an_lstm_reads_fewer_inputs() -> None:
    lstm = nn.LSTM(5, 4, num_layers=2, bidirectional=True, batch_first=True)
    sequence = torch.randn(2, 7, 5)
    sequence[..., [1, 2]] = 0
    smaller = kept(lstm, KeptChannels(inputs=IN))
    # Sums of three products instead of five, two of which were 0.
    torch.testing.assert_close(
        smaller(sequence[..., IN])[0], lstm(sequence)[0], atol=1e-6, rtol=1e-5
    )
    with pytest.raises(TypeError, match="units of an LSTM"):
        kept(lstm, KeptChannels(outputs=IN))


def test_weights_stay_channels_last_and_frozen_ones_frozen() -> None:
    layer = nn.Conv2d(8, 8, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    layer.weight.requires_grad_(False)
    smaller = kept(layer, KeptChannels(inputs=IN, outputs=IN))
    assert isinstance(smaller, nn.Conv2d)
    assert smaller.weight.is_contiguous(memory_format=torch.channels_last)
    assert not smaller.weight.requires_grad
    assert smaller.bias is not None
    assert smaller.bias.requires_grad


def test_kinds_of_layers_that_can_not_be_narrowed_are_known() -> None:
    assert not can_be_narrowed(nn.Conv2d(8, 8, 3, groups=2))
    assert not can_be_narrowed(nn.Conv2d(8, 16, 3, groups=8))
    assert not can_be_narrowed(nn.LayerNorm(8))
    with pytest.raises(TypeError, match="0 is a LayerNorm"):
        kept(nn.LayerNorm(8), KeptChannels(outputs=IN))


@pytest.mark.parametrize("kind", STUDENTS)
def test_a_pruned_network_is_built_again_from_its_widths(kind: str) -> None:
    student, groups = student_of(kind), groups_of(kind)
    counts = counts_by_ratio(groups, 0.4)
    pruned = prune(student, groups, staying_channels(student, groups, counts, "l1"))
    again = STUDENTS[kind].build().eval()
    narrow(again, widths_beside(pruned, again), source="test")
    again.load_state_dict(pruned.state_dict())
    image = torch.randn(1, 3, *inference_of(pruned).smallest)
    with torch.inference_mode():
        for ours, theirs in zip(
            network_outputs(again(image)), network_outputs(pruned(image)), strict=True
        ):
            # The order of a layer's weights in memory, and so that of its sums, may be another.
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_widths_are_those_that_differ(student: nn.Module) -> None:
    assert widths_beside(student, student) == {}
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), nn.ReLU())
    full = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2), nn.ReLU())
    assert widths_beside(network, full) == {"0": (4, 3), "1": (3, 2)}
    narrow(full, widths_beside(network, full), source="test")
    shapes = {name: tensor.shape for name, tensor in full.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in network.state_dict().items()}
    full.load_state_dict(network.state_dict())
    x: Tensor = torch.randn(1, 4)
    assert torch.equal(full(x), network(x))


@pytest.mark.parametrize(
    ("widths", "words"),
    [
        ({"neck.smooth": (8, 8)}, "no layer 'neck.smooth'"),
        ({"0": (4, 6)}, "6 outputs there, of 4 and 5 here"),
        ({"0": (0, 5)}, "0 inputs"),
    ],
)
def test_widths_of_another_network_are_refused(
    widths: dict[str, tuple[int, int]], words: str
) -> None:
    network = nn.Sequential(nn.Linear(4, 5))
    with pytest.raises(CheckpointError, match=words) as error:
        narrow(network, widths, source="runs/x/best.pt")
    assert "runs/x/best.pt is of another network" in str(error.value)
    assert layer_widths(network) == {"0": (4, 5)}
