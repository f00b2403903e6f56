"""The machine that a measurement was taken on.

Every entry is what the system states; what it does not state is left out, never guessed. Reads
Linux's /proc and /sys; elsewhere only what Python knows is recorded.
"""

import contextlib
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edgeocr.processors import cgroup_quota

ROOT: Final = Path("/")

EMULATED_VARIABLE: Final = "EDGEOCR_EMULATED"
"""Environment variable that names the emulator, where this machine is one."""

_ARM_PARTS: Final[Mapping[tuple[int, int], str]] = {
    (0x41, 0xB76): "ARM1176",
    (0x41, 0xC07): "Cortex-A7",
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD04): "Cortex-A35",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD46): "Cortex-A510",
    (0x41, 0xD47): "Cortex-A710",
    (0x41, 0xD48): "Cortex-X2",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4D): "Cortex-A715",
    (0x41, 0xD4E): "Cortex-X3",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD80): "Cortex-A520",
    (0x41, 0xD81): "Cortex-A720",
    (0x41, 0xD82): "Cortex-X4",
    (0x51, 0x802): "Kryo 385 Gold",
    (0x51, 0x803): "Kryo 385 Silver",
    (0x51, 0x804): "Kryo 485 Gold",
    (0x51, 0x805): "Kryo 485 Silver",
}
"""(implementer, part) of the main ID register, as /proc/cpuinfo prints them on ARM."""

# What decides how fast integer and half-precision arithmetic can be.
_X86_FLAGS: Final = frozenset({"avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8"})
_ARM_FLAGS: Final = frozenset({"neon", "asimd", "asimddp", "asimdhp", "i8mm", "sve", "sve2"})
_X86_DOT_PRODUCTS: Final[Mapping[str, str]] = {
    "amx_int8": "AMX",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX-VNNI",
}
"""Flags of instructions that multiply and add 8-bit integers, widest first."""

THROTTLED_BITS: Final[Mapping[int, str]] = {
    0: "under-voltage",
    1: "capped frequency",
    2: "throttling",
    3: "the soft temperature limit",
}
"""Of ``vcgencmd get_throttled``; 16 higher, the same since the board was switched on."""


