"""A phone behind adb. Android has no Python: the demo app runs the plan on its benchmark screen.

The run's folder lies in the app's own external files. It is held by a shell on the phone whose
standard input is the line to this machine: when that ends, also because the cable is pulled, it
stops the app and removes the folder. What an app may not see (clocks, temperatures) the shell
reads beside it, and what it saw is put into the result.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from edgeocr.doctor import Finding
from edgeocr.errors import OptionError
from edgeocr_benchmarks.device_results import DeviceResult, State
from edgeocr_benchmarks.environment import cpu_facts
from edgeocr_benchmarks.errors import PlanError, TargetError
from edgeocr_benchmarks.plan import FILE_NAME, ProbePlan
from edgeocr_benchmarks.targets.commands import Command, Commands, FailedCommandError, Held
from edgeocr_benchmarks.targets.facts import judged
from edgeocr_benchmarks.thermalservice import parse_thermalservice

APP: Final = "io.github.edgeocr.demo"
ACTIVITY: Final = f"{APP}/.BenchmarkActivity"
FILES: Final = f"/sdcard/Android/data/{APP}/files"
"""The app's getExternalFilesDir(null)."""
LOG_TAG: Final = "edgeocr-bench"

LOW_BATTERY: Final = 15
"""Percent."""
_NO_APP: Final = f"{APP} is not installed: --apk names the file to install"

POLL_S: Final = 1.0
STATE_EVERY_S: Final = 10.0
"""Looking costs the phone some work of its own."""
_SILENT_S: Final = 900.0
"""Without a row of progress for so long, the app hangs."""
_STATE: Final = "=state"
_HELD: Final = "edgeocr-bench-held"
_ANSWER_S: Final = 60.0
_START_S: Final = 20.0
"""How long the app may take until it is among the processes."""

_REASONS: Final = (
    ("no devices/emulators found", "no device: is it plugged in, and is USB debugging on?"),
    ("unauthorized", "the device does not know this machine: unlock it and allow USB debugging"),
    ("more than one device", "several devices: name one, adb:SERIAL (`adb devices` lists them)"),
    ("device offline", "the device is offline: plug it in again"),
    ("' not found", "no such device: `adb devices` lists those that are there"),
    ("error: closed", "the connection ended"),
    ("No space left on device", "the device is full"),
    ("INSTALL_FAILED_UPDATE_INCOMPATIBLE", f"another {APP} is installed: uninstall it first"),
)

_LOST: Final = ("no devices/emulators found", "device offline", "' not found", "error: closed")
_PROPERTIES: Final = {
    "build": "ro.build.fingerprint",
    "soc": "ro.soc.model",
    "hardware": "ro.hardware",
    "architecture": "ro.product.cpu.abi",
}
"""Entries of a result's environment, and where Android tells them."""

_STATIC: Final = (
    "getprop; echo =cpuinfo; cat /proc/cpuinfo; echo =kernel; uname -r; echo =cpus; "
    "for file in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq "
    "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do "
    'echo "$file $(cat $file 2>/dev/null)"; done; true'
)
_CHANGING: Final = (
    "cat /proc/loadavg; echo =cpus; "
    "for file in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq; do "
    'echo "$file $(cat $file 2>/dev/null)"; done; '
    "echo =zones; for zone in /sys/class/thermal/thermal_zone*; do "
    'echo "$(cat $zone/temp 2>/dev/null) $(cat $zone/type 2>/dev/null)"; done; '
    "echo =battery; dumpsys battery; echo =thermal; dumpsys thermalservice; true"
)


