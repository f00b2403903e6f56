"""Runs on the target: ends what was begun there when the line to the host is cut.

    python3 -c BOOTSTRAP hold SILENCE remove|keep [PARENT]      < this file, then the line
    python3 FOLDER/lifeline.py receive FOLDER                   < tar archive
    python3 FOLDER/lifeline.py attend SILENCE FOLDER [NAME=VALUE ...] COMMAND ...   < the line

``hold`` makes a new folder in PARENT, tells in one row of JSON what the machine is, and removes
the folder when the line ends, or keeps it. ``receive`` unpacks an archive there. ``attend`` runs
a command in it, in a process group of its own, and kills that group when the line ends.

The line is standard input: the host writes to it every few seconds and closes it when it is
done. It ends as well when nothing came for SILENCE seconds, since a network that is gone closes
nothing.

Standard library only, nothing of edgeocr, and no news since Python 3.7: this is what a target
runs before it has anything, and what tells that its Python is too old.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import select
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

BOOTSTRAP = "import sys; source = sys.stdin.buffer.read({bytes}); exec(source)"
"""Takes the program from the head of standard input. What it reads beyond is line."""
MARK = "edgeocr-bench-target "
"""Begins the row of ``hold``; a login shell may print rows of its own before it."""
PREFIX = "edgeocr-bench-"
REMOVE_S = 20.0
"""How long processes that are being killed may go on writing into the folder."""
MODULES = ("numpy", "ai_edge_litert", "cv2", "pyclipper")
SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


class LineCut(Exception):  # noqa: N818  # an event, as KeyboardInterrupt is
    """A signal asks this process to end."""


def main(mode: str, *arguments: str) -> int:
    for number in SIGNALS:
        signal.signal(number, cut)
    if mode == "hold":
        return hold(*arguments)
    if mode == "receive":
        return receive(*arguments)
    return attend(*arguments)


def cut(number: int, _: object) -> None:
    raise LineCut(number)


def hold(silence: str, then: str, parent: str | None = None) -> int:
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent or roomy_folder()))
    except OSError as error:
        return fail(f"can't make a folder on the target: {error}")
    try:
        (folder / "lifeline.py").write_bytes(globals()["source"])
        print(MARK + json.dumps(facts(folder)), flush=True)
        wait_for_the_end(silence)
    except LineCut:
        pass
    except OSError as error:
        fail(f"can't use {folder} on the target: {error}")
    finally:
        for number in SIGNALS:  # None may stop the removal.
            signal.signal(number, signal.SIG_IGN)
        left = then == "remove" and remove(folder)
    return fail(f"can't remove {folder} on the target") if left else 0


def receive(folder: str) -> int:
    try:
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
            # Newer Pythons ask which members are trusted; older ones don't know the question.
            trusted = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(folder, **trusted)  # type: ignore[arg-type]
    except LineCut:
        return 1
    except (OSError, EOFError, tarfile.TarError) as error:
        return fail(f"can't write to {folder} on the target: {error}")
    return 0


def attend(silence: str, folder: str, *arguments: str) -> int:
    command = list(arguments)
    environment = dict(os.environ)
    while "=" in command[0]:
        name, _, value = command.pop(0).partition("=")
        environment[name] = value
    ended, end = os.pipe()
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )

    def reap() -> None:
        child.wait()
        os.write(end, b".")

    try:
        threading.Thread(target=reap, daemon=True).start()
        wait_for_the_end(silence, ended)
    except LineCut:
        pass
    finally:
        # Also after a good end: what the command left running is not to stay.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    status = child.wait()
    return status if status >= 0 else 128 - status  # As a shell tells it.


def wait_for_the_end(silence: str, other: int | None = None) -> None:
    """Until the line is closed or silent for too long, or the other descriptor can be read."""
    watched = [0] if other is None else [0, other]
    while True:
        ready, _, _ = select.select(watched, [], [], float(silence))
        if ready != [0] or not os.read(0, 65536):
            return


def remove(folder: Path) -> bool:
    """Whether something is left."""
    last = time.monotonic() + REMOVE_S
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return False
        if time.monotonic() > last:
            return True
        time.sleep(0.1)


def roomy_folder() -> str:
    """/tmp is often in memory, which small boards need for what is measured."""
    return "/var/tmp" if os.access("/var/tmp", os.W_OK | os.X_OK) else tempfile.gettempdir()


def facts(folder: Path) -> dict[str, object]:
    return {
        "folder": str(folder),
        "system": platform.system(),
        "machine": platform.machine(),
        "bits": struct.calcsize("P") * 8,
        "implementation": platform.python_implementation(),
        "python": platform.python_version(),
        "abiflags": sys.abiflags,
        "libc": " ".join(platform.libc_ver()).strip(),
        "model": model(),
        "free_bytes": shutil.disk_usage(str(folder)).free,
        "modules": [name for name in MODULES if importlib.util.find_spec(name)],
    }


def model() -> str:
    """What the board is called, where its firmware tells."""
    for path in ("/proc/device-tree/model", "/sys/class/dmi/id/product_name"):
        with contextlib.suppress(OSError):
            return Path(path).read_bytes().rstrip(b"\0\n").decode("utf-8", "replace")
    return ""


def fail(message: str) -> int:
    with contextlib.suppress(OSError):  # Who would read this may be gone with the line.
        print(message, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
