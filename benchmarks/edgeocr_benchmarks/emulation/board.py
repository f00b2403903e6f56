"""One emulated board: its Python as a program of this machine, and the whole of it as a shell.

QEMU emulates the processor and hands system calls to this machine's kernel. A path that exists
below its prefix is looked up there first, so the prefix of a board holds little: libraries, and
/proc and /sys as far as they describe the processor. All other files are this machine's, at
their own paths.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeocr_benchmarks.emulation.boards import BoardModel, board_model, system_files
from edgeocr_benchmarks.emulation.errors import EmulationError
from edgeocr_benchmarks.emulation.packages import EMULATOR, program, run
from edgeocr_benchmarks.emulation.root import (
    PYTHON,
    cache_folder,
    locked,
    prepare_root,
    root_folder,
)

EMULATED: Final = "EDGEOCR_EMULATED"
"""Environment variable that is set for every program on a board: what emulates it. Whatever
measures time has to look at it."""

# What the prefix takes over from the root. More would hide this machine's files: with /tmp, a
# folder that was written could not be listed.
_LINKED: Final = ("lib", "usr/lib", "usr/local/lib")

# Of this machine's environment nothing that changes how programs are loaded; and OpenBLAS is
# not to start threads, which all emulate.
_ENVIRONMENT: Final = (
    *("-U", "LD_LIBRARY_PATH", "-U", "LD_PRELOAD", "-U", "PYTHONHOME"),
    *("-E", "OPENBLAS_NUM_THREADS=1", "-E", f"{EMULATED}=qemu-user"),
)

_MACHINE: Final = Path(__file__).with_name("machine.sh")

_NAMESPACE: Final = (
    *("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork"),
    *("--kill-child", "--mount-proc"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedBoard:
    """A board that is ready to run programs."""

    model: BoardModel
    root: Path
    """The arm64 Debian, shared by all boards."""
    prefix: Path
    """The board's own part of it: what QEMU looks paths up in."""

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def python(self) -> Path:
        """An executable of this machine that is the board's Python.

        It is also the ``sys.executable`` there, so a script can start itself once more.
        """
        return self.prefix / "usr/bin/python3"

    @property
    def shell(self) -> Path:
        """An executable of this machine: ``shell -c COMMAND`` runs it on the board as a whole.

        There ``uname -m`` says aarch64 and every program is the board's, in a root of its own
        with this machine's folders that ``EDGEOCR_BOARD_FOLDERS`` lists, separated by colons.
        Without ``-c`` the command is that of ``SSH_ORIGINAL_COMMAND``, so it can be the
        ForceCommand of an sshd. Needs :func:`can_enter_namespace`.
        """
        return self.prefix / "shell"

    @property
    def bytecode(self) -> Path:
        """Where Python keeps what it has compiled."""
        return self.root.parent / "bytecode"

    def command(
        self,
        file: str | Path,
        *arguments: str | Path,
        shown_as: Path | None = None,
        plugin: str = "",
    ) -> list[str]:
        """The command line that starts an aarch64 program on the board.

        Args:
            file: the program.
            arguments: of the program.
            shown_as: what it takes for its own path, if that is another.
            plugin: of QEMU: the path of its library and its settings, separated by commas.
        """
        name = () if shown_as is None else ("-0", str(shown_as))
        observed = ("-plugin", plugin) if plugin else ()
        return [
            program(EMULATOR),
            *("-cpu", self.model.processor, "-L", str(self.prefix)),
            *_ENVIRONMENT,
            *name,
            *observed,
            str(file),
            *map(str, arguments),
        ]

    def python_command(self, *arguments: str | Path, plugin: str = "") -> list[str]:
        """The command line that starts the board's Python.

        Args:
            arguments: of Python: a script, or ``-m`` and a module, and theirs.
            plugin: see :meth:`command`.
        """
        # A pyc file written beside a module would go astray: its folder exists in the prefix,
        # the file doesn't, so QEMU creates it in this machine's folder of that name.
        return self.command(
            self.root / f"usr/bin/python{PYTHON}",
            *("-X", f"pycache_prefix={self.bytecode}", *arguments),
            shown_as=self.python,
            plugin=plugin,
        )

    def run_python(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        plugin: str = "",
    ) -> str:
        """Runs Python on the board to its end and returns what it printed.

        Args:
            arguments: see :meth:`python_command`.
            environment: added to this process's own.
            plugin: see :meth:`command`.

        Raises:
            EmulationError: it failed; with the last rows that it wrote.
        """
        return run(
            self.python_command(*arguments, plugin=plugin),
            doing=f"running {' '.join(map(str, arguments))} on {self.name}",
            environment=environment,
        )


