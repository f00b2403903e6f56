"""Training on several processes, started by ``torchrun``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as torch_distributed

_PATIENCE = timedelta(hours=2)
"""The other processes wait while the first one evaluates and writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The processes that train together, and this one's place among them."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Among those on this machine."""

    @property
    def is_first(self) -> bool:
        """Whether this process evaluates, logs and writes."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over all processes, in each of them."""
        if self.size > 1:
            torch_distributed.all_reduce(values)
            values /= self.size
        return values

    def any(self, mine: bool, device: torch.device) -> bool:
        """Whether it is true in any process, known to each of them."""
        if self.size == 1:
            return mine
        return bool(self.mean(torch.tensor(float(mine), device=device)) > 0)


def present_world() -> World:
    """This process among those that torchrun started; a process started otherwise is alone."""
    return World(
        rank=int(os.environ.get("RANK", 0)),
        size=int(os.environ.get("WORLD_SIZE", 1)),
        local_rank=int(os.environ.get("LOCAL_RANK", 0)),
    )


@contextmanager
def joined_world(device: torch.device) -> Iterator[World]:
    """Connects the processes of the world: NCCL between CUDA devices, Gloo between processors."""
    world = present_world()
    if world.size == 1:
        yield world
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    torch_distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield world
    finally:
        torch_distributed.destroy_process_group()
