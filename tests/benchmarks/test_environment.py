import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgeocr_benchmarks import environment


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="ascii")
    return root


# As a Raspberry Pi 5 states them: no "model name".
PI_5 = {
    "proc/cpuinfo": "".join(
        f"processor\t: {i}\nFeatures\t: fp asimd asimdhp asimddp\nCPU implementer\t: 0x41\n"
        "CPU architecture: 8\nCPU part\t: 0xd0b\n\n"
        for i in range(4)
    )
    + "Model\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/meminfo": "MemTotal:        8255584 kB\nMemFree: 1 kB\n",
    "proc/loadavg": "0.42 0.30 0.11 1/180 999\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "2400000\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
}

PHONE = {
    "proc/cpuinfo": "CPU implementer\t: 0x51\nCPU part\t: 0x805\nCPU implementer\t: 0x51\n"
    "CPU part\t: 0x804\nCPU implementer\t: 0x41\nCPU part\t: 0xfff\n",
}


def test_raspberry_pi(tmp_path: Path) -> None:
    facts = environment.machine(tree(tmp_path, PI_5))
    assert facts["cpu"] == ["4 x Cortex-A76"]
    assert facts["cpu_flags"] == ["asimd", "asimddp", "asimdhp"]
    assert facts["board"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert facts["memory_bytes"] == 8255584 * 1024
    assert facts["scaling_governor"] == {"0": "ondemand"}
    state = environment.state(tmp_path)
    assert state["load_1min"] == 0.42
    assert state["scaling_cur_freq_khz"] == {"0": "1500000"}
    assert state["temperature_c"] == {"thermal_zone0 cpu-thermal": 48.312}


def test_cores_of_several_kinds_and_an_unknown_one(tmp_path: Path) -> None:
    assert environment.machine(tree(tmp_path, PHONE))["cpu"] == [
        "1 x Kryo 485 Silver",
        "1 x Kryo 485 Gold",
        "1 x implementer 0x41 part 0xfff",
    ]


def test_what_the_system_does_not_state_is_left_out(tmp_path: Path) -> None:
    facts = environment.machine(tmp_path)
    assert not {"cpu", "board", "cgroup_cpus", "memory_bytes", "scaling_governor"} & set(facts)
    assert {"architecture", "python", "cpus"} <= set(facts)
    assert not {"load_1min", "temperature_c"} & set(environment.state(tmp_path))


def test_control_group_quota(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}
    assert environment.machine(tree(tmp_path, files))["cgroup_cpus"] == 1.5


def test_strongest_cores_are_taken_last_ones_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capacities = {0: 350, 1: 350, 2: 1024, 3: 1024, 4: 800, 5: 350}
    tree(
        tmp_path,
        {f"sys/devices/system/cpu/cpu{i}/cpu_capacity": f"{c}\n" for i, c in capacities.items()},
    )
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3, 4}, raising=False)
    assert environment.fastest_cores(1, tmp_path) == (3,)
    assert environment.fastest_cores(3, tmp_path) == (2, 3, 4)
    assert environment.fastest_cores(4, tmp_path) == (1, 2, 3, 4)
    assert environment.fastest_cores(6, tmp_path) == ()


def test_clock_decides_where_no_capacity_is_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = {0: 2400000, 1: 1800000}
    tree(
        tmp_path,
        {
            f"sys/devices/system/cpu/cpu{i}/cpufreq/cpuinfo_max_freq": f"{clock}\n"
            for i, clock in clocks.items()
        },
    )
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert environment.fastest_cores(1, tmp_path) == (0,)


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("throttled=0x0\n", 0),
        ("throttled=0x50005\n", 0x50005),
        ("", None),
        ("throttled=", None),
        ("throttled=0xZZ", None),
        ("temp=48.3'C", None),
    ],
)
def test_what_the_firmware_says_of_power_and_heat(text: str, bits: int | None) -> None:
    assert environment.parse_throttled(text) == bits


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_the_firmware_is_asked_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "throttled" not in environment.state(tmp_path)
    command = tmp_path / "vcgencmd"
    command.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x50000\n')
    command.chmod(0o755)
    assert environment.state(tmp_path)["throttled"] == 0x50000


def test_an_emulated_machine_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEOCR_EMULATED", raising=False)
    assert "emulated" not in environment.machine(tmp_path)
    monkeypatch.setenv("EDGEOCR_EMULATED", "qemu-user")
    assert environment.machine(tmp_path)["emulated"] == "qemu-user"


def test_this_machine_can_be_described() -> None:
    facts = environment.machine()
    assert facts["cpus"] >= len(environment.fastest_cores(1)) >= 0
    assert json.dumps(facts)
    assert json.dumps(environment.state())


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"cpu_flags": ["avx2", "avx512_vnni", "avx512f", "avx_vnni"]}, "with AVX-512 VNNI"),
        ({"cpu_flags": ["avx2", "avx_vnni"]}, "with AVX-VNNI"),
        ({"cpu_flags": ["avx2"]}, "without VNNI"),
    ],
)
def test_a_name_tells_processors_with_8_bit_dot_products_apart(
    facts: dict[str, Any], name: str
) -> None:
    machine = {"architecture": "x86_64", "cpu": ["2 x AMD EPYC"], **facts}
    assert environment.processor_name(machine) == f"2 x AMD EPYC {name}"


def test_a_name_says_no_more_than_a_record_does() -> None:
    old = {"architecture": "x86_64", "cpu": ["2 x AMD EPYC"]}
    assert environment.processor_name(old) == "2 x AMD EPYC"
    board = {"architecture": "aarch64", "cpu": ["4 x Cortex-A76"], "cpu_flags": ["asimddp"]}
    assert environment.processor_name(board) == "4 x Cortex-A76"
    assert environment.processor_name({"architecture": "aarch64"}) == "aarch64"
