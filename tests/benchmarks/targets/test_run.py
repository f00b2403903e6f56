"""The commands ``run`` and ``doctor`` as a user types them."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from edgeocr_benchmarks.__main__ import main
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.results import read_result

if TYPE_CHECKING:
    from tests.benchmarks.targets.conftest import Sshd

Eventually = Callable[[Callable[[], bool]], bool]
ProcessesOf = Callable[[Path | str], list[str]]

ROOT = Path(__file__).resolve().parents[3]
TINY_BUNDLE = ROOT / "tests/golden/tiny-int8"


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    folder = tmp_path / "on the target"
    folder.mkdir()
    return folder


def run(target: str, *given: str | Path, rounds: int = 1) -> list[str]:
    image = ROOT / "sdk/edgeocr/self_test.png"
    amount = ("--rounds", rounds, "--warm-ups", 1, "--cold-starts", 0, "--rest", 0.01)
    words = ("run", "--target", target, "--bundle", TINY_BUNDLE, "--image", image)
    return [str(word) for word in (*words, *amount, *given)]


def ssh(sshd: Sshd, *given: str | Path) -> list[str | Path]:
    options = [word for option in sshd.options() for word in ("--ssh-option", option)]
    return [*options, "--identity", sshd.identity, "--python", sys.executable, *given]


def test_a_run_on_this_machine(
    parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result.json"
    command = run("local", "--parent", parent, "--out", out)
    assert main(command) == 0
    said = capsys.readouterr()
    result = read_result(out)
    assert isinstance(result, DeviceResult)
    assert result.target == "local"
    assert result.command == ("edgeocr-bench", *command)
    assert result.readings == (), "what was read stays where it was"
    assert "det" in said.out
    assert said.err == "", "no terminal, no progress"
    assert list(parent.iterdir()) == []


def commands(printed: str) -> list[list[str]]:
    """Commands as a POSIX shell splits them, folders with random names made equal."""
    rows = [row for row in printed.splitlines() if row and not row.startswith(("#", "["))]
    same = [re.sub(r"(edgeocr-[a-z]+-)[a-z0-9_]{8}\b", r"\1RANDOM", row) for row in rows]
    return [shlex.split(row.removesuffix(" &")) for row in same]


@pytest.mark.parametrize("target", ["local", "ssh"])
def test_a_dry_run_prints_just_what_a_run_runs(
    target: str,
    request: pytest.FixtureRequest,
    parent: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: list[str | Path] = ["--parent", parent]
    if target == "ssh":
        sshd: Sshd = request.getfixturevalue("sshd")
        target = f"ssh:{sshd.user}@127.0.0.1:{sshd.port}"
        given += ssh(sshd, "--carry", "edgeocr")
    assert main(run(target, *given, "--dry-run")) == 0
    dry = commands(capsys.readouterr().out)
    assert list(parent.iterdir()) == []

    assert main(run(target, *given, "--verbose")) == 0
    real = commands(capsys.readouterr().err)
    assert len(dry) >= 4
    assert dry == real


@pytest.mark.parametrize(
    ("target", "given", "expected"),
    [
        (
            "ssh:pi@board.invalid:2222",
            (),
            [("ssh", "hold"), ("pip", "download"), ("ssh", "receive"), ("ssh", "wheels/pip-")],
        ),
        ("ssh:pi@board.invalid", ("--carry", "edgeocr"), [("ssh", "hold"), ("ssh", "zipfile")]),
        ("adb:none", (), [("pm path",), ("push",), ("am start",), ("pull", "result.json")]),
        ("qemu:pi4", (), [("targets.qemu", "pi4"), ("zipfile",), ("edgeocr_benchmarks.probe",)]),
    ],
)
def test_a_dry_run_needs_no_target(
    target: str,
    given: tuple[str, ...],
    expected: list[tuple[str, ...]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """It runs nothing: there are no programs to be found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(run(target, *given, "--dry-run")) == 0
    rows = [" ".join(words) for words in commands(capsys.readouterr().out)]
    for words in expected:  # In this order.
        while rows and not all(word in rows[0] for word in words):
            rows.pop(0)
        assert rows, f"no command with {words}"


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the command keeps its own files: a short path, as ssh's sockets need it."""
    with TemporaryDirectory(prefix="e-") as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
@pytest.mark.parametrize("target", ["local", "ssh"])
def test_a_run_that_is_ended_leaves_nothing(
    target: str,
    number: signal.Signals,
    status: int,
    request: pytest.FixtureRequest,
    parent: Path,
    temporary: Path,
    eventually: Eventually,
    processes_of: ProcessesOf,
) -> None:
    given: list[str | Path] = ["--parent", parent]
    if target == "ssh":
        sshd: Sshd = request.getfixturevalue("sshd")
        target = f"ssh:{sshd.user}@127.0.0.1:{sshd.port}"
        given += ssh(sshd, "--carry", "edgeocr")
    with subprocess.Popen(
        (
            *(sys.executable, "-m", "edgeocr_benchmarks"),
            *run(target, *given, "--verbose", rounds=1_000_000),
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        # As a shell does it: the interrupt reaches all that were not put aside.
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        assert any(row.startswith("[") and "warm" in row for row in process.stderr)
        assert processes_of(parent)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        process.wait()
        said = process.stderr.read()
    assert process.returncode == status
    assert "Traceback" not in said
    assert eventually(lambda: processes_of(parent) == []), processes_of(parent)
    assert eventually(lambda: list(parent.iterdir()) == [])
    if number != signal.SIGKILL:  # Which leaves it no time to tidy up on its own machine.
        assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "given", "reason"),
    [
        ("pi", (), "there is no target 'pi'; known are local, ssh:"),
        ("ssh:", (), "there is no target 'ssh:'"),
        ("local:here", (), "there is no target"),
        ("qemu:pi2", (), "there is no board 'pi2'; known are pi3, pi4, pi5"),
        ("ssh:-x", (), "is no address for ssh"),
        ("local", ("--identity", "key"), "local has no use for --identity"),
        ("qemu:pi4", ("--carry", "all"), "qemu:pi4 has no use for --carry"),
        ("ssh:pi@board", ("--apk", "demo.apk"), "ssh:pi@board has no use for --apk"),
        ("adb", ("--ssh-option", "Port=1"), "adb has no use for --ssh-option"),
        ("adb", ("--apk", "/nowhere/demo.apk"), "there is no file /nowhere/demo.apk"),
        ("ssh:pi@board", ("--identity", "/nowhere/key"), "there is no file /nowhere/key"),
        ("ssh:pi@board", ("--wheels", "/nowhere"), "there is no folder /nowhere"),
        ("local", ("--parent", "/nowhere"), "can't make a folder in /nowhere"),
        ("adb", ("--dry-run", "--processes", "4"), "leave that option out for adb"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(
    target: str, given: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(run(target, *given)) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert reason in said[0]


def test_the_doctor_of_this_machine(parent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--target", "local", "--parent", str(parent)]) == 0
    assert "ok    connection" in capsys.readouterr().out
    assert list(parent.iterdir()) == []


def test_the_doctor_of_a_board_that_does_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--target", "ssh:pi@127.0.0.1:1"]) == 1
    said = capsys.readouterr()
    assert "FAIL  connection" in said.out
    assert "nothing listens there" in said.out
    assert said.err == ""
