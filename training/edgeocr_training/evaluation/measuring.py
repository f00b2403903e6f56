"""What every evaluation does to a network while it measures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def measuring(network: nn.Module, threads: int | None) -> Iterator[None]:
    """Eval mode and a number of threads; both as before afterwards.

    Args:
        network: that is measured.
        threads: of PyTorch; None leaves them.
    """
    was_training, had_threads = network.training, torch.get_num_threads()
    network.eval()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(had_threads)
        network.train(was_training)
