"""Which batches a loader makes, whoever makes them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeocr_training.data.loader import TrainingLoader
from edgeocr_training.data.sample import Batch, Sample
from edgeocr_training.errors import DataError, SampleError


class Numbers:
    """Samples that hold their index and a random number; some of them are broken."""

    def __init__(self, count: int, *, broken: tuple[int, ...] = ()) -> None:
        self._count = count
        self._broken = broken
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self._count

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        self.asked.append(index)
        if index in self._broken:
            raise SampleError(f"number {index} is broken")
        return Sample(
            name=str(index),
            arrays={"index": np.array(index), "random": rng.random(3, dtype=np.float32)},
        )


def contents(batches: Iterator[Batch]) -> list[tuple[tuple[str, ...], list[list[float]]]]:
    return [(batch.names, batch.tensors["random"].tolist()) for batch in batches]


def test_the_number_of_workers_changes_nothing() -> None:
    alone, two = (
        TrainingLoader(
            Numbers(23, broken=(3, 17)), batch_size=4, workers=workers, tolerated_broken=2
        )
        for workers in (0, 2)
    )
    for epoch in (0, 1):
        assert contents(two.epoch(epoch)) == contents(alone.epoch(epoch))
    assert two.broken == alone.broken
    two.close()


@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 5),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 1000),
)
def test_two_processes_see_the_halves_of_the_double_batch(
    count: int, batch_size: int, seed: int, epoch: int
) -> None:
    double = TrainingLoader(Numbers(count), batch_size=2 * batch_size, seed=seed)
    halves = [
        TrainingLoader(Numbers(count), batch_size=batch_size, seed=seed, rank=rank, world_size=2)
        for rank in (0, 1)
    ]
    assert len(double) == len(halves[0]) == len(halves[1])
    for whole, first, second in zip(
        double.epoch(epoch), halves[0].epoch(epoch), halves[1].epoch(epoch), strict=True
    ):
        assert whole.names == first.names + second.names
        together = torch.cat([first.tensors["random"], second.tensors["random"]])
        assert torch.equal(whole.tensors["random"], together)


@given(count=st.integers(1, 40), batch_size=st.integers(1, 5), epoch=st.integers(0, 5))
def test_an_epoch_has_every_sample_and_full_batches(
    count: int, batch_size: int, epoch: int
) -> None:
    batches = list(TrainingLoader(Numbers(count), batch_size=batch_size).epoch(epoch))
    names = [name for batch in batches for name in batch.names]
    assert set(names) == {str(index) for index in range(count)}
    assert all(len(batch.names) == batch_size for batch in batches)
    assert len(names) < count + batch_size


def test_epochs_and_seeds_differ_in_order_and_in_randomness() -> None:
    seen = [
        contents(TrainingLoader(Numbers(30), batch_size=30, seed=seed).epoch(epoch))[0]
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    orders = {names for names, _ in seen}
    numbers = {number for _, rows in seen for row in rows for number in row}
    assert len(orders) == 4
    assert len(numbers) == 4 * 30 * 3


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_goes_on_from_its_middle_without_what_was_before(workers: int) -> None:
    numbers = Numbers(20)
    whole = contents(TrainingLoader(numbers, batch_size=4, seed=5).epoch(3))
    numbers.asked.clear()
    loader = TrainingLoader(numbers, batch_size=4, seed=5, workers=workers)
    assert contents(loader.epoch(3, first_batch=2)) == whole[2:]
    assert len(numbers.asked) == (12 if workers == 0 else 0)
    loader.close()


def test_broken_samples_are_named_and_replaced() -> None:
    loader = TrainingLoader(Numbers(12, broken=(5, 7)), batch_size=4, tolerated_broken=2)
    batches = [batch for epoch in range(3) for batch in loader.epoch(epoch)]
    assert loader.broken == {5: "number 5 is broken", 7: "number 7 is broken"}
    assert {fault for batch in batches for fault in batch.broken} == set(loader.broken.values())
    assert all(len(batch.names) == 4 and not {"5", "7"} & set(batch.names) for batch in batches)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("count", "broken"),
    [
        pytest.param(12, (5, 7, 9), id="more than tolerated"),
        pytest.param(2, (0, 1), id="all, though fewer than tolerated"),
    ],
)
def test_too_many_broken_samples_are_an_error(
    count: int, broken: tuple[int, ...], workers: int
) -> None:
    numbers = Numbers(count, broken=broken)
    loader = TrainingLoader(numbers, batch_size=4, workers=workers, tolerated_broken=2)
    with pytest.raises(DataError, match=f"number {broken[0]} is broken"):
        list(loader.epoch(0))


def test_no_sample_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match="empty"):
        TrainingLoader(Numbers(0), batch_size=4)


def test_the_generator_of_torch_is_left_alone() -> None:
    before = torch.get_rng_state()
    loader = TrainingLoader(Numbers(8), batch_size=4, workers=1)
    list(loader.epoch(0))
    loader.close()
    assert torch.equal(torch.get_rng_state(), before)


class Mortal(Numbers):
    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        os._exit(1)


def test_a_dead_worker_is_an_error() -> None:
    loader = TrainingLoader(Mortal(8), batch_size=4, workers=1)
    with pytest.raises(DataError, match="died"):
        list(loader.epoch(0))


class Blurred(Numbers):
    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        image = cv2.GaussianBlur(rng.random((512, 512, 3)), (9, 9), 2)
        return Sample(name=str(index), arrays={"image": image})


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def give_up(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_workers_live_after_opencv_had_threads() -> None:
    """A forked OpenCV waits for ever for the threads that its parent had."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    cv2.GaussianBlur(np.zeros((1024, 1024, 3)), (9, 9), 2)
    loader = TrainingLoader(Blurred(2), batch_size=2, workers=1)
    with at_most(30):
        (batch,) = loader.epoch(0)
    assert batch.tensors["image"].shape == (2, 512, 512, 3)
    loader.close()
    cv2.setNumThreads(before)