class AdbTarget:
    """One run on one phone.

    Args:
        serial: of the device; None where there is only one.
        commands: what runs commands on this machine.
        apk: the app, to be installed; None where it is installed already.
        keep: leaves the folder and the app there.

    Raises:
        OptionError: the serial is none.
    """

    def __init__(
        self,
        *,
        serial: str | None,
        commands: Commands,
        apk: Path | None = None,
        keep: bool = False,
    ) -> None:
        if serial is not None and not re.fullmatch(r"[\w.:\[\]-]+", serial):
            raise OptionError(f"{serial!r} is no serial number of adb")
        self.name = "adb" if serial is None else f"adb:{serial}"
        self._adb = ("adb",) if serial is None else ("adb", "-s", serial)
        self._commands = commands
        self._apk = apk
        self._keep = keep
        self._run = f"edgeocr-bench-{secrets.token_hex(6)}"
        self._held: Held | None = None
        self._environment: dict[str, Any] = {}
        self._states: list[State] = []
        self._began = time.monotonic()

    @property
    def _folder(self) -> str:
        return f"{FILES}/{self._run}"

    def check(self) -> tuple[Finding, ...]:
        try:
            static = _sections(self._shell("read what the phone is", _STATIC))
        except TargetError as error:
            return (Finding(subject="connection", passed=False, detail=str(error)),)
        properties = _properties(static[""])
        release = properties.get("ro.build.version.release", "unknown version")
        machine = properties.get("ro.product.cpu.abi", "unknown processor")
        has_app = self._is_installed()
        app = f"{self._apk} will be installed" if self._apk else f"{APP} is installed"
        battery = _battery(_sections(self._shell("read its state", _CHANGING)))
        return (
            Finding(subject="connection", passed=True, detail=self.name),
            judged(
                "machine",
                machine in ("arm64-v8a", "x86_64"),
                f"{_model(properties) or 'unnamed'}, Android {release}, {machine}",
                "LiteRT wants a 64-bit processor",
            ),
            Finding(
                subject="app",
                passed=has_app or self._apk is not None,
                detail=app if has_app or self._apk else _NO_APP,
            ),
            judged(
                "battery",
                battery is None or battery >= LOW_BATTERY,
                "unknown" if battery is None else f"{battery} %",
                "phones lower their clocks; charge it first",
            ),
        )

    def prepare(self, payload: Path) -> None:
        _check_plan(payload)
        has_app = self._is_installed()
        if not has_app and self._apk is None:
            raise TargetError(f"{self.name}: {_NO_APP}")
        self._hold(uninstall=not has_app)
        if self._apk is not None:
            self._run_adb("install the app", "install", "-r", str(self._apk))
        # Only now: the folders of an app belong to it if it is there before them.
        self._shell("make the run's folder", f"mkdir -p {self._folder}")
        self._run_adb("send models and images", "push", f"{payload}/.", f"{self._folder}/")
        self._environment = _environment(_sections(self._shell("read what it is", _STATIC)))

    def run(self, on_row: Callable[[str], None]) -> None:
        self._began = time.monotonic()
        self._look()
        self._shell("wake the screen", "input keyevent KEYCODE_WAKEUP")
        said = self._shell(
            "start the benchmark screen", f"am start -W -n {ACTIVITY} --es run {self._run}"
        )
        if "Error" in said:
            raise TargetError(f"{self.name}: could not start the app: {_one_row(said)}")
        self._follow(on_row)
        self._look()

    def fetch(self, result: Path) -> None:
        self._run_adb("fetch the result", "pull", f"{self._folder}/result.json", str(result))

    def complete(self, result: DeviceResult) -> DeviceResult:
        states = sorted((*result.states, *self._states), key=lambda state: state.at_s)
        return dataclasses.replace(
            result,
            states=tuple(states),
            environment={**result.environment, **self._environment},
        )

    def clean(self) -> str | None:
        if self._held is None:
            return None
        held, self._held = self._held, None
        try:
            held.close()
        except FailedCommandError as error:
            raise self._explained(error) from None
        return f"{self.name} {self._folder}" if self._keep else None

    def _hold(self, *, uninstall: bool) -> None:
        """Sees to it that nothing is left when the line ends."""
        end = f"am force-stop {APP}"
        then = "keep" if self._keep else "remove"
        if not self._keep:
            end += f"; rm -rf {self._folder}" + (f"; pm uninstall {APP}" if uninstall else "")
        # A hang-up is what a lost connection looks like there: the end is still to be done.
        script = f"trap '' HUP PIPE; am force-stop {APP}; echo {_HELD}; cat > /dev/null; {end}"
        command = Command(
            purpose=f"hold the phone, and {then} the run's folder in the end",
            argv=(*self._adb, "shell", "-T", script),
        )
        self._held = self._commands.hold(command)
        try:
            self._held.read_row(_HELD, timeout_s=_ANSWER_S)
        except FailedCommandError as error:
            held, self._held = self._held, None
            with contextlib.suppress(FailedCommandError):  # It has failed, and said how.
                held.close()
            raise self._explained(error) from None

    def _follow(self, on_row: Callable[[str], None]) -> None:
        """Hands over the app's rows until it has ended."""
        shown = 0
        was_running = False
        started = last_row = last_look = time.monotonic()
        while True:
            # Its process before its files: one that has just ended has left its file.
            said = self._shell(
                "ask how far it is",
                f"tail -n +{shown + 1} {self._folder}/progress.txt 2>/dev/null; echo {_STATE}; "
                f"pidof {APP}; ls {self._folder}; true",
                answer=f"{_STATE}\nresult.json",
            )
            progress, _, state = said.rpartition(_STATE)
            rows = progress.split("\n")[:-1]  # What is behind the last line feed is half a row.
            for row in rows:
                on_row(row)
            shown += len(rows)
            found = state.split()
            if "error.txt" in found:
                reason = self._shell("read its error", f"cat {self._folder}/error.txt")
                raise TargetError(f"{self.name}: the app failed: {_one_row(reason)}")
            if "result.json" in found:
                return
            now = time.monotonic()
            last_row = now if rows else last_row
            is_running = any(name.isdecimal() for name in found)
            was_running = was_running or is_running
            if not is_running and (was_running or now - started > _START_S):
                log = self._shell("read its log", f"logcat -d -t 20 -s {LOG_TAG} AndroidRuntime")
                raise TargetError(
                    f"{self.name}: the app ended without a result; its log: {_one_row(log)}"
                )
            if now - last_row > _SILENT_S:
                raise TargetError(
                    f"{self.name}: the app has shown no progress for {_SILENT_S:.0f} s"
                )
            if now - last_look > STATE_EVERY_S:
                self._look()
                last_look = now
            time.sleep(POLL_S)

    def _look(self) -> None:
        said = self._shell("read clocks and temperatures", _CHANGING)
        facts = _changing_facts(_sections(said))
        if facts:
            at_s = round(time.monotonic() - self._began, 3)
            self._states.append(State(at_s=at_s, facts=facts))

    def _is_installed(self) -> bool:
        said = self._shell(
            "look whether the app is installed",
            f"pm path {APP}; true",
            answer="" if self._apk else "package:base.apk",
        )
        return "package:" in said

    def _shell(self, purpose: str, script: str, *, answer: str = "") -> str:
        return self._run_adb(purpose, "shell", "-T", script, answer=answer).replace("\r", "")

    def _run_adb(self, purpose: str, *words: str, answer: str = "") -> str:
        command = Command(purpose=purpose, argv=(*self._adb, *words), answer=answer)
        try:
            return self._commands.run(command)
        except FailedCommandError as error:
            raise self._explained(error) from None

    def _explained(self, error: FailedCommandError) -> TargetError:
        if self._held is not None and any(sign in error.said for sign in _LOST):
            return TargetError(
                f"{self.name}: the connection was lost ({error.said}); the app is stopped there "
                "and its folder goes away by itself"
            )
        for sign, reason in _REASONS:
            if sign in error.said:
                return TargetError(f"{self.name}: {reason} ({error.said})")
        return TargetError(f"{self.name}: {error}")


