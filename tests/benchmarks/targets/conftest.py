"""An sshd of the tests' own on loopback, a wire to it that can be cut, and a payload to measure."""

from __future__ import annotations

import contextlib
import getpass
import os
import selectors
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np
import pytest

from edgeocr_benchmarks.plan import FILE_NAME, PlannedBundle, PlannedImage, ProbePlan

ROOT = Path(__file__).resolve().parents[3]
TINY_BUNDLE = ROOT / "tests/golden/tiny-int8"
PATIENCE_S = 30.0
"""A busy machine may take long for what takes milliseconds."""


@pytest.fixture(scope="session", autouse=True)
def signals_that_reach_children() -> None:
    """Processes inherit what is ignored, and of a job in the background that is SIGINT."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(
                number,
                signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL,
            )


def do_without(reason: str) -> NoReturn:
    """Skips a test, unless this machine must be able to run all."""
    if os.environ.get("EDGEOCR_ALL_TOOLS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def find_programs(
    *programs: str, packages: str = "benchmarks/target_packages.sh"
) -> dict[str, str]:
    """Paths of programs. Without one a test is skipped, unless all tools must be here."""
    places = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    found = {program: shutil.which(program, path=places) for program in programs}
    missing = [program for program, path in found.items() if path is None]
    if missing:
        do_without(f"{', '.join(missing)} not here: {packages} installs them")
    return {program: path for program, path in found.items() if path is not None}


def wait_until(condition: Callable[[], bool]) -> bool:
    last = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > last:
            return False
        time.sleep(0.05)
    return True


def list_processes(folder: Path | str) -> list[str]:
    """Command lines of all processes that name a folder, but this one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if int(entry.name) != os.getpid() and any(str(folder).encode() in w for w in words):
                found.append(b" ".join(words).decode(errors="replace"))
    return found


def paint_line(path: Path) -> None:
    """A page with the line "abcd" in the picture language of tests/golden/make_tiny_bundle.py."""
    page = np.full((180, 250, 3), 255, np.uint8)
    line = page[10:42, 20:164]
    line[:] = 0, 0, 255
    for row in range(4):
        line[8 * row : 8 * row + 8, 32 * row + 16 : 32 * row + 32] = 0, 255, 255
    line[-4:, :, 2] = 160
    assert cv2.imwrite(str(path), page)


def write_payload(folder: Path, *, rounds: int = 1) -> Path:
    """One page for the tiny bundle; many rounds make a run that somebody has to end."""
    (folder / "images").mkdir(parents=True)
    paint_line(folder / "images/page.png")
    shutil.copytree(TINY_BUNDLE, folder / "bundles/tiny")
    ProbePlan(
        bundles=(PlannedBundle(name="tiny", path="bundles/tiny"),),
        images=(PlannedImage(name="page", path="images/page.png"),),
        rounds=rounds,
        warm_ups=1,
        cold_starts=0,
        rest_s=0.0 if rounds == 1 else 0.05,
    ).write(folder / FILE_NAME)
    return folder


@pytest.fixture(scope="session")
def programs() -> Callable[..., dict[str, str]]:
    """Finds programs by name, see :func:`find_programs`."""
    return find_programs


@pytest.fixture(scope="session")
def cannot() -> Callable[[str], NoReturn]:
    """Ends a test that this machine can't run, see :func:`do_without`."""
    return do_without


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Waits until something is so; whether it came to that."""
    return wait_until


@pytest.fixture(scope="session")
def processes_of() -> Callable[[Path | str], list[str]]:
    return list_processes


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    return write_payload(tmp_path / "payload")


@pytest.fixture
def endless_payload(tmp_path: Path) -> Path:
    return write_payload(tmp_path / "payload", rounds=1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sshd:
    """A running sshd."""

    port: int
    user: str
    folder: Path
    """Keys and configuration; known_hosts knows this sshd."""

    @property
    def identity(self) -> Path:
        return self.folder / "user_key"

    def options(self, port: int | None = None) -> tuple[str, ...]:
        """What a client is told, whatever port it goes through."""
        return (
            f"UserKnownHostsFile={self.folder / 'known_hosts'}",
            "GlobalKnownHostsFile=/dev/null",
            "HostKeyAlias=edgeocr-test",
        )


@contextlib.contextmanager
def running_sshd(folder: Path, *extra: str) -> Iterator[Sshd]:
    """An sshd on loopback with a key, a port and users' keys of its own."""
    programs = find_programs("sshd", "ssh", "ssh-keygen")
    folder.mkdir(parents=True)
    for name in ("host_key", "user_key"):
        keygen = (programs["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-f", folder / name)
        subprocess.run(keygen, check=True)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    host_key = (folder / "host_key.pub").read_text().split()
    (folder / "known_hosts").write_text(f"edgeocr-test {host_key[0]} {host_key[1]}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    (folder / "sshd_config").write_text(
        "\n".join(
            (
                f"Port {port}",
                "ListenAddress 127.0.0.1",
                f"HostKey {folder / 'host_key'}",
                f"AuthorizedKeysFile {folder / 'authorized_keys'}",
                "PidFile none",
                "StrictModes no",
                "UsePAM no",
                "PasswordAuthentication no",
                "KbdInteractiveAuthentication no",
                "PermitRootLogin yes",
                *extra,
                "",
            )
        )
    )
    if (
        os.geteuid() == 0
    ):  # What it wants as root, and Debian makes when it is started as a service.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            (programs["sshd"], "-D", "-e", "-f", str(folder / "sshd_config")),
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
    try:

        def listens() -> bool:
            assert server.poll() is None, (folder / "log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        assert wait_until(listens), (folder / "log").read_text()
        yield Sshd(port=port, user=getpass.getuser(), folder=folder)
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("ssh") / "sshd") as server:
        yield server


RunSshd = Callable[..., contextlib.AbstractContextManager[Sshd]]


@pytest.fixture
def run_sshd(tmp_path: Path) -> RunSshd:
    """Runs one more sshd, with rows of its own in its configuration."""
    return lambda *extra: running_sshd(tmp_path / "sshd", *extra)


class Wire:
    """Forwards one port to another until it is cut, or frozen: open, but carrying nothing."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._frozen = threading.Event()
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def freeze(self) -> None:
        self._frozen.set()

    def cut(self) -> None:
        self._closed.set()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join()
        for end in self._sockets:
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._closed.is_set():
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                forward = threading.Thread(target=self._forward, args=(near, far))
                self._threads.append(forward)
                forward.start()

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        with selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while not self._closed.is_set():
                for key, _ in selector.select(0.1):
                    if self._frozen.is_set():
                        time.sleep(0.05)
                        continue
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        near.shutdown(socket.SHUT_RDWR)
                        far.shutdown(socket.SHUT_RDWR)
                        return
                    key.data.sendall(data)


@pytest.fixture
def wire(sshd: Sshd) -> Iterator[Wire]:
    wire = Wire(sshd.port)
    try:
        yield wire
    finally:
        wire.close()
