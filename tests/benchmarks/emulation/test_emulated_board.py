"""Contract: a board's Python and its shell behave as programs do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeocr_benchmarks.__main__ import main
from edgeocr_benchmarks.emulation import BOARDS, EmulatedBoard, prepare_board

PrepareBoard = Callable[[str], EmulatedBoard]

LOOK_ROUND = """
import json, os, platform, subprocess, sys
again = "import json, sys; print(json.dumps([sys.executable, sys.flags.isolated]))"
print(json.dumps({
    "machine": platform.machine(),
    "executable": sys.executable,
    "arguments": sys.argv[1:],
    "cores": os.cpu_count(),
    "part": [row.split()[-1] for row in open("/proc/cpuinfo") if row.startswith("CPU part")],
    "title": open("/proc/device-tree/model").read(),
    "emulated": os.environ["EDGEOCR_EMULATED"],
    "preloaded": os.environ.get("LD_PRELOAD"),
    "bytecode": sys.pycache_prefix,
    "thermal": os.listdir("/sys/class/thermal"),
    "here": os.listdir("."),
    "again": json.loads(subprocess.run(
        [sys.executable, "-I", "-c", again], capture_output=True, check=True).stdout),
}))
sys.exit(7)
"""


@pytest.mark.parametrize("name", BOARDS)
def test_python_sees_the_board_and_the_files_of_this_machine(
    board: PrepareBoard, tmp_path: Path, name: str
) -> None:
    emulated = board(name)
    script = tmp_path / "look.py"
    script.write_text(LOOK_ROUND, encoding="ascii")
    done = subprocess.run(
        [emulated.python, script, "a b", "$c"],
        cwd=tmp_path,
        env={**os.environ, "LD_PRELOAD": "/nowhere.so"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 7, done.stderr
    seen = json.loads(done.stdout)
    model = BOARDS[name]
    assert seen == {
        "machine": "aarch64",
        "executable": str(emulated.python),
        "arguments": ["a b", "$c"],
        "cores": 4,
        "part": [f"{model.part:#x}"] * 4,
        "title": f"{model.title} (emulated by QEMU)\0",
        "emulated": "qemu-user",
        "preloaded": None,
        "bytecode": str(emulated.bytecode),
        "thermal": [],
        "here": ["look.py"],
        # It starts itself once more without binfmt_misc.
        "again": [str(emulated.python), 1],
    }


def test_a_virtual_environment_finds_itself(board: PrepareBoard, tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    subprocess.run([board("pi4").python, "-m", "venv", "--without-pip", folder], check=True)
    told = subprocess.run(
        [folder / "bin/python", "-c", "import sys; print(sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == str(folder)


def test_a_prepared_board_is_left_as_it_is(board: PrepareBoard) -> None:
    emulated = board("pi4")
    before = {path: path.stat().st_mtime_ns for path in (emulated.python, emulated.shell)}
    assert prepare_board("pi4") == emulated
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_command_runs_python_and_passes_its_exit_status_on(board: PrepareBoard) -> None:
    board("pi4")
    with pytest.raises(SystemExit) as ended:
        main(["emulate", "run", "pi4", "-c", "raise SystemExit(3)"])
    assert ended.value.code == 3


def test_the_shell_is_a_machine_of_its_own(machine_board: EmulatedBoard, tmp_path: Path) -> None:
    (tmp_path / "seen.txt").write_text("here\n")
    command = (
        f"uname -m; cat {tmp_path}/seen.txt; grep -c 0xd08 /proc/cpuinfo; "
        f"python3 -c 'import platform; print(platform.machine())' > {tmp_path}/made.txt; "
        "exit 5"
    )
    done = subprocess.run(
        [machine_board.shell, "-c", command],
        env={**os.environ, "EDGEOCR_BOARD_FOLDERS": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 5, done.stderr
    assert done.stdout.splitlines() == ["aarch64", "here", "4"]
    assert (tmp_path / "made.txt").read_text() == "aarch64\n"
    # What was mounted and registered for it is gone.
    assert str(machine_board.prefix / "machine") not in Path("/proc/mounts").read_text()
    assert not Path("/proc/sys/fs/binfmt_misc/edgeocr").exists()


def test_the_shell_takes_the_command_of_an_ssh_client(machine_board: EmulatedBoard) -> None:
    environment = {**os.environ, "SSH_ORIGINAL_COMMAND": "echo $((40 + 2)); uname -m"}
    done = subprocess.run(
        [machine_board.shell], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "42\naarch64\n"
    del environment["SSH_ORIGINAL_COMMAND"]
    done = subprocess.run([machine_board.shell], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "takes commands" in done.stderr