def _check_plan(payload: Path) -> None:
    """Before anything is sent: what the app can't do.

    Raises:
        PlanError: naming it.
    """
    plan = ProbePlan.read(payload / FILE_NAME)
    refused = {
        "line_widths": plan.line_widths,
        "processes": plan.processes,
        "cool_down_c": plan.cool_down_c,
        "cores": plan.cores,
    }
    for name, value in refused.items():
        if value:
            raise PlanError(f"the app can't measure with {name}: leave that option out for adb")


def _sections(said: str) -> dict[str, str]:
    """Output by the rows "=name" in it; "" names what comes first."""
    sections: dict[str, list[str]] = {"": []}
    name = ""
    for row in said.splitlines():
        if re.fullmatch(r"=[a-z]+", row):
            name = row[1:]
            sections[name] = []
        else:
            sections[name].append(row)
    return {name: "\n".join(rows) for name, rows in sections.items()}


def _properties(text: str) -> dict[str, str]:
    """Of getprop's rows "[name]: [value]"."""
    return dict(re.findall(r"^\[([^\]]+)\]: \[(.*)\]$", text, re.MULTILINE))


def _model(properties: Mapping[str, str]) -> str:
    names = (properties.get(f"ro.product.{name}", "") for name in ("manufacturer", "model"))
    return " ".join(name for name in names if name)


