"""Whether a measurement may be believed: what makes it invalid, and what makes it doubtful.

A run is invalid where the machine was not itself (throttled, short of power, at a lower clock
at the end than at the beginning, emulated) or not ours (other processes, noise). A doubt leaves
the figures standing and says what to do about them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edgeocr_benchmarks import sampling
from edgeocr_benchmarks.device_results import BundleRun, DeviceResult, DeviceRun, State, Sustained
from edgeocr_benchmarks.environment import THROTTLED_BITS
from edgeocr_benchmarks.metrics import run_samples
from edgeocr_benchmarks.thermalservice import STATUS_NAMES

MAX_CLOCK_LOSS: Final = 0.05
"""Share of the clock that may be lost between the first and the last quarter of a run."""
MAX_FOREIGN_SHARE: Final = 0.10
"""Share of a read's wall time, on one thread, that may be spent on something else."""
HELD_BACK: Final = 2
"""Android's thermal status from which clocks are held back: "moderate"."""
MAX_LOAD: Final = 0.5
"""Load average per processor before the measurement above which others are at work."""
SUSTAINED_WINDOW_S: Final = 30.0

_MAX_DEVIATION: Final = 0.10
_MAX_DISTANCE: Final = 0.50
_SHORTEST_MS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """On one run, or on a whole result."""

    invalid: tuple[str, ...]
    """Why the times must not be used; none for a valid run."""
    doubts: tuple[str, ...]

    @property
    def valid(self) -> bool:
        return not self.invalid


def has_times(result: DeviceResult) -> bool:
    """Whether the times are those of a machine. An emulator's are shown nowhere."""
    return not result.environment.get("emulated")


def judge(result: DeviceResult, run: DeviceRun) -> Verdict:
    """All rules on one run and the machine meanwhile."""
    return _verdict([*_machine(result, run.cores, run.began_s, run.ended_s), *_samples(run)])


def judge_result(result: DeviceResult) -> Verdict:
    """All rules on all runs; every reason once."""
    verdicts = [judge(result, run) for run in result.runs]
    return Verdict(
        invalid=tuple(dict.fromkeys(reason for one in verdicts for reason in one.invalid)),
        doubts=tuple(dict.fromkeys(doubt for one in verdicts for doubt in one.doubts)),
    )


def judge_sustained(result: DeviceResult, sustained: Sustained) -> Verdict:
    """The rules on the machine during a sustained run.

    Throttling is no fault there, it is what is looked for; it becomes a doubt.
    """
    found = list(_machine(result, sustained.cores, sustained.began_s, sustained.ended_s))
    emulated = [(grave, reason) for grave, reason in found if reason.startswith("emulated")]
    other = [(False, reason) for _, reason in found if not reason.startswith("emulated")]
    return _verdict([*emulated, *other])


def retention(sustained: Sustained) -> float | None:
    """Speed of the last 30 s against the first 30 s: 0.9 has lost a tenth.

    Of a shorter run halves are compared; None where one of the two has no read.
    """
    if not sustained.at_s:
        return None
    window = min(SUSTAINED_WINDOW_S, sustained.at_s[-1] / 2)
    ends, times = np.array(sustained.at_s), np.array(sustained.ms)
    first, last = times[ends <= window], times[ends > ends[-1] - window]
    if not len(first) or not len(last):
        return None
    return float(np.median(first) / np.median(last))


Found = Iterator[tuple[bool, str]]
"""(Whether it makes a run invalid, why)."""


def _verdict(found: Sequence[tuple[bool, str]]) -> Verdict:
    return Verdict(
        invalid=tuple(dict.fromkeys(reason for grave, reason in found if grave)),
        doubts=tuple(dict.fromkeys(reason for grave, reason in found if not grave)),
    )


def _machine(result: DeviceResult, cores: Sequence[int], began_s: float, ended_s: float) -> Found:
    emulator = result.environment.get("emulated")
    if emulator:
        yield True, f"emulated by {emulator}: times of an emulator say nothing about a board"
    before = [state for state in result.states if state.at_s <= began_s]
    during = [state for state in result.states if began_s < state.at_s <= ended_s]
    yield from _throttled(before, during)
    hottest = max((state.facts.get("thermal_status", 0) for state in during), default=0)
    if hottest >= 1:
        name = STATUS_NAMES[min(hottest, len(STATUS_NAMES) - 1)]
        yield (
            hottest >= HELD_BACK,
            f"Android's thermal status was {hottest} ({name}): let the device cool down",
        )
    yield from _clock(result, cores, during)
    load = before[0].facts.get("load_1min", 0.0) if before else 0.0
    processors = result.environment.get("cpus") or 1
    if load > MAX_LOAD * processors:
        yield (
            False,
            f"the load average was {load:g} on {processors} processors before anything was "
            "measured: stop what else runs",
        )


