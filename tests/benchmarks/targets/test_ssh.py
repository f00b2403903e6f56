"""Runs through the real ssh client and a real sshd on loopback, and everything that goes wrong."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from edgeocr.errors import OptionError
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.errors import TargetError
from edgeocr_benchmarks.results import read_result
from edgeocr_benchmarks.targets.commands import RunningCommands
from edgeocr_benchmarks.targets.facts import ASSUMED_BOARD
from edgeocr_benchmarks.targets.folder_target import FolderTarget
from edgeocr_benchmarks.targets.ssh import Address, Ssh
from edgeocr_benchmarks.targets.target import measure_on

if TYPE_CHECKING:
    from tests.benchmarks.targets.conftest import Sshd, Wire

    Eventually = Callable[[Callable[[], bool]], bool]
    ProcessesOf = Callable[[Path | str], list[str]]


def board(
    sshd: Sshd,
    parent: Path,
    *,
    port: int | None = None,
    identity: Path | None = None,
    options: tuple[str, ...] | None = None,
    **given: Any,
) -> FolderTarget:
    """The sshd as a target. Its Python is this one, which has edgeocr's dependencies."""
    address = Address.parse(f"{sshd.user}@127.0.0.1:{port or sshd.port}")
    return FolderTarget(
        "ssh:board",
        transport=Ssh(
            address,
            identity=identity or sshd.identity,
            options=sshd.options() if options is None else options,
        ),
        commands=RunningCommands(),
        assumed=ASSUMED_BOARD,
        **{"python": sys.executable, "carry": "edgeocr", "parent": str(parent), **given},
    )


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """Where on the target the run's folder is made."""
    folder = tmp_path / "on the target"
    folder.mkdir()
    return folder


def test_a_run_brings_its_result_and_leaves_nothing(
    sshd: Sshd, parent: Path, payload: Path, tmp_path: Path, processes_of: ProcessesOf
) -> None:
    rows: list[str] = []
    result = tmp_path / "result.json"
    kept = measure_on(board(sshd, parent), payload, result, on_row=rows.append)
    assert kept is None
    read = read_result(result)
    assert isinstance(read, DeviceResult)
    assert [line.text for reading in read.readings for line in reading.lines] == ["abcd"]
    assert any("warm" in row for row in rows)
    assert list(parent.iterdir()) == []
    assert processes_of(parent) == []


def test_a_run_that_is_kept_is_all_there(
    sshd: Sshd, parent: Path, payload: Path, tmp_path: Path
) -> None:
    target = board(sshd, parent, keep=True)
    kept = measure_on(target, payload, tmp_path / "result.json", on_row=lambda _: None)
    (folder,) = parent.iterdir()
    assert kept == f"ssh:board {folder}"
    assert (folder / "result.json").read_bytes() == (tmp_path / "result.json").read_bytes()
    assert (folder / "site/edgeocr/ocr.py").is_file()


def test_a_board_that_is_fit_passes_the_doctor(sshd: Sshd, parent: Path) -> None:
    target = board(sshd, parent)
    findings = {finding.subject: finding for finding in target.check()}
    assert target.clean() is None
    assert {"connection", "machine", "python", "C library", "modules", "room"} == set(findings)
    assert all(finding.passed for finding in findings.values()), findings
    assert list(parent.iterdir()) == []


def test_the_doctor_looks_for_wheels_and_fetches_none(
    sshd: Sshd, parent: Path, tmp_path: Path
) -> None:
    (tmp_path / "wheels").mkdir()
    target = board(sshd, parent, carry="all", wheels=tmp_path / "wheels")
    (wheels,) = (finding for finding in target.check() if not finding.passed)
    target.clean()
    assert wheels.subject == "wheels"
    assert "could not find the wheels for" in wheels.detail
    assert "No matching distribution found" in wheels.detail
    assert list(parent.iterdir()) == []


def failure(target: FolderTarget, payload: Path, result: Path) -> str:
    with pytest.raises(TargetError) as raised:
        measure_on(target, payload, result, on_row=lambda _: None)
    assert not result.exists() or result.stat().st_size == 0
    return str(raised.value)