def _environment(sections: Mapping[str, str]) -> dict[str, Any]:
    """In the words of :func:`edgeocr_benchmarks.environment.machine`."""
    properties = _properties(sections[""])
    facts: dict[str, Any] = {"system": "Android"}
    release = properties.get("ro.build.version.release")
    if release:
        facts["distribution"] = f"Android {release}"
    for name, source in _PROPERTIES.items():
        if properties.get(source):
            facts[name] = properties[source]
    model = _model(properties)
    if model:
        facts["board"] = model
    facts.update(cpu_facts(sections.get("cpuinfo", "")))
    kernel = sections.get("kernel", "").strip()
    if kernel:
        facts["kernel"] = kernel
    for name in ("cpuinfo_max_freq", "scaling_governor"):
        values = _per_cpu(sections.get("cpus", ""), name)
        if values:
            facts[name] = values
    return facts


def _changing_facts(sections: Mapping[str, str]) -> dict[str, Any]:
    """In the words of :func:`edgeocr_benchmarks.environment.state`."""
    facts: dict[str, Any] = {}
    load = re.match(r"([\d.]+) ", sections[""])
    if load:
        facts["load_1min"] = float(load[1])
    frequencies = _per_cpu(sections.get("cpus", ""), "scaling_cur_freq")
    if frequencies:
        facts["scaling_cur_freq_khz"] = frequencies
    temperatures = {
        zone: int(millidegrees) / 1000
        for millidegrees, zone in re.findall(
            r"^(-?\d+) (\S+)$", sections.get("zones", ""), re.MULTILINE
        )
    }
    thermal = parse_thermalservice(sections.get("thermal", ""))
    temperatures.update(thermal.temperatures_c)
    if temperatures:
        facts["temperature_c"] = temperatures
    if thermal.status is not None:
        facts["thermal_status"] = thermal.status
    battery = _battery(sections)
    if battery is not None:
        facts["battery_percent"] = battery
    return facts


def _battery(sections: Mapping[str, str]) -> int | None:
    level = re.search(r"^\s*level: (\d+)$", sections.get("battery", ""), re.MULTILINE)
    return int(level[1]) if level else None


def _per_cpu(text: str, name: str) -> dict[str, str]:
    """Rows "/sys/devices/system/cpu/cpu0/cpufreq/NAME VALUE" by the number of the CPU."""
    found = re.findall(rf"/cpu(\d+)/cpufreq/{name} (\S+)$", text, re.MULTILINE)
    return dict(sorted(found, key=lambda item: int(item[0])))


def _one_row(text: str) -> str:
    return " | ".join(row.strip() for row in text.strip().splitlines()[-5:]) or "nothing"
