"""Batches from a data set: shuffled, split over processes, made by workers, the same every time.

A sample is decided by ``(seed, epoch, position)`` alone, where the position counts the samples of
an epoch over all processes. Who makes it, and when, changes nothing: any number of workers gives
the same batches, a run goes on in the middle of an epoch without making what went before, and two
processes see the halves of the batch that one process with the double batch size sees.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils import data as torch_data

from edgeocr.errors import EdgeOcrError
from edgeocr_training.data.sample import Batch, Dataset, Sample, stack
from edgeocr_training.errors import DataError, SampleError

_SHUFFLE = 0
"""Spawn key of an epoch's order; a replacement for a broken sample has the number of the try."""

_TRIES = 100
"""Broken samples in a row that are replaced; a small data set may be broken altogether."""


class TrainingLoader:
    """Makes the batches of one training process.

    An epoch has every sample at least once: its last batch is filled from the beginning of the
    epoch's order. A sample that raises :class:`SampleError` is replaced by another one, drawn
    anew; which of them break is kept in :attr:`broken`.

    The workers make the batches of the next epoch while the caller is busy between two epochs.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int,
        seed: int = 0,
        workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
        tolerated_broken: int = 0,
        pin_memory: bool = False,
    ) -> None:
        """Starts no worker yet.

        Args:
            dataset: with one sample at least; it goes to the workers, so it must pickle.
            batch_size: samples per batch and process.
            seed: not negative.
            workers: processes that make batches; 0 makes them in this process.
            rank: number of this process, below ``world_size``.
            world_size: processes that train together.
            tolerated_broken: more samples of the data set that break are an error.
            pin_memory: whether tensors are copied to page-locked memory, for a CUDA device.

        Raises:
            DataError: the data set is empty.
        """
        if len(dataset) == 0:
            raise DataError("The training data is empty: no sample at all.")
        self._batches = _Batches(
            dataset,
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            world_size=world_size,
            tolerated_broken=tolerated_broken,
        )
        self._workers = workers
        self._pin_memory = pin_memory
        self._tolerated_broken = tolerated_broken
        self._broken: dict[int, str] = {}
        self._stream: Iterator[_Made | EdgeOcrError] | None = None
        self._next = (0, 0)

    def __len__(self) -> int:
        """Batches per epoch and process."""
        return len(self._batches)

    @property
    def broken(self) -> Mapping[int, str]:
        """What is wrong with the samples that were skipped, by their index in the data set."""
        return self._broken

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from the one with the number ``first_batch``.

        Raises:
            DataError: too many samples are broken, or a worker died.
        """
        for number in range(first_batch, len(self)):
            yield self._batch(epoch, number)

    def close(self) -> None:
        """Stops the workers. The next batch starts them again."""
        self._stream = None

    def _batch(self, epoch: int, number: int) -> Batch:
        if self._stream is None or self._next != (epoch, number):
            self._stream = self._start(epoch, number)
        try:
            made = next(self._stream)
        except RuntimeError as error:
            self.close()
            if not str(error).startswith("DataLoader worker (pid"):
                raise
            raise DataError(
                f"A process that loads data died ({error}). It may have run out of memory, or "
                "of shared memory (/dev/shm; docker run --shm-size): use fewer workers, or 0."
            ) from error
        if isinstance(made, EdgeOcrError):
            self.close()
            raise made
        self._next = (epoch, number + 1) if number + 1 < len(self) else (epoch + 1, 0)
        self._broken.update(made.broken)
        if len(self._broken) > self._tolerated_broken:
            self.close()
            raise _too_many(self._broken.values(), self._tolerated_broken)
        return made.batch

    def _start(self, epoch: int, number: int) -> Iterator[_Made | EdgeOcrError]:
        if self._workers > 0:
            # OpenCV joins its threads when it is told to use one. A forked worker has inherited
            # the list of them but not the threads, and would wait for ever: end them before.
            cv2.setNumThreads(1)
        loader: torch_data.DataLoader[Any] = torch_data.DataLoader(
            self._batches,
            sampler=_Places(epoch, number, per_epoch=len(self)),
            batch_size=None,  # The data set makes whole batches: one tensor each to hand over.
            collate_fn=_as_made,
            num_workers=self._workers,
            worker_init_fn=_prepare_worker,
            pin_memory=self._pin_memory,
            # Of its own, or the loader would draw from the generator that training uses.
            generator=torch.Generator(),
        )
        return iter(loader)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Made:
    """What a worker hands over."""

    batch: Batch
    broken: Mapping[int, str]

    def pin_memory(self) -> _Made:
        """Called by torch's loader."""
        pinned = {name: tensor.pin_memory() for name, tensor in self.batch.tensors.items()}
        batch = Batch(names=self.batch.names, tensors=pinned, broken=self.batch.broken)
        return replace(self, batch=batch)


