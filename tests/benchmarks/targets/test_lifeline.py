"""Nothing outlives its line to the host."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeocr_benchmarks.targets import lifeline

PROGRAM = Path(lifeline.__file__)
Eventually = Callable[[Callable[[], bool]], bool]
ProcessesOf = Callable[[Path | str], list[str]]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the program with an open line."""
    started: list[subprocess.Popen[bytes]] = []

    def popen(*words: str | Path) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [str(word) for word in (sys.executable, *words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield popen
    for process in started:
        process.kill()
        with process:  # Which closes its pipes.
            pass


def hold(
    start: Start, parent: Path, *, silence: str = "60", then: str = "remove"
) -> tuple[subprocess.Popen[bytes], Path]:
    bootstrap = lifeline.BOOTSTRAP.format(bytes=PROGRAM.stat().st_size)
    process = start("-c", bootstrap, "hold", silence, then, parent)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(PROGRAM.read_bytes())
    process.stdin.flush()
    row = process.stdout.readline().decode()
    assert row.startswith(lifeline.MARK)
    return process, Path(json.loads(row.removeprefix(lifeline.MARK))["folder"])


def test_it_needs_no_newer_python_than_it_says() -> None:
    ast.parse(PROGRAM.read_text(), feature_version=(3, 7))


def test_the_folder_is_there_until_the_line_is_closed(start: Start, tmp_path: Path) -> None:
    process, folder = hold(start, tmp_path)
    assert folder.parent == tmp_path
    assert (folder / "lifeline.py").read_bytes() == PROGRAM.read_bytes()
    (folder / "deep").mkdir()
    (folder / "deep/file").write_text("x")
    process.communicate()
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_the_folder_goes_with_a_signal(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    process, _ = hold(start, tmp_path)
    process.send_signal(number)
    assert process.wait() == 0
    assert list(tmp_path.iterdir()) == []


def test_the_folder_goes_when_nothing_is_heard(start: Start, tmp_path: Path) -> None:
    process, _ = hold(start, tmp_path, silence="0.5")
    assert process.wait() == 0, "the line is still open"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_to_stay(start: Start, tmp_path: Path) -> None:
    process, folder = hold(start, tmp_path, then="keep")
    process.communicate()
    assert folder.is_dir()


def test_a_parent_that_is_not_there(start: Start, tmp_path: Path) -> None:
    bootstrap = lifeline.BOOTSTRAP.format(bytes=PROGRAM.stat().st_size)
    process = start("-c", bootstrap, "hold", "60", "remove", tmp_path / "no")
    _, said = process.communicate(PROGRAM.read_bytes())
    assert process.returncode == 1
    assert said.decode().startswith("can't make a folder on the target: ")
    assert "Traceback" not in said.decode()


def attend(start: Start, folder: Path, *words: str, silence: str = "60") -> subprocess.Popen[bytes]:
    return start(PROGRAM, "attend", silence, folder, *words)


@pytest.mark.parametrize("end", ["closed", "silent", "signal", "killed host"])
def test_a_command_ends_with_its_line_and_takes_its_children_along(
    start: Start, tmp_path: Path, eventually: Eventually, processes_of: ProcessesOf, end: str
) -> None:
    (tmp_path / "child.py").write_text(
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', sys.argv[1]])\n"
        "print('started', flush=True)\n"
        "time.sleep(1000)\n"
    )
    silence = "3" if end == "silent" else "60"  # longer than a busy machine takes to start
    words = (sys.executable, "child.py", str(tmp_path))
    process = attend(start, tmp_path, *words, silence=silence)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    # The child of the child may just be born, without its words yet.
    assert eventually(lambda: len(processes_of(tmp_path)) == 3)
    if end == "closed":
        process.stdin.close()
    elif end == "signal":
        process.terminate()
    elif end == "killed host":
        process.stdin.close()
        process.stdout.close()
    assert process.wait() == 128 + signal.SIGKILL
    assert eventually(lambda: processes_of(tmp_path) == [])


def test_what_a_command_leaves_running_ends_too(
    start: Start, tmp_path: Path, eventually: Eventually, processes_of: ProcessesOf
) -> None:
    sleeper = f"{sys.executable} -c 'import time; time.sleep(1000)' {tmp_path}"
    process = attend(start, tmp_path, "sh", "-c", f"{sleeper} & echo started")
    assert process.wait() == 0
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    assert eventually(lambda: processes_of(tmp_path) == [])


@pytest.mark.parametrize("status", [0, 2, 127])
def test_the_exit_status_is_the_command_s(start: Start, tmp_path: Path, status: int) -> None:
    process = attend(start, tmp_path, "sh", "-c", f"exit {status}")
    assert process.wait() == status


def test_a_command_gets_its_settings_and_its_folder(start: Start, tmp_path: Path) -> None:
    process = attend(start, tmp_path, "NAME=a b=c", "sh", "-c", 'pwd; echo "$NAME"')
    assert process.stdout is not None
    # Read with the line open: closing it ends the command.
    said = process.stdout.read()
    assert said.decode().splitlines() == [str(tmp_path), "a b=c"]


def test_an_archive_that_ends_too_soon(start: Start, tmp_path: Path) -> None:
    archive = tmp_path / "payload.tar"
    (tmp_path / "file").write_bytes(bytes(100_000))
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "file", "file")
    target = tmp_path / "target"
    target.mkdir()
    process = start(PROGRAM, "receive", target)
    _, said = process.communicate(archive.read_bytes()[:50_000])
    assert process.returncode == 1
    assert said.decode().startswith(f"can't write to {target} on the target: ")
    assert "Traceback" not in said.decode()
