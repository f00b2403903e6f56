"""A phone that there is not: an adb server that the real adb client talks to.

It speaks the client's side of adb's smart-socket protocol and has one device. The device is a
folder: its shell runs this machine's sh with Android's programs replaced by small scripts, and
its app is the Python probe, started and stopped as Android does.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SERIAL = "phone64"
APP = "io.github.edgeocr.demo"
# What a device path becomes: Android's folders are below the phone's own.
_FOLDERS = ("/sdcard/", "/data/local/tmp", "/sys/", "/proc/")
# Kinds of packets of the shell protocol.
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)

_PROGRAMS = {
    "pm": """
case "$1" in
    path) [ -e "$PHONE/app.apk" ] && echo "package:/data/app/base.apk" || exit 1 ;;
    install) cp "$3" "$PHONE/app.apk" && echo Success ;;
    uninstall) rm "$PHONE/app.apk" && echo Success ;;
esac
""",
    "am": """
case "$1" in
    start)
        while [ "$1" != run ]; do shift; done
        cd "$PHONE/sdcard/Android/data/APP/files/$2" || { echo "Error: no such run"; exit 0; }
        rm -f "$PHONE/app.pid"
        # The app itself says who it is: where setsid has to fork, $! would be somebody else.
        setsid sh -c 'echo $$ > "$PHONE/app.pid"; exec sh "$PHONE/app.sh"' \\
            >/dev/null 2>&1 </dev/null &
        while [ ! -s "$PHONE/app.pid" ]; do sleep 0.02; done
        echo "Status: ok" ;;
    force-stop)
        pid=$(cat "$PHONE/app.pid" 2>/dev/null) && kill -s KILL -- "-$pid" 2>/dev/null
        true ;;
esac
""",
    "pidof": """
pid=$(cat "$PHONE/app.pid" 2>/dev/null) || exit 1
[ -n "$(tr -d '\\0' < "/proc/$pid/cmdline" 2>/dev/null)" ] && echo "$pid"
""",
    "getprop": """
echo "[ro.build.fingerprint]: [maker/phone64/phone64:14/UP1A/1:user/release-keys]"
echo "[ro.build.version.release]: [14]"
echo "[ro.product.cpu.abi]: [arm64-v8a]"
echo "[ro.product.manufacturer]: [Maker]"
echo "[ro.product.model]: [Phone 64]"
echo "[ro.soc.model]: [SM8150]"
""",
    "dumpsys": """
case "$1" in
    battery) printf 'Current Battery Service state:\\n  level: 81\\n  scale: 100\\n' ;;
    thermalservice)
        printf 'Thermal Status: 1\\nCurrent temperatures from HAL:\\n'
        printf '\\tTemperature{mValue=39.5, mType=0, mName=CPU0, mStatus=1}\\n' ;;
