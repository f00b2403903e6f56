"""What emulation needs from the machine, and how it asks for what is not there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from edgeocr_benchmarks.emulation.errors import EmulationError

EMULATOR: Final = "qemu-aarch64"

# Program to Debian package. Of qemu-user-static, whose emulator takes no plugins, the program
# is qemu-aarch64-static.
_PACKAGES: Final = {EMULATOR: "qemu-user", "mmdebstrap": "mmdebstrap", "gcc": "gcc"}


def missing_packages() -> tuple[str, ...]:
    """Debian packages without which no board can be emulated here; none if all are there."""
    return tuple(package for program, package in _PACKAGES.items() if not shutil.which(program))


def program(name: str) -> str:
    """The path of a program.

    Raises:
        EmulationError: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        package = _PACKAGES.get(name, name)
        raise EmulationError(
            f"{name} is not installed; on Debian: apt-get install --no-install-recommends {package}"
        )
    return found


def run(
    command: Sequence[str | Path], *, doing: str, environment: Mapping[str, str] | None = None
) -> str:
    """Runs a program of this machine to its end and returns what it printed.

    Args:
        command: program and arguments.
        doing: what for, in errors: "unpacking the wheels".
        environment: added to this process's own.

    Raises:
        EmulationError: it can't be started, or fails; with the last rows that it wrote.
    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise EmulationError(f"{doing} failed: can't run {command[0]}: {error}") from error
    if done.returncode:
        rows = (done.stderr or done.stdout).strip().splitlines()
        said = " | ".join(rows[-3:]) or f"{command[0]} ended with {done.returncode}"
        raise EmulationError(f"{doing} failed: {said}")
    return done.stdout