class _Batches(torch_data.Dataset["_Made | EdgeOcrError"]):
    """Every batch of every epoch, by ``(epoch, number)``. Lives in the workers."""

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int,
        seed: int,
        rank: int,
        world_size: int,
        tolerated_broken: int,
    ) -> None:
        self._dataset = dataset
        self._batch_size = batch_size
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._tolerated_broken = tolerated_broken
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return -(-len(self._dataset) // (self._batch_size * self._world_size))

    def __getitem__(self, place: tuple[int, int]) -> _Made | EdgeOcrError:
        epoch, number = place
        first = (number * self._world_size + self._rank) * self._batch_size
        broken: dict[int, str] = {}
        try:
            samples = [
                self._sample(epoch, position, broken)
                for position in range(first, first + self._batch_size)
            ]
        except EdgeOcrError as error:
            # Raised, it would reach the other side as a traceback in a string.
            return error
        return _Made(batch=stack(samples, broken=list(broken.values())), broken=broken)

    def _sample(self, epoch: int, position: int, broken: dict[int, str]) -> Sample:
        """The sample of a position; adds those that break to ``broken``."""
        order = self._epoch_order(epoch)
        index = int(order[position % len(order)])
        rng = np.random.default_rng((self._seed, epoch, position))
        for attempt in range(1, _TRIES + 1):
            try:
                return self._dataset.sample(index, rng)
            except SampleError as error:
                broken[index] = str(error)
            if len(broken) > self._tolerated_broken:
                break
            rng = np.random.default_rng(
                np.random.SeedSequence((self._seed, epoch, position), spawn_key=(attempt,))
            )
            index = int(rng.integers(len(order)))
        raise _too_many(broken.values(), self._tolerated_broken)

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        """Indices of all samples, shuffled."""
        if self._order is None or self._order[0] != epoch:
            seed = np.random.SeedSequence((self._seed, epoch), spawn_key=(_SHUFFLE,))
            order = np.random.default_rng(seed).permutation(len(self._dataset))
            self._order = (epoch, order)
        return self._order[1]


class _Places:
    """``(epoch, number)`` of all batches from a place on, without an end."""

    def __init__(self, epoch: int, number: int, *, per_epoch: int) -> None:
        self._epoch = epoch
        self._number = number
        self._per_epoch = per_epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        first = self._number
        for epoch in itertools.count(self._epoch):
            for number in range(first, self._per_epoch):
                yield epoch, number
            first = 0


def _as_made(made: Any) -> Any:
    """In place of torch's own step from samples to a batch."""
    return made


def _prepare_worker(_: int) -> None:
    # As many workers as processors are kept busy by one thread each (torch's are one already).
    cv2.setNumThreads(1)
    # Ctrl-C reaches the whole group, and so do the signals of schedulers and service managers; the
    # training process decides what they mean. Without it a worker ends by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _too_many(broken: Collection[str], tolerated: int) -> DataError:
    named = list(broken)
    shown = "; ".join(named[:5]) + (f"; and {len(named) - 5} more" if len(named) > 5 else "")
    return DataError(
        f"{len(named)} training samples are broken, more than the {tolerated} that the recipe "
        f"tolerates (tolerated_broken_samples): {shown}"
    )
