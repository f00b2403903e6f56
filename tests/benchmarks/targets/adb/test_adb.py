"""Runs through the real adb client, on a phone that the tests play."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgeocr.errors import OptionError
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.errors import TargetError
from edgeocr_benchmarks.results import read_result
from edgeocr_benchmarks.targets.adb import AdbTarget
from edgeocr_benchmarks.targets.commands import RunningCommands
from edgeocr_benchmarks.targets.target import measure_on

if TYPE_CHECKING:
    from tests.benchmarks.targets.adb.conftest import Phone

    Eventually = Callable[[Callable[[], bool]], bool]
    Programs = Callable[..., dict[str, str]]


def adb(**given: Any) -> AdbTarget:
    return AdbTarget(**{"serial": None, "commands": RunningCommands(), **given})


@pytest.fixture
def apk(tmp_path: Path) -> Path:
    path = tmp_path / "demo.apk"
    path.write_bytes(b"an app")
    return path


def test_a_run_brings_its_result_and_leaves_nothing(
    phone: Phone, payload: Path, apk: Path, tmp_path: Path
) -> None:
    rows: list[str] = []
    raw = tmp_path / "result.json"
    target = adb(apk=apk, serial="phone64")
    assert measure_on(target, payload, raw, on_row=rows.append) is None
    assert any("warm" in row for row in rows)

    read = read_result(raw)
    assert isinstance(read, DeviceResult)
    result = target.complete(read)
    assert result.runs == read.runs
    assert result.environment["system"] == "Android"
    assert result.environment["distribution"] == "Android 14"
    assert result.environment["board"] == "Maker Phone 64"
    assert result.environment["soc"] == "SM8150"
    assert result.environment["cpu"] == ["1 x Cortex-A55", "1 x Cortex-A77"]
    assert result.environment["cpuinfo_max_freq"] == {"0": "1804800", "1": "2419200"}
    seen = [state for state in result.states if "thermal_status" in state.facts]
    assert len(seen) >= 2, "before and after"
    assert seen[0].facts["scaling_cur_freq_khz"] == {"0": "1804200", "1": "2418600"}
    assert seen[0].facts["temperature_c"] == {"soc-thermal": 41.2, "CPU0": 39.5}
    assert seen[0].facts["load_1min"] == 1.25
    assert [state.at_s for state in result.states] == sorted(s.at_s for s in result.states)

    assert list(phone.files.iterdir()) == []
    assert not phone.app_runs
    assert not phone.has_app, "it was not there before"


def test_the_demo_s_own_code_is_what_the_host_expects(
    phone: Phone, payload: Path, tmp_path: Path, programs: Programs
) -> None:
    """Its Java code follows the host's plan, and the host reads what it writes."""
    programs("javac", "java", "gcc", packages="android_demo/install_tools.sh")
    phone.install()
    phone.becomes("is the demo")
    raw = tmp_path / "result.json"
    assert measure_on(adb(), payload, raw, on_row=lambda _: None) is None
    result = read_result(raw)
    assert isinstance(result, DeviceResult)
    assert result.app == "jvm"
    assert [line.text for reading in result.readings for line in reading.lines] == ["abcd"]
    assert list(phone.files.iterdir()) == []


def test_an_app_that_was_there_stays(phone: Phone, payload: Path, tmp_path: Path) -> None:
    phone.install()
    phone.becomes("refuses")
    with pytest.raises(TargetError, match="the app failed: can not use 4 processes"):
        measure_on(adb(), payload, tmp_path / "result.json", on_row=lambda _: None)
    assert phone.has_app
    assert list(phone.files.iterdir()) == []


def test_a_run_that_is_kept_is_all_there(
    phone: Phone, payload: Path, apk: Path, tmp_path: Path
) -> None:
    raw = tmp_path / "result.json"
    kept = measure_on(adb(apk=apk, keep=True), payload, raw, on_row=lambda _: None)
    (folder,) = phone.files.iterdir()
    assert kept is not None
    assert kept.endswith(folder.name)
    assert (folder / "result.json").read_bytes() == raw.read_bytes()
    assert phone.has_app


def test_an_app_that_dies(phone: Phone, payload: Path, tmp_path: Path) -> None:
    phone.install()
    phone.becomes("dies")
    with pytest.raises(TargetError, match=r"ended without a result.*OutOfMemoryError"):
        measure_on(adb(), payload, tmp_path / "result.json", on_row=lambda _: None)
    assert list(phone.files.iterdir()) == []


def test_no_app(phone: Phone, payload: Path, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="not installed: --apk names the file"):
        measure_on(adb(), payload, tmp_path / "result.json", on_row=lambda _: None)


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_stops_the_app_and_removes_all(
    phone: Phone, payload: Path, apk: Path, tmp_path: Path, end: type[BaseException]
) -> None:
    phone.becomes("goes on")

    def interrupt(row: str) -> None:
        assert phone.app_runs
        raise end

    with pytest.raises(end):
        measure_on(adb(apk=apk), payload, tmp_path / "result.json", on_row=interrupt)
    assert not phone.app_runs
    assert list(phone.files.iterdir()) == []
    assert not phone.has_app


def test_a_cable_that_is_pulled_in_mid_run(
    phone: Phone, payload: Path, apk: Path, tmp_path: Path, eventually: Eventually
) -> None:
    phone.becomes("goes on")
    pulled: list[str] = []

    def pull(row: str) -> None:
        pulled.append(row)
        phone.unplug()

    with pytest.raises(TargetError, match="the connection was lost"):
        measure_on(adb(apk=apk), payload, tmp_path / "result.json", on_row=pull)
    assert pulled
    assert eventually(lambda: list(phone.files.iterdir()) == [])
    assert eventually(lambda: not phone.app_runs)
    assert eventually(lambda: not phone.has_app)


def test_no_phone(phone: Phone) -> None:
    phone.unplug()
    (finding,) = adb().check()
    assert not finding.passed
    assert "no device: is it plugged in, and is USB debugging on?" in finding.detail


def test_a_phone_that_does_not_trust_this_machine(phone: Phone) -> None:
    phone.authorised = False
    (finding,) = adb().check()
    assert not finding.passed
    assert "allow USB debugging" in finding.detail


def test_another_phone_than_the_one_that_is_there(phone: Phone) -> None:
    (finding,) = adb(serial="other").check()
    assert not finding.passed
    assert "no such device" in finding.detail


def test_the_doctor_sees_what_the_phone_is(phone: Phone, apk: Path) -> None:
    findings = {finding.subject: finding for finding in adb().check()}
    assert findings["machine"].detail == "Maker Phone 64, Android 14, arm64-v8a"
    assert findings["battery"].detail == "81 %"
    assert not findings["app"].passed
    assert all(finding.passed for finding in adb(apk=apk).check())


def test_a_serial_that_is_none() -> None:
    with pytest.raises(OptionError):
        adb(serial="-d shell")