def _throttled(before: Sequence[State], during: Sequence[State]) -> Found:
    known = before[-1].facts.get("throttled", 0) if before else 0
    now = happened = 0
    for state in during:
        bits = state.facts.get("throttled", 0)
        now |= bits & 0xF
        happened |= (bits & ~known) >> 16 & 0xF
    names = [name for bit, name in THROTTLED_BITS.items() if (now | happened) >> bit & 1]
    if names:
        yield (
            True,
            f"the board reported {', '.join(names)}: look after its power supply and cooling",
        )


def _clock(result: DeviceResult, cores: Sequence[int], during: Sequence[State]) -> Found:
    clocks = [clock for state in during if (clock := _clock_mhz(state, cores)) is not None]
    if len(clocks) < 4:
        return
    quarter = len(clocks) // 4
    first, last = float(np.median(clocks[:quarter])), float(np.median(clocks[-quarter:]))
    if last < first * (1 - MAX_CLOCK_LOSS):
        yield True, f"the clock fell from {first:.0f} to {last:.0f} MHz: let the device cool down"
    highest = _per_core(result.environment.get("cpuinfo_max_freq", {}), cores)
    usual = float(np.median(clocks))
    if highest and usual < max(highest) / 1000 * (1 - MAX_CLOCK_LOSS):
        governors = _per_core_text(result.environment.get("scaling_governor", {}), cores)
        governor = f" under the governor {governors[0]}" if governors else ""
        yield (
            False,
            f"the clock was {usual:.0f} of {max(highest) / 1000:.0f} MHz{governor}: choose the "
            "governor performance",
        )


def _clock_mhz(state: State, cores: Sequence[int]) -> float | None:
    """Of the fastest of the cores that the run was bound to: the others may have been idle."""
    clocks = _per_core(state.facts.get("scaling_cur_freq_khz", {}), cores)
    return max(clocks) / 1000 if clocks else None


def _per_core(stated: Any, cores: Sequence[int]) -> list[int]:
    return [int(text) for text in _per_core_text(stated, cores)]


def _per_core_text(stated: Any, cores: Sequence[int]) -> list[str]:
    return [text for cpu, text in stated.items() if not cores or int(cpu) in cores]


def _samples(run: DeviceRun) -> Found:
    for bundle in run.bundles:
        for grave, reason in (*_foreign(run, bundle), *_spread(bundle)):
            yield grave, f"{bundle.bundle}: {reason}"


def _foreign(run: DeviceRun, bundle: BundleRun) -> Found:
    """Wall time beyond processor time, where one thread did everything."""
    pages = [page for page in bundle.pages if page.cpu_ms]
    if run.threads != 1 or not pages:
        return
    wall = sum(sampling.median(page.ms["total"]) for page in pages)
    worked = sum(sampling.median(page.cpu_ms) for page in pages)
    share = 1 - worked / wall
    if share > MAX_FOREIGN_SHARE:
        yield (
            True,
            f"{100 * share:.0f} % of the time was not spent on reading: stop what else runs on "
            "its processor",
        )


def _spread(bundle: BundleRun) -> Found:
    samples = run_samples(bundle, "total")
    spread = sampling.spread(samples)
    if spread > sampling.MAX_SPREAD:
        yield (
            True,
            f"too noisy, the middle half of the times spans {100 * spread:.0f} % of their median: "
            "stop what else runs and measure again",
        )
    mean = float(samples.mean())
    deviation = float(samples.std()) / mean
    if deviation >= _MAX_DEVIATION:
        yield False, f"the standard deviation is {100 * deviation:.0f} % of the mean"
    for name, value in (("shortest", samples.min()), ("longest", samples.max())):
        distance = abs(float(value) - mean) / mean
        if distance >= _MAX_DISTANCE:
            yield False, f"the {name} time is {100 * distance:.0f} % off the mean"
    if len(samples) < sampling.MIN_SAMPLES:
        yield False, f"only {len(samples)} rounds; take more with --rounds"
    if mean < _SHORTEST_MS:
        yield False, f"a read takes {mean:.2f} ms, too little to be timed alone: take larger pages"