def test_an_unknown_board_is_refused(
    sshd: Sshd, parent: Path, payload: Path, tmp_path: Path
) -> None:
    (tmp_path / "known_hosts").write_text("")
    options = (f"UserKnownHostsFile={tmp_path / 'known_hosts'}", *sshd.options()[1:])
    said = failure(board(sshd, parent, options=options), payload, tmp_path / "result.json")
    assert "its host key is not known: connect once by hand" in said
    assert (tmp_path / "known_hosts").read_text() == "", "it was trusted at first sight"
    assert list(parent.iterdir()) == []


def test_a_changed_host_key_is_refused(
    sshd: Sshd, parent: Path, payload: Path, tmp_path: Path
) -> None:
    kind, key, *_ = (sshd.folder / "user_key.pub").read_text().split()
    (tmp_path / "known_hosts").write_text(f"edgeocr-test {kind} {key}\n")
    options = (f"UserKnownHostsFile={tmp_path / 'known_hosts'}", *sshd.options()[1:])
    said = failure(board(sshd, parent, options=options), payload, tmp_path / "result.json")
    assert "its host key is not the one that known_hosts has" in said
    assert list(parent.iterdir()) == []


def test_a_key_that_the_board_does_not_accept(
    sshd: Sshd, parent: Path, payload: Path, tmp_path: Path
) -> None:
    # The host's own key is as good a stranger as any.
    shutil.copy(sshd.folder / "host_key", tmp_path / "stranger")
    said = failure(
        board(sshd, parent, identity=tmp_path / "stranger"), payload, tmp_path / "result.json"
    )
    assert "it accepts no key of yours" in said


def test_a_closed_port(sshd: Sshd, parent: Path, payload: Path, tmp_path: Path) -> None:
    with socket.socket() as unused:  # Bound, but nobody listens.
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        said = failure(board(sshd, parent, port=port), payload, tmp_path / "result.json")
    assert "nothing listens there" in said
    assert f"port {port}" in said


def test_a_board_without_that_python(
    sshd: Sshd, parent: Path, payload: Path, tmp_path: Path
) -> None:
    target = board(sshd, parent, python="python-of-nobody")
    said = failure(target, payload, tmp_path / "result.json")
    assert "python-of-nobody" in said
    assert "not found" in said


def test_a_python_that_lacks_a_dependency(
    sshd: Sshd, parent: Path, payload: Path, tmp_path: Path, processes_of: ProcessesOf
) -> None:
    """The probe's own last words are the message."""
    empty = tmp_path / "empty"
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", empty), check=True)
    said = failure(
        board(sshd, parent, python=str(empty / "bin/python")), payload, tmp_path / "result.json"
    )
    assert "could not run the probe" in said
    assert "No module named" in said
    assert list(parent.iterdir()) == []
    assert processes_of(parent) == []


def test_wheels_that_there_are_not(
    sshd: Sshd, parent: Path, payload: Path, tmp_path: Path, processes_of: ProcessesOf
) -> None:
    (tmp_path / "wheels").mkdir()
    target = board(sshd, parent, carry="all", wheels=tmp_path / "wheels")
    said = failure(target, payload, tmp_path / "result.json")
    assert "could not download the wheels for" in said
    assert "No matching distribution found for pip" in said
    assert list(parent.iterdir()) == []
    assert processes_of(parent) == []


class Interference:
    """Something that happens once the probe has shown that it runs."""

    def __init__(self, happen: Callable[[], None]) -> None:
        self._happen = happen
        self.happened = False

    def __call__(self, row: str) -> None:
        if not self.happened:
            self.happened = True
            self._happen()


def test_a_connection_that_drops_in_mid_run(
    sshd: Sshd,
    wire: Wire,
    parent: Path,
    endless_payload: Path,
    tmp_path: Path,
    eventually: Eventually,
    processes_of: ProcessesOf,
) -> None:
    target = board(sshd, parent, port=wire.port)
    drop = Interference(wire.cut)
    with pytest.raises(TargetError, match="connection was lost, could not run the probe"):
        measure_on(target, endless_payload, tmp_path / "result.json", on_row=drop)
    assert drop.happened
    assert eventually(lambda: processes_of(parent) == []), processes_of(parent)
    assert eventually(lambda: list(parent.iterdir()) == [])


