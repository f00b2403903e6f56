import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeocr.processors import Processors
from edgeocr_benchmarks.engines import Engine
from edgeocr_benchmarks.speed import WARMUPS, Schedule, measure_speed

if TYPE_CHECKING:
    from tests.benchmarks.conftest import StandIn

MakeImage = Callable[..., Path]


def test_engines_take_turns_in_alternating_order(
    stand_in: "StandIn", make_image: MakeImage, tmp_path: Path
) -> None:
    image = make_image("a.png", reads=[])
    # Both stand-ins write to one file, so it shows the order in which they were asked.
    journal = tmp_path / "journal.jsonl"
    for package in ("rapidocr_onnxruntime", "rapidocr"):
        (stand_in.packages / package / "calls.jsonl").symlink_to(journal)
    engines = [
        Engine(name="one", kind="rapidocr_onnxruntime", python=str(stand_in.python)),
        Engine(name="two", kind="rapidocr", python=str(stand_in.python)),
    ]
    rounds = 5
    (run,) = measure_speed(
        engines,
        image,
        regions=None,
        threads=[1],
        schedule=Schedule(rounds=rounds, cold_rounds=1),
    )
    assert [engine.engine.name for engine in run.engines] == ["one", "two"]
    assert [len(engine.warm_ms) for engine in run.engines] == [rounds, rounds]

    calls = [json.loads(row) for row in journal.read_text().splitlines()]
    reads = ["one" if "mean" in call else "two" for call in calls if "options" not in call]
    warm = reads[: 2 * (WARMUPS + rounds)]
    assert warm == (["one", "two", "two", "one"] * WARMUPS * rounds)[: len(warm)]
    assert reads[len(warm) :] == ["one", "two"]


def test_every_thread_count_is_a_run_of_its_own(
    stand_in: "StandIn", make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = Processors(machine=2, affinity=2, quota=None)
    monkeypatch.setattr("edgeocr_benchmarks.speed.processors", lambda: two)
    image = make_image("a.png", reads=[])
    engine = Engine(name="one", kind="rapidocr", python=str(stand_in.python))
    runs = measure_speed(
        [engine],
        image,
        regions=[],
        threads=[1, 2],
        schedule=Schedule(rounds=1, cold_rounds=1),
    )
    assert [run.threads for run in runs] == [1, 2]
    built = [call["options"] for call in stand_in.calls("rapidocr") if "options" in call]
    key = "EngineConfig.onnxruntime.intra_op_num_threads"
    assert [options[key] for options in built] == [1, 1, 2, 2]  # a warm and a cold process each
    # Nothing written, nothing read.
    accuracy = runs[0].engines[0].accuracy
    assert accuracy is not None
    assert accuracy.page.characters.hmean == 1