def planned_board(name: str, *, cache: Path | None = None) -> EmulatedBoard:
    """A board as :func:`prepare_board` makes it, whether it is there or not.

    Raises:
        EmulationError: there is no such board.
    """
    root = root_folder(cache or cache_folder())
    return EmulatedBoard(model=board_model(name), root=root, prefix=root.parent / name)


def prepare_board(name: str, *, cache: Path | None = None) -> EmulatedBoard:
    """Makes a board, or returns the one that was made before; that takes milliseconds.

    Args:
        name: one of :data:`~edgeocr_benchmarks.emulation.boards.BOARDS`.
        cache: folder that keeps it; default
            :func:`~edgeocr_benchmarks.emulation.root.cache_folder`.

    Raises:
        EmulationError: there is no such board, this machine lacks a package, a download fails,
            or the folder can't be written.
    """
    board = planned_board(name, cache=cache)
    program(EMULATOR)
    root = prepare_root(cache or cache_folder())
    try:
        with locked(root.parent / "lock"):
            _furnish(board)
    except OSError as error:
        raise EmulationError(f"can't write {board.prefix}: {error}") from error
    return board


def can_enter_namespace() -> bool:
    """Whether this kernel lets a user register aarch64 programs for a namespace of their own."""
    try:
        probe = "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc"
        run([*_NAMESPACE, "/bin/sh", "-c", probe], doing="entering a namespace")
    except EmulationError:
        return False
    return True


def _furnish(board: EmulatedBoard) -> None:
    for folder in _LINKED:
        link = board.prefix / folder
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            # Relative, so that the cache can be moved.
            link.symlink_to(os.path.relpath(board.root / folder, link.parent))
    for path, content in system_files(board.model).items():
        _write(board.prefix / path, content)
    # Empty, else the temperature of this machine would be the board's.
    (board.prefix / "sys/class/thermal").mkdir(parents=True, exist_ok=True)
    _write(board.python, _script(f'exec {_python_command(board)} "$@"'), executable=True)
    _write(board.shell, _shell_script(board), executable=True)


def _python_command(board: EmulatedBoard) -> str:
    """``command`` for a shell: ``$0`` in place of the board's own path.

    A virtual environment's Python is a link to the board's, and finds itself by that name.
    """
    return " ".join(
        '"$0"' if part == str(board.python) else shlex.quote(part)
        for part in board.python_command()
    )


def _script(*rows: str) -> str:
    return "\n".join(["#!/bin/sh", *rows, ""])


def _write(path: Path, content: str, *, executable: bool = False) -> None:
    """Leaves a file alone that is right: another process may be reading it."""
    if path.is_file() and path.read_bytes() == content.encode():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")  # Under the lock nobody else writes it.
    beside.write_text(content, encoding="utf-8")
    beside.chmod(0o755 if executable else 0o644)
    beside.replace(path)


def _shell_script(board: EmulatedBoard) -> str:
    """A machine around one command: it and all that it started end with the command.

    The user, the mounts, the processes and the registration of aarch64 programs live in
    namespaces of their own; this machine sees none of it.
    """
    settings = {
        "emulator": program(EMULATOR),
        "processor": board.model.processor,
        "root": str(board.root),
        "prefix": str(board.prefix),
        "bytecode": str(board.bytecode),
        "namespace": " ".join(_NAMESPACE),
    }
    head = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    return _script(*head, _MACHINE.read_text(encoding="ascii"))


def install_wheel(wheel: Path, folder: Path) -> None:
    """Unpacks a wheel of edgeocr for boards, whose roots have its dependencies.

    Args:
        wheel: of edgeocr: Python alone, for every processor.
        folder: to name in ``PYTHONPATH``.

    Raises:
        EmulationError: pip refuses it.
    """
    run(
        [
            sys.executable,
            *("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"),
            *("--no-index", "--no-deps", "--no-compile", "--target", folder, wheel),
        ],
        doing=f"unpacking {wheel.name}",
    )
