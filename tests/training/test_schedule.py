"""The learning rate over the steps of a run."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeocr_training.errors import RecipeError
from edgeocr_training.recipe import ScheduleConfig
from edgeocr_training.schedule import learning_rate

EPOCHS, STEPS_PER_EPOCH = 20, 7


def rates(config: ScheduleConfig, highest: float = 0.1) -> list[float]:
    return [
        learning_rate(config, highest, step=step, steps_per_epoch=STEPS_PER_EPOCH, epochs=EPOCHS)
        for step in range(EPOCHS * STEPS_PER_EPOCH)
    ]


schedules_st = st.one_of(
    st.builds(
        ScheduleConfig,
        kind=st.sampled_from(["constant", "cosine"]),
        warm_up_epochs=st.floats(0, EPOCHS - 1),
    ),
    st.builds(
        ScheduleConfig,
        kind=st.just("piecewise"),
        warm_up_epochs=st.floats(0, EPOCHS - 1),
        boundaries=st.lists(st.floats(0.1, 30), min_size=1, unique=True).map(
            lambda values: tuple(sorted(values))
        ),
        factor=st.floats(0.01, 1),
    ),
)


@given(config=schedules_st, highest=st.floats(1e-6, 1))
def test_it_rises_from_0_in_a_line_and_then_never_rises(
    config: ScheduleConfig, highest: float
) -> None:
    warm_up = config.warm_up_epochs * STEPS_PER_EPOCH
    seen = rates(config, highest)
    rise = [rate for step, rate in enumerate(seen) if step < warm_up]
    rest = seen[len(rise) :]
    assert rise == pytest.approx([highest * step / warm_up for step in range(len(rise))])
    assert rest == sorted(rest, reverse=True)
    assert all(0 <= rate <= highest for rate in seen)


def test_cosine_is_that_of_torch() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * STEPS_PER_EPOCH)
    expected = []
    for _ in range(EPOCHS * STEPS_PER_EPOCH):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    # Torch computes each rate from the one before, which adds up rounding.
    assert rates(ScheduleConfig(kind="cosine")) == pytest.approx(expected, rel=1e-6)


def test_cosine_begins_highest_after_the_warm_up_and_ends_at_0() -> None:
    config = ScheduleConfig(kind="cosine", warm_up_epochs=2)
    seen = rates(config)
    assert seen[2 * STEPS_PER_EPOCH] == 0.1
    steps = EPOCHS * STEPS_PER_EPOCH
    assert learning_rate(
        config, 0.1, step=steps, steps_per_epoch=STEPS_PER_EPOCH, epochs=EPOCHS
    ) == pytest.approx(0)


def test_piecewise_falls_at_its_boundaries() -> None:
    config = ScheduleConfig(kind="piecewise", boundaries=(5, 10.5), factor=0.1)
    expected = [0.1] * 35 + [0.01] * 39 + [0.001] * 66  # 10.5 epochs are 73.5 steps.
    assert rates(config) == pytest.approx(expected)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "piecewise"},
        {"kind": "cosine", "boundaries": (1.0,)},
        {"kind": "piecewise", "boundaries": (2.0, 1.0)},
        {"kind": "piecewise", "boundaries": (1.0, 1.0)},
        {"kind": "piecewise", "boundaries": (0.0,)},
        {"kind": "piecewise", "boundaries": (1.0,), "factor": 0.0},
        {"warm_up_epochs": -1.0},
    ],
)
def test_a_schedule_that_means_nothing_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(RecipeError):
        ScheduleConfig(**values)  # type: ignore[arg-type]