esac
""",
    "input": 'echo "$*" >> "$PHONE/input.log"',
    "logcat": 'echo "E edgeocr-bench: java.lang.OutOfMemoryError"',
}

MEASURES = f"exec {shlex.quote(sys.executable)} -m edgeocr_benchmarks.probe plan.json result.json"
ROOT = Path(__file__).resolve().parents[4]
DESKTOP = shlex.quote(str(ROOT / "android_demo/desktop.sh"))
APPS = {
    # The app's own Java code, on this machine's JVM.
    "is the demo": f"PYTHON={shlex.quote(sys.executable)} exec {DESKTOP} measure .",
    "measures": f"{MEASURES} > progress.txt",
    "refuses": "echo 'can not use 4 processes' > error.txt.part; mv error.txt.part error.txt",
    "dies": "echo 'det 1/3' > progress.txt; sleep 0.5; kill -9 $$",
    "goes on": "i=0; while true; do i=$((i + 1)); echo det $i >> progress.txt; sleep 0.2; done",
}


class Phone:
    """The device and its server, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / f"sdcard/Android/data/{APP}/files"
        self.authorised = True
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._plugged_in = True
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        for path in (self.files, folder / "data/local/tmp", folder / "bin", folder / "proc"):
            path.mkdir(parents=True)
        for name, script in _PROGRAMS.items():
            program = folder / "bin" / name
            program.write_text(f"#!/bin/sh\n{script}".replace("APP", APP))
            program.chmod(0o755)
        self._write_system()
        self.becomes("measures")
        self._start(self._accept)

    def becomes(self, kind: str) -> None:
        """What the app does when it is started."""
        (self.folder / "app.sh").write_text(APPS[kind] + "\n")

    def install(self) -> None:
        (self.folder / "app.apk").write_bytes(b"installed before")

    @property
    def has_app(self) -> bool:
        return (self.folder / "app.apk").exists()

    @property
    def app_runs(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            process = Path("/proc") / (self.folder / "app.pid").read_text().strip()
            return (process / "cmdline").read_bytes() != b""  # empty: dead, not yet buried
        return False

    def unplug(self) -> None:
        self._plugged_in = False
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.unplug()
        with contextlib.suppress(OSError, ValueError):
            os.killpg(int((self.folder / "app.pid").read_text()), signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join()
        for connection in self._connections:
            connection.close()
        subprocess.run(("sh", "-c", "am force-stop x"), env=self._environment(), check=False)

    def _write_system(self) -> None:
        (self.folder / "proc/loadavg").write_text("1.25 1.00 0.90 2/900 4242\n")
        (self.folder / "proc/cpuinfo").write_text(
            "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd05\n"
            "processor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd0d\n"
        )
        for cpu, khz in enumerate((1804800, 2419200)):
            clock = self.folder / f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
            clock.mkdir(parents=True)
            (clock / "cpuinfo_max_freq").write_text(f"{khz}\n")
            (clock / "scaling_cur_freq").write_text(f"{khz - 600}\n")
            (clock / "scaling_governor").write_text("schedutil\n")
        zone = self.folder / "sys/class/thermal/thermal_zone0"
        zone.mkdir(parents=True)
        (zone / "temp").write_text("41200\n")
        (zone / "type").write_text("soc-thermal\n")

    def _environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PHONE": str(self.folder)}

    def _here(self, path: str) -> str:
        for folder in _FOLDERS:
            path = path.replace(folder, f"{self.folder}{folder}")
        return path

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._connections.append(connection)
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            while self._answer(connection, _text(connection)):
                pass
        connection.close()

    def _answer(self, connection: socket.socket, request: str) -> bool:
        """Whether another request may follow on this connection."""
        if request == "host:version":
            _okay(connection, "0029")
        elif request.startswith("host:devices"):
            state = "device" if self.authorised else "unauthorized"
            _okay(connection, f"{SERIAL}\t{state}\n" if self._plugged_in else "")
        elif request.startswith("host") and not self._plugged_in:
            _fail(connection, "no devices/emulators found")
        elif request.startswith("host") and not self.authorised:
            _fail(connection, "device unauthorized.\nCheck the dialog on your device.")
        elif request.startswith("host-serial:") and not request.startswith(f"host-serial:{SERIAL}"):
            _fail(connection, f"device '{request.split(':')[1]}' not found")
        elif request.endswith("features"):
            _okay(connection, "shell_v2,stat_v2,fixed_push_mkdir")
        elif request.startswith(("host:transport", "host:tport")):
            named = request.partition("serial:")[2] or request.partition("transport:")[2]
            if named not in ("", SERIAL):
                _fail(connection, f"device '{named}' not found")
                return False
            connection.sendall(b"OKAY")
            if request.startswith("host:tport"):
                connection.sendall(struct.pack("<Q", 1))
            return True
        elif request.startswith("shell"):
            self._shell(connection, request.partition(":")[2])
        elif request == "sync:":
            connection.sendall(b"OKAY")
            while self._sync(connection):
                pass
        else:
            _fail(connection, f"this phone does not know {request}")
        return False

    def _shell(self, connection: socket.socket, command: str) -> None:
        """The second version of the shell protocol: packets of (kind, length, bytes)."""
        connection.sendall(b"OKAY")
        process = subprocess.Popen(
            ("sh", "-c", self._here(command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment(),
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        pumps = [
            self._start(_pump, process.stdout, connection, _STDOUT),
            self._start(_pump, process.stderr, connection, _STDERR),
            self._start(_feed, connection, process),
        ]
        status = process.wait()
        for pump in pumps[:2]:
            pump.join()
        with contextlib.suppress(OSError):
            connection.sendall(struct.pack("<BIB", _EXIT, 1, status & 255))
            connection.shutdown(socket.SHUT_WR)
        # Closed before the client has read, the exit status would be lost.
        pumps[2].join()

    def _sync(self, connection: socket.socket) -> bool:
        """One request of the file protocol; whether another may follow."""
        kind, length = struct.unpack("<4sI", _exactly(connection, 8))
        if kind == b"QUIT":
            return False
        name = self._here(_exactly(connection, length).decode())
        if kind in (b"STA2", b"LST2"):
            connection.sendall(kind + _stat(Path(name)))
        elif kind == b"SEND":
            path, _, mode = name.rpartition(",")
            self._receive(connection, Path(path), int(mode) & 0o777)
        elif kind == b"RECV":
            content = Path(name).read_bytes()
            for start in range(0, len(content), 65536):
                block = content[start : start + 65536]
                connection.sendall(struct.pack("<4sI", b"DATA", len(block)) + block)
            connection.sendall(struct.pack("<4sI", b"DONE", 0))
        else:
            raise EOFError(kind)
        return True

    def _receive(self, connection: socket.socket, path: Path, mode: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            while True:
                kind, length = struct.unpack("<4sI", _exactly(connection, 8))
                if kind == b"DONE":
                    break
                file.write(_exactly(connection, length))
        path.chmod(mode)
        connection.sendall(struct.pack("<4sI", b"OKAY", 0))


def _exactly(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        block = connection.recv(count - len(content))
        if not block:
            raise EOFError
        content += block
    return content


def _text(connection: socket.socket) -> str:
    return _exactly(connection, int(_exactly(connection, 4), 16)).decode()


def _okay(connection: socket.socket, answer: str) -> None:
    connection.sendall(b"OKAY" + f"{len(answer):04x}{answer}".encode())


def _fail(connection: socket.socket, reason: str) -> None:
    connection.sendall(b"FAIL" + f"{len(reason):04x}{reason}".encode())


def _stat(path: Path) -> bytes:
    try:
        found = path.stat()
    except OSError:
        return struct.pack("<IQQIIIIQqqq", 2, *(0 for _ in range(10)))
    times = (int(found.st_atime), int(found.st_mtime), int(found.st_ctime))
    facts = (found.st_dev, found.st_ino, found.st_mode, found.st_nlink, 0, 0, found.st_size)
    return struct.pack("<IQQIIIIQqqq", 0, *facts, *times)


def _pump(source: object, connection: socket.socket, kind: int) -> None:
    with contextlib.suppress(OSError):
        while block := source.read1(65536):  # type: ignore[attr-defined]
            connection.sendall(struct.pack("<BI", kind, len(block)) + block)
    source.close()  # type: ignore[attr-defined]


def _feed(connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """Standard input; and a hang-up, as adbd sends it, where the connection is lost."""
    assert process.stdin is not None
    with contextlib.suppress(OSError, EOFError):
        while True:
            kind, length = struct.unpack("<BI", _exactly(connection, 5))
            content = _exactly(connection, length)
            if kind == _STDIN:
                process.stdin.write(content)
                process.stdin.flush()
            elif kind == _CLOSE_STDIN:
                process.stdin.close()
    with contextlib.suppress(OSError):
        process.stdin.close()
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGHUP)


@pytest.fixture
def phone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    programs: Callable[..., dict[str, str]],
) -> Iterator[Phone]:
    programs("adb")
    phone = Phone(tmp_path / "phone")
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(phone.port))
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    try:
        yield phone
    finally:
        phone.close()
