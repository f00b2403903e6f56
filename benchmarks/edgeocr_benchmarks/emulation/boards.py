"""The boards that can be emulated, and what a program sees of their processors.

XNNPACK chooses its kernels by what /proc/cpuinfo and /sys say, and dies where neither of them
describes an ARM processor. Both have to tell of the processor that is emulated: of a newer one,
they would make it run instructions that the older does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeocr_benchmarks.emulation.errors import EmulationError

_ARMV8_0: Final = "fp asimd evtstrm crc32 cpuid"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardModel:
    """A Raspberry Pi as far as software can see it."""

    name: str
    """As a target names it: ``pi4``."""
    title: str
    """As /proc/device-tree/model has it on the real board."""
    processor: str
    """QEMU's name: ``cortex-a72``. Never ``max``, whose SME gives wrong results."""
    part: int
    """Of the main ID register."""
    variant: int
    revision: int
    features: str
    """As the kernel of the real board lists them in /proc/cpuinfo."""
    fastest_khz: int
    slowest_khz: int
    cores: int = 4


BOARDS: Final[Mapping[str, BoardModel]] = {
    board.name: board
    for board in (
        BoardModel(
            name="pi3",
            title="Raspberry Pi 3 Model B Plus Rev 1.3",
            processor="cortex-a53",
            part=0xD03,
            variant=0,
            revision=4,
            features=_ARMV8_0,
            fastest_khz=1_400_000,
            slowest_khz=600_000,
        ),
        BoardModel(
            name="pi4",
            title="Raspberry Pi 4 Model B Rev 1.4",
            processor="cortex-a72",
            part=0xD08,
            variant=0,
            revision=3,
            features=_ARMV8_0,
            fastest_khz=1_800_000,
            slowest_khz=600_000,
        ),
        BoardModel(
            name="pi5",
            title="Raspberry Pi 5 Model B Rev 1.0",
            processor="cortex-a76",
            part=0xD0B,
            variant=4,
            revision=1,
            features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid "
            "asimdrdm lrcpc dcpop asimddp",
            fastest_khz=2_400_000,
            slowest_khz=1_500_000,
        ),
    )
}


def board_model(name: str) -> BoardModel:
    """One of :data:`BOARDS`.

    Raises:
        EmulationError: there is no such board.
    """
    if name not in BOARDS:
        raise EmulationError(f"there is no board {name!r}; known are {', '.join(BOARDS)}")
    return BOARDS[name]


def system_files(model: BoardModel) -> dict[Path, str]:
    """What /proc and /sys say on a board: content by path, relative to its root.

    The model's name says that it is emulated, so that no result can be taken for a board's own.
    """
    every_core = f"0-{model.cores - 1}\n"
    cpus = Path("sys/devices/system/cpu")
    title = f"{model.title} (emulated by QEMU)\0"
    files = {
        Path("proc/cpuinfo"): "".join(_core(model, core) for core in range(model.cores)),
        Path("proc/device-tree/model"): title,
        Path("sys/firmware/devicetree/base/model"): title,
        cpus / "kernel_max": f"{model.cores - 1}\n",
        **{cpus / name: every_core for name in ("possible", "present", "online")},
    }
    for core in range(model.cores):
        topology, clock = cpus / f"cpu{core}/topology", cpus / f"cpu{core}/cpufreq"
        files[topology / "core_id"] = f"{core}\n"
        files[topology / "physical_package_id"] = "0\n"
        files[topology / "core_siblings_list"] = every_core
        files[topology / "cluster_cpus_list"] = every_core
        files[clock / "cpuinfo_max_freq"] = f"{model.fastest_khz}\n"
        files[clock / "cpuinfo_min_freq"] = f"{model.slowest_khz}\n"
        # A file that is missing here is looked for on the machine that emulates.
        files[clock / "scaling_cur_freq"] = f"{model.fastest_khz}\n"
        files[clock / "scaling_governor"] = "performance\n"
    return files


def _core(model: BoardModel, core: int) -> str:
    return (
        f"processor\t: {core}\n"
        "BogoMIPS\t: 108.00\n"
        f"Features\t: {model.features}\n"
        "CPU implementer\t: 0x41\n"
        "CPU architecture: 8\n"
        f"CPU variant\t: {model.variant:#x}\n"
        f"CPU part\t: {model.part:#x}\n"
        f"CPU revision\t: {model.revision}\n\n"
    )
