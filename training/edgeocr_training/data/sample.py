"""What a data set gives: samples of fixed shapes, which a loader stacks into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One training example."""

    name: str
    """For messages: the image's path, or what describes a rendered one."""
    arrays: Mapping[str, NDArray[Any]]
    """By name, of the same shape and dtype in every sample of a data set. Images are uint8 BGR
    (H, W, 3): the task normalises them on the device."""


class Dataset(Protocol):
    """Samples by index. Used in worker processes, so it must pickle."""

    def __len__(self) -> int: ...

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Makes one sample; all of its randomness comes from ``rng``.

        Raises:
            SampleError: the image or its label is broken.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Samples stacked along a new first axis."""

    names: tuple[str, ...]
    tensors: Mapping[str, torch.Tensor]
    broken: tuple[str, ...] = ()
    """What was skipped while this batch was made, and why; other samples took its place."""

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on ``device``."""
        moved = {
            name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors.items()
        }
        return Batch(names=self.names, tensors=moved, broken=self.broken)


def stack(samples: Sequence[Sample], *, broken: Sequence[str] = ()) -> Batch:
    """Makes a batch of one or more samples of the same names, shapes and dtypes."""
    return Batch(
        names=tuple(sample.name for sample in samples),
        tensors={
            name: torch.from_numpy(np.stack([sample.arrays[name] for sample in samples]))
            for name in samples[0].arrays
        },
        broken=tuple(broken),
    )