def test_a_network_that_is_gone_without_a_word(
    sshd: Sshd,
    wire: Wire,
    parent: Path,
    endless_payload: Path,
    tmp_path: Path,
    eventually: Eventually,
    processes_of: ProcessesOf,
) -> None:
    """No end of the connection is told that it is gone: both sides have to find out."""
    options = ("ServerAliveInterval=1", "ServerAliveCountMax=2", *sshd.options())
    # Longer than the host's sign of life every five seconds.
    target = board(sshd, parent, port=wire.port, options=options, silence_s=8)
    freeze = Interference(wire.freeze)
    with pytest.raises(TargetError, match="connection was lost"):
        measure_on(target, endless_payload, tmp_path / "result.json", on_row=freeze)
    assert freeze.happened
    assert eventually(lambda: processes_of(parent) == []), processes_of(parent)
    assert eventually(lambda: list(parent.iterdir()) == [])


@pytest.fixture
def small_disk(tmp_path: Path, cannot: Callable[[str], NoReturn]) -> Iterator[Path]:
    """A folder on a file system of 36 MB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=36m", "none", str(folder))
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        cannot(f"can't mount a small file system here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


def test_a_disk_that_is_too_small(
    sshd: Sshd, small_disk: Path, payload: Path, tmp_path: Path
) -> None:
    (small_disk / "other").write_bytes(bytes(32_000_000))
    said = failure(board(sshd, small_disk), payload, tmp_path / "result.json")
    assert f"no room in {small_disk}" in said
    assert "MB are free; --parent names another folder there" in said
    assert [path.name for path in small_disk.iterdir()] == ["other"]


def test_a_disk_that_is_full_while_the_payload_is_sent(
    sshd: Sshd, small_disk: Path, payload: Path, tmp_path: Path
) -> None:
    """Somebody else takes the room after it was asked for."""
    ballast = payload / "images/ballast"
    ballast.write_bytes(bytes(2_000_000))

    class FullBeforeTheTransfer(RunningCommands):
        def run(self, command):  # type: ignore[no-untyped-def]
            with (small_disk / "other").open("wb") as other:
                room = shutil.disk_usage(small_disk).free - 1_000_000
                other.write(bytes(room))
            return super().run(command)

    target = board(sshd, small_disk)
    target._commands = FullBeforeTheTransfer()
    said = failure(target, payload, tmp_path / "result.json")
    assert "No space left on device" in said
    assert "could not send" in said
    assert [path.name for path in small_disk.iterdir()] == ["other"]


def test_a_disk_that_is_full_when_the_result_is_written(
    sshd: Sshd, small_disk: Path, payload: Path, tmp_path: Path, processes_of: ProcessesOf
) -> None:
    def fill() -> None:
        with (small_disk / "other").open("wb") as other:
            other.write(bytes(shutil.disk_usage(small_disk).free))

    full = Interference(fill)
    with pytest.raises(TargetError, match=r"can't write .*result.json: No space left on device"):
        measure_on(board(sshd, small_disk), payload, tmp_path / "result.json", on_row=full)
    assert [path.name for path in small_disk.iterdir()] == ["other"]
    assert processes_of(small_disk) == []


@pytest.mark.parametrize(
    ("text", "destination", "port"),
    [
        ("pi@raspberrypi", "pi@raspberrypi", None),
        ("raspberrypi.local:2222", "raspberrypi.local", 2222),
        ("pi@[fe80::1%eth0]:22", "pi@fe80::1%eth0", 22),
        ("192.168.1.7", "192.168.1.7", None),
    ],
)
def test_addresses(text: str, destination: str, port: int | None) -> None:
    assert Address.parse(text) == Address(destination=destination, port=port)


@pytest.mark.parametrize(
    "text",
    ["", "-oProxyCommand=x", "pi@-host", "pi@", "a@b@c", "host:", "host:0", "host:70000", "h h"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(OptionError):
        Address.parse(text)