def machine(root: Path = ROOT) -> dict[str, Any]:
    """What does not change while a benchmark runs.

    Args:
        root: folder that holds ``proc`` and ``sys``; another one than ``/`` for recorded trees.
    """
    facts: dict[str, Any] = {
        "architecture": platform.machine(),
        "system": platform.system(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }
    with contextlib.suppress(OSError):
        cpuinfo = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        facts.update(cpu_facts(cpuinfo))
    emulator = os.environ.get(EMULATED_VARIABLE)
    if emulator:
        facts["emulated"] = emulator
    with contextlib.suppress(OSError):
        board = (root / "proc/device-tree/model").read_text(encoding="ascii")
        facts["board"] = board.strip("\0\n ")
    with contextlib.suppress(OSError):
        facts["distribution"] = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    if hasattr(os, "sched_getaffinity"):
        facts["affinity"] = sorted(os.sched_getaffinity(0))
    quota = cgroup_quota(root)
    if quota is not None:
        facts["cgroup_cpus"] = quota
    memory = _fields(root / "proc/meminfo").get("MemTotal")
    if memory:
        facts["memory_bytes"] = int(memory.split()[0]) * 1024
    capacities = _per_cpu(root, "cpu_capacity")
    if capacities:
        facts["cpu_capacity"] = capacities
    for name in ("cpuinfo_max_freq", "scaling_governor"):
        values = _per_cpu(root, f"cpufreq/{name}")
        if values:
            facts[name] = values
    return facts


def state(root: Path = ROOT) -> dict[str, Any]:
    """What does change: load, and where the system tells them frequencies and temperatures."""
    facts: dict[str, Any] = {}
    with contextlib.suppress(OSError, IndexError, ValueError):
        facts["load_1min"] = float((root / "proc/loadavg").read_text("ascii").split()[0])
    frequencies = _per_cpu(root, "cpufreq/scaling_cur_freq")
    if frequencies:
        facts["scaling_cur_freq_khz"] = frequencies
    temperatures = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        with contextlib.suppress(OSError, ValueError):
            name = (zone / "type").read_text("ascii").strip()
            # A zone that is switched off refuses to be read.
            temperatures[f"{zone.name} {name}"] = int((zone / "temp").read_text("ascii")) / 1000
    if temperatures:
        facts["temperature_c"] = temperatures
    throttled = _throttled()
    if throttled is not None:
        facts["throttled"] = throttled
    return facts


def parse_throttled(text: str) -> int | None:
    """The bits of ``vcgencmd get_throttled``, "throttled=0x50005"; None for other text.

    Bits 0 to 3 are what is now, 16 to 19 what has happened since the board was switched on; their
    names are in :data:`THROTTLED_BITS`.
    """
    name, equals, number = text.strip().partition("=")
    if name != "throttled" or not equals:
        return None
    try:
        return int(number, 16)
    except ValueError:
        return None


def _throttled() -> int | None:
    """What a Raspberry Pi's firmware says of its power and heat; None on other machines."""
    try:
        said = subprocess.run(
            ["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_throttled(said.stdout)


def fastest_cores(count: int, root: Path = ROOT) -> tuple[int, ...]:
    """The CPUs to bind a measurement to: the strongest of those that this process may use.

    Strength is the kernel's ``cpu_capacity``, else the highest clock. Among equals the last
    ones are taken: the first serve most interrupts. Empty where the system can't bind, or
    allows fewer than ``count``.
    """
    if not hasattr(os, "sched_getaffinity"):
        return ()
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < count:
        return ()
    strengths = _per_cpu(root, "cpu_capacity") or _per_cpu(root, "cpufreq/cpuinfo_max_freq")
    strongest = sorted(allowed, key=lambda cpu: (int(strengths.get(str(cpu), 0)), cpu))
    return tuple(sorted(strongest[-count:]))


def processor_name(facts: Mapping[str, Any]) -> str:
    """Kinds of cores, in words, or else the architecture.

    What x86-64 processors and their hypervisors call themselves often leaves open whether they
    have 8-bit dot products, on which the time of an INT8 model depends more than on anything
    else: so the name says it. Arm's names of cores do.

    Args:
        facts: as :func:`machine` gives them; an older record may lack some.
    """
    architecture = str(facts.get("architecture", "?"))
    cores = ", ".join(facts.get("cpu", ())) or architecture
    flags = facts.get("cpu_flags")
    if architecture != "x86_64" or flags is None:
        return cores
    names = [name for flag, name in _X86_DOT_PRODUCTS.items() if flag in flags]
    return f"{cores} with {names[0]}" if names else f"{cores} without VNNI"


def cpu_facts(cpuinfo: str) -> dict[str, Any]:
    """Kinds of cores and the instructions that matter, from the text of /proc/cpuinfo."""
    models: list[str] = []
    flags: set[str] = set()
    implementer = 0
    for row in cpuinfo.splitlines():
        key, _, value = (part.strip() for part in row.partition(":"))
        if key == "model name":
            models.append(value)
        elif key in ("flags", "Features"):
            flags.update(value.split())
        # Many ARM kernels print no model name, only the fields of the main ID register.
        elif key == "CPU implementer":
            implementer = int(value, 0)
        elif key == "CPU part":
            part = int(value, 0)
            unknown = f"implementer {implementer:#x} part {part:#x}"
            models.append(_ARM_PARTS.get((implementer, part), unknown))
    facts: dict[str, Any] = {}
    if models:
        # One entry a kind of core: big.LITTLE has several.
        facts["cpu"] = [f"{models.count(model)} x {model}" for model in dict.fromkeys(models)]
    relevant = sorted(flags & (_X86_FLAGS | _ARM_FLAGS))
    if relevant:
        facts["cpu_flags"] = relevant
    return facts


def _per_cpu(root: Path, name: str) -> dict[str, str]:
    """One file of every CPU's folder, by the number of the CPU."""
    found = {}
    for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*"):
        with contextlib.suppress(OSError):
            found[folder.name.removeprefix("cpu")] = (folder / name).read_text("ascii").strip()
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def _fields(path: Path) -> dict[str, str]:
    try:
        rows = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (row.partition(":") for row in rows)}
