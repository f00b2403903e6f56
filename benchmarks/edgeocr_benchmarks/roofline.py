"""How much of a device's arithmetic a network uses: multiplications a second against the peak.

The peak is cores x multiply-accumulates per cycle x clock, with the widest instruction that the
core has for the precision: SDOT where there is one, else SMULL/SMLAL; FMLA for float. No
implementation can be faster. Networks of small layers reach a quarter to a half of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_LLVM: Final = "https://github.com/llvm/llvm-project/blob/main/llvm/lib/Target/AArch64/"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreArithmetic:
    """Multiply-accumulates that one core can finish in a cycle."""

    int8: int
    fp32: int
    basis: str
    source: str


_A53: Final = CoreArithmetic(
    int8=8,
    fp32=4,
    basis="in order, 128 bits of SIMD a cycle: SMLAL 8 x 8 bits; no SDOT; FMLA 4 x 32 bits",
    source=_LLVM + "AArch64SchedA53.td",
)
_A55: Final = CoreArithmetic(
    int8=16,
    fp32=4,
    basis="two 64-bit SIMD units: one 128-bit SDOT (16 MAC) or FMLA a cycle",
    source=_LLVM + "AArch64SchedA55.td",
)
_A72: Final = CoreArithmetic(
    int8=8,
    fp32=4,
    basis="one of the two SIMD pipes multiplies integers: SMLAL 8 x 8 bits; no SDOT. LLVM "
    "schedules it as Cortex-A57. Two 64-bit-wide FMLA make 4 x 32 bits",
    source=_LLVM + "AArch64SchedA57.td",
)
_A76: Final = CoreArithmetic(
    int8=32,
    fp32=8,
    basis="two 128-bit SIMD pipes: SDOT (16 MAC) and FMLA (4) on either; LLVM's model of "
    "Neoverse N1, the same core for servers, leaves SDOT the default of both pipes",
    source=_LLVM + "AArch64SchedNeoverseN1.td",
)

CORES: Final[Mapping[str, CoreArithmetic]] = {
    "Cortex-A53": _A53,
    "Cortex-A55": _A55,
    "Cortex-A72": _A72,
    "Cortex-A76": _A76,
    "Neoverse-N1": _A76,
    # Qualcomm's names for cores made from Arm's.
    "Kryo 485 Gold": _A76,
    "Kryo 485 Silver": _A55,
}
"""By the name that :mod:`edgeocr_benchmarks.environment` gives a core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardClock:
    """A board and the clock that it runs at as it is sold."""

    core: str
    cores: int
    mhz: int
    source: str


BOARDS: Final[Mapping[str, BoardClock]] = {
    "Raspberry Pi 3 Model B": BoardClock(
        core="Cortex-A53",
        cores=4,
        mhz=1200,
        source="https://www.raspberrypi.com/documentation/computers/processors.html",
    ),
    "Raspberry Pi 4 Model B": BoardClock(
        core="Cortex-A72",
        cores=4,
        mhz=1500,
        source="https://www.raspberrypi.com/documentation/computers/processors.html",
    ),
    "Raspberry Pi 5 Model B": BoardClock(
        core="Cortex-A76",
        cores=4,
        mhz=2400,
        source="https://www.raspberrypi.com/documentation/computers/processors.html",
    ),
}
"""For boards whose system states no clock. By the name before its revision."""


def peak_gmacs(core: str, *, cores: int, mhz: float, precision: str) -> float | None:
    """Giga multiply-accumulates a second at most; None for a core that is not known.

    Args:
        core: one of :data:`CORES`.
        cores: that work at the same time.
        mhz: of their clock.
        precision: int8 or fp32; fp16 models are computed in fp32.
    """
    arithmetic = CORES.get(core)
    if arithmetic is None:
        return None
    per_cycle = arithmetic.int8 if precision == "int8" else arithmetic.fp32
    return cores * per_cycle * mhz / 1000


def device_peak_gmacs(
    environment: Mapping[str, Any], *, cores: Sequence[int], threads: int, precision: str
) -> float | None:
    """The peak of the cores that a run was bound to; None where the device does not tell.

    Args:
        environment: of the result.
        cores: that the run was bound to; none for any, which asks for a device with equal cores.
        threads: of the run.
        precision: of the bundle.
    """
    kinds = _kinds(environment.get("cpu", ()))
    clocks = {int(cpu): int(khz) for cpu, khz in environment.get("cpuinfo_max_freq", {}).items()}
    board = BOARDS.get(environment.get("board", "").partition(" Rev ")[0])
    if board is not None and not clocks:
        kinds = [(board.core, board.cores)]
        clocks = dict.fromkeys(range(board.cores), board.mhz * 1000)
    if not clocks or not kinds:
        return None
    used = sorted(cores)[:threads] if cores else sorted(clocks)[:threads]
    if len({kind for kind, _ in kinds}) > 1:
        # Kinds stand in the order of /proc/cpuinfo, which is that of the CPUs' numbers.
        by_cpu = [kind for kind, count in kinds for _ in range(count)]
    else:
        by_cpu = [kinds[0][0]] * (max(used, default=0) + 1)
    total = 0.0
    for cpu in used:
        if cpu not in clocks or cpu >= len(by_cpu):
            return None
        peak = peak_gmacs(by_cpu[cpu], cores=1, mhz=clocks[cpu] / 1000, precision=precision)
        if peak is None:
            return None
        total += peak
    return total


def no_peak(environment: Mapping[str, Any]) -> str:
    """Why :func:`device_peak_gmacs` gives no peak for a device, in a sentence."""
    if environment.get("architecture") == "x86_64":
        return (
            "No peak for x86-64: the clock of such cores depends on their load and on the width "
            "of their vectors, and virtual machines state none. A share of it would be guessed."
        )
    return (
        "No peak: the device states no clock, or its cores are not in the table of "
        f"edgeocr_benchmarks/roofline.py ({', '.join(CORES)})."
    )


def _kinds(cpu: Sequence[str]) -> list[tuple[str, int]]:
    """("4 x Cortex-A76",) as [("Cortex-A76", 4)]."""
    found = []
    for entry in cpu:
        match = re.fullmatch(r"(\d+) x (.+)", entry)
        if match is not None:
            found.append((match[2], int(match[1])))
    return found
