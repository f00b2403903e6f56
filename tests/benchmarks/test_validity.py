import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from edgeocr_benchmarks.device_results import DeviceResult, State, Sustained
from edgeocr_benchmarks.validity import Verdict, judge, judge_result, judge_sustained, retention

MakeDeviceResult = Callable[..., DeviceResult]

PI = {
    "architecture": "aarch64",
    "cpu": ["4 x Cortex-A76"],
    "cpus": 4,
    "cpuinfo_max_freq": {str(cpu): "2400000" for cpu in range(4)},
    "scaling_governor": {str(cpu): "ondemand" for cpu in range(4)},
}


def states(*facts: dict[str, Any]) -> tuple[State, ...]:
    """The first before the run, which lasts from 10 s to 90 s, the others within it."""
    within = (State(at_s=11.0 + 5 * i, facts=fact) for i, fact in enumerate(facts[1:]))
    return (State(at_s=0.0, facts=facts[0]), *within)


def verdict(result: DeviceResult) -> Verdict:
    return judge(result, result.runs[0])


def clocks(*mhz: int) -> tuple[State, ...]:
    """Core 3, that the run is bound to, at these clocks; the others sleep."""
    return states(
        {},
        *({"scaling_cur_freq_khz": {"0": "600000", "3": str(clock * 1000)}} for clock in mhz),
    )


def test_a_quiet_run_is_valid(make_device_result: MakeDeviceResult) -> None:
    result = make_device_result(environment=PI, states=clocks(2400, 2400, 2395, 2400, 2400, 2400))
    assert verdict(result) == Verdict(invalid=(), doubts=())
    assert judge_result(result).valid


def test_throttling_now_makes_it_invalid(make_device_result: MakeDeviceResult) -> None:
    result = make_device_result(states=states({"throttled": 0}, {"throttled": 0x50005}))
    (reason,) = verdict(result).invalid
    assert reason.startswith("the board reported under-voltage, throttling:")


def test_throttling_between_two_looks_is_seen_too(make_device_result: MakeDeviceResult) -> None:
    result = make_device_result(states=states({"throttled": 0}, {"throttled": 0x20000}))
    assert "capped frequency" in verdict(result).invalid[0]


def test_throttling_before_the_run_does_not_count(make_device_result: MakeDeviceResult) -> None:
    past = {"throttled": 0x50000}
    assert verdict(make_device_result(states=states(past, past))).valid
    after = (State(at_s=0.0, facts={}), State(at_s=95.0, facts={"throttled": 5}))
    assert verdict(make_device_result(states=after)).valid


@pytest.mark.parametrize(("status", "valid", "doubts"), [(0, True, 0), (1, True, 1), (2, False, 0)])
def test_androids_thermal_status(
    status: int, valid: bool, doubts: int, make_device_result: MakeDeviceResult
) -> None:
    result = make_device_result(states=states({}, {"thermal_status": status}))
    found = verdict(result)
    assert (found.valid, len(found.doubts)) == (valid, doubts)


def test_a_clock_that_falls_makes_it_invalid(make_device_result: MakeDeviceResult) -> None:
    result = make_device_result(
        environment=PI, states=clocks(2400, 2400, 2400, 2400, 1800, 1800, 1800)
    )
    assert verdict(result).invalid == (
        "the clock fell from 2400 to 1800 MHz: let the device cool down",
    )


def test_a_low_clock_throughout_is_a_doubt(make_device_result: MakeDeviceResult) -> None:
    result = make_device_result(environment=PI, states=clocks(1500, 1500, 1500, 1500))
    found = verdict(result)
    assert found.valid
    assert found.doubts == (
        "the clock was 1500 of 2400 MHz under the governor ondemand: choose the governor "
        "performance",
    )


def test_an_emulator_gives_no_times(make_device_result: MakeDeviceResult) -> None:
    result = make_device_result(environment={**PI, "emulated": "qemu-user"})
    assert verdict(result).invalid[0].startswith("emulated by qemu-user")


def test_noise_makes_it_invalid(make_device_result: MakeDeviceResult) -> None:
    noisy = tuple(100.0 + 40 * (i % 3) for i in range(30))
    assert "too noisy" in verdict(make_device_result(ms=noisy)).invalid[0]


def test_one_hiccup_is_a_doubt_only(make_device_result: MakeDeviceResult) -> None:
    found = verdict(make_device_result(ms=(*((100.0,) * 29), 300.0)))
    assert found.valid
    assert any("the longest time is" in doubt for doubt in found.doubts)
    assert any("standard deviation" in doubt for doubt in found.doubts)


def test_time_of_other_processes_makes_it_invalid(make_device_result: MakeDeviceResult) -> None:
    result = make_device_result()
    run = result.runs[0]
    (bundle,) = run.bundles
    (page,) = bundle.pages
    busy = dataclasses.replace(page, cpu_ms=tuple(0.7 * ms for ms in page.ms["total"]))
    disturbed = dataclasses.replace(
        result,
        runs=(dataclasses.replace(run, bundles=(dataclasses.replace(bundle, pages=(busy,)),)),),
    )
    assert verdict(disturbed).invalid[0].startswith("edge: 30 % of the time was not spent")


def test_few_and_short_reads_and_a_busy_machine_are_doubts(
    make_device_result: MakeDeviceResult,
) -> None:
    result = make_device_result(ms=(0.5,) * 4, states=states({"load_1min": 3.0}, {}))
    doubts = " ".join(verdict(result).doubts)
    assert "only 4 rounds" in doubts
    assert "a read takes 0.50 ms" in doubts
    assert "the load average was 3 on 4 processors" in doubts


def sustained(ms: list[float]) -> Sustained:
    at = [sum(ms[: i + 1]) / 1e3 for i in range(len(ms))]
    return Sustained(
        bundle="edge",
        threads=1,
        cores=(3,),
        began_s=10.0,
        ended_s=90.0,
        image="page",
        at_s=tuple(at),
        ms=tuple(ms),
    )


def test_retention_is_the_last_half_minute_against_the_first() -> None:
    # 40 s at 1 s a read, 20 s at 2 s, 40 s at 4 s: the middle counts for neither.
    kept = retention(sustained([1000.0] * 40 + [2000.0] * 10 + [4000.0] * 10))
    assert kept == pytest.approx(0.25)
    assert retention(sustained([1000.0] * 10)) == pytest.approx(1.0)
    assert retention(sustained([])) is None


def test_throttling_in_a_sustained_run_is_what_is_looked_for(
    make_device_result: MakeDeviceResult,
) -> None:
    one = sustained([1000.0] * 80)
    result = make_device_result(
        states=states({"throttled": 0}, {"throttled": 0x4}), sustained=(one,)
    )
    found = judge_sustained(result, one)
    assert found.valid
    assert "throttling" in found.doubts[0]
