import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeocr_benchmarks.__main__ import main
from edgeocr_benchmarks.comparison import Condition
from edgeocr_benchmarks.detection_metrics import PageCounts
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.errors import ComparisonError
from edgeocr_benchmarks.match_counts import MatchCounts
from edgeocr_benchmarks.results import write_result
from edgeocr_benchmarks.sampling import Estimate

MakeDeviceResult = Callable[..., DeviceResult]

STEADY = tuple(100.0 + 0.1 * (i % 5) for i in range(20))


def written(folder: Path, name: str, result: DeviceResult) -> str:
    path = folder / name
    write_result(result, path)
    return str(path)


@pytest.fixture
def base(tmp_path: Path, make_device_result: MakeDeviceResult) -> str:
    return written(tmp_path, "base.json", make_device_result(ms=STEADY))


@pytest.fixture
def slower(tmp_path: Path, make_device_result: MakeDeviceResult) -> str:
    """By 10 %."""
    samples = tuple(1.1 * ms for ms in STEADY)
    return written(tmp_path, "slower.json", make_device_result(ms=samples))


@pytest.mark.parametrize(
    ("condition", "code", "said"),
    [
        ("det.p90>+5%", 1, "holds (1 thread, edge)"),
        ("det.p90>+15%", 0, "does not hold"),
        ("rec.inference.p50 > 5 %", 1, "holds"),
        ("total>+5%", 1, "holds"),
        ("total<-5%", 0, "does not hold"),
        ("peak>+5%", 0, "does not hold"),
        ("characters<-0.5", 0, "does not hold"),
    ],
)
def test_conditions_decide_the_exit_code(
    base: str,
    slower: str,
    condition: str,
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["compare", base, slower, "--fail-if", condition]) == code
    out = capsys.readouterr().out
    assert "| 1 thread, edge | total.p50 | 100.20 | 110.22 | +10.00 |" in out
    assert f"`{condition}` {said}" in out


def test_the_way_back_is_better(base: str, slower: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", slower, base, "--fail-if", "total<-5%"]) == 1
    out = capsys.readouterr().out
    assert "| -9.09 |" in out
    assert "better" in out
    assert "worse" not in out


def test_a_limit_within_the_interval_can_not_be_told(
    tmp_path: Path, base: str, make_device_result: MakeDeviceResult
) -> None:
    spread = tuple(103.0 + 4 * (i % 2) for i in range(10))
    unsure = written(tmp_path, "unsure.json", make_device_result(ms=spread))
    assert main(["compare", base, unsure, "--fail-if", "total.p50>+5%"]) == 3
    # What surely holds outweighs what can't be told.
    both = ["--fail-if", "total.p50>+5%", "--fail-if", "total.p50>+1%"]
    assert main(["compare", base, unsure, *both]) == 1


def test_speed_can_not_be_bought_with_mistakes(
    tmp_path: Path, base: str, make_device_result: MakeDeviceResult
) -> None:
    result = make_device_result(ms=tuple(0.5 * ms for ms in STEADY))
    counts = MatchCounts(expected=100, found=100, matched=80)
    page = PageCounts(detection=counts, end_to_end=counts, characters=counts)
    scores = tuple(dataclasses.replace(score, page=page) for score in result.scores)
    faster = written(tmp_path, "faster.json", dataclasses.replace(result, scores=scores))
    assert main(["compare", base, faster, "--fail-if", "total>+5%"]) == 0
    assert main(["compare", base, faster, "--fail-if", "characters<-0.5"]) == 1
    assert main(["compare", base, faster, "--fail-if", "cer>+0.5"]) == 0


def test_what_can_not_be_compared_is_told(
    tmp_path: Path,
    base: str,
    make_device_result: MakeDeviceResult,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steady = make_device_result(ms=STEADY)
    cases = {
        "pages": (make_device_result(ms=STEADY, pages=(("q", 1, 320),)), "not read the same pages"),
        "board": (
            dataclasses.replace(steady, environment={**steady.environment, "board": "Pi"}),
            "different machines: board is None and Pi; --across-machines",
        ),
        "processor": (
            dataclasses.replace(steady, environment={**steady.environment, "cpu_flags": ["avx2"]}),
            "different machines: cpu_flags is None and ['avx2']",
        ),
        "noise": (
            make_device_result(ms=tuple(100.0 + 50 * (i % 2) for i in range(20))),
            "the second result is invalid: edge: too noisy",
        ),
        "threads": (make_device_result(ms=STEADY, threads=(4,), scores=()), "nothing was measured"),
    }
    for name, (result, message) in cases.items():
        other = written(tmp_path, f"{name}.json", result)
        assert main(["compare", base, other]) == 2
        assert message in capsys.readouterr().err
    assert main(["compare", base, str(tmp_path / "board.json"), "--across-machines"]) == 0
    assert main(["compare", base, str(tmp_path / "noise.json"), "--even-invalid"]) == 0
    speed = str(Path(__file__).with_name("recorded_speed.json"))
    assert main(["compare", base, speed]) == 2
    assert "only those of `run` can be compared" in capsys.readouterr().err


def test_nothing_is_a_share_of_0(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", base, base, "--fail-if", "cls.pre>+5%"]) == 2
    assert "cls.pre.p50 is 0 in the first result" in capsys.readouterr().err


def test_one_bundle_each_belong_together_under_any_name(
    tmp_path: Path, base: str, make_device_result: MakeDeviceResult
) -> None:
    other = make_device_result(ms=STEADY, bundle="edge with pruning")
    assert main(["compare", base, written(tmp_path, "other.json", other)]) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("det", "expected one as"),
        ("det>5", "a limit for det is a change in %"),
        ("dot>5%", "there is no metric 'dot'"),
        ("det.p42>5%", "there is no statistic 'p42'"),
        ("characters<-0.5%", "in points"),
        ("characters.p50<-0.5", "has no statistic"),
        ("det>5%;", "expected one as"),
    ],
)
def test_bad_conditions_are_told(text: str, message: str) -> None:
    with pytest.raises(ComparisonError, match=message):
        Condition.parse(text)


def test_a_condition_holds_only_where_the_whole_interval_does() -> None:
    condition = Condition.parse("det.p90>+5%")
    assert (condition.metric, condition.statistic, condition.limit) == ("det", "p90", 0.05)
    assert condition.answer(Estimate(value=0.08, low=0.06, high=0.09)) == "yes"
    assert condition.answer(Estimate(value=0.08, low=0.04, high=0.09)) == "perhaps"
    assert condition.answer(Estimate(value=0.02, low=0.01, high=0.05)) == "no"
    loss = Condition.parse("characters<-0.5")
    assert loss.answer(Estimate(value=-0.02, low=-0.03, high=-0.01)) == "yes"
    assert loss.answer(Estimate(value=-0.02, low=-0.03, high=0.0)) == "perhaps"
