"""Commands that a target consists of: run, or printed exactly as they would be run."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Protocol

from edgeocr_benchmarks.errors import TargetError

BEAT_S: Final = 5.0
"""Between two signs of life to a command that is held; see :mod:`.lifeline`."""
PATIENCE_S: Final = 30.0
"""How long a held command may take to end after its line was closed."""
LAST_ROWS: Final = 5
"""Of what a command wrote to standard error, as an error quotes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command on this machine."""

    purpose: str
    """What it is good for, in one phrase: "send the payload"."""
    argv: tuple[str, ...]
    stdin: Path | None = None
    """File that it reads; None for nothing."""
    stdout: Path | None = None
    """File that its output goes to; None where the caller gets it."""
    answer: str = ""
    """What a dry run takes for its output, since later commands depend on it."""
    timeout_s: float = 600.0

    def __str__(self) -> str:
        """As a POSIX shell takes it."""
        row = shlex.join(self.argv)
        if self.stdin is not None:
            row += f" < {shlex.quote(str(self.stdin))}"
        if self.stdout is not None:
            row += f" > {shlex.quote(str(self.stdout))}"
        return row


class FailedCommandError(TargetError):
    """A command ended badly.

    Attributes:
        status: its exit status; None where it was stopped after its time.
        said: the last rows of its standard error, or its output.
    """

    def __init__(self, command: Command, status: int | None, said: str) -> None:
        ended = "took too long" if status is None else f"ended with exit status {status}"
        super().__init__(f"could not {command.purpose}: {command.argv[0]} {ended}: {said}")
        self.status = status
        self.said = said


class Held(Protocol):
    """A command that runs while others do, until its line is closed."""

    def read_row(self, marked: str, *, timeout_s: float) -> str:
        """Passes over rows of output up to the one with this mark; what follows the mark."""

    def is_running(self) -> bool: ...

    def close(self) -> None:
        """Closes its line, and waits; raises FailedCommandError after a bad end."""


class Commands(Protocol):
    """What runs commands. All raise TargetError where one can't be started."""

    def run(self, command: Command) -> str:
        """Runs it to its end and returns its output; raises FailedCommandError."""

    def attend(self, command: Command, on_row: Callable[[str], None]) -> None:
        """Runs it to its end with its line open, and hands over every row of its output;
        raises FailedCommandError.
        """

    def hold(self, command: Command) -> Held:
        """Starts it and keeps its line open: standard input, its file at the head."""


class RunningCommands:
    """Runs them for real.

    Every command gets a session of its own, so that an interrupt from the keyboard reaches this
    process alone, which then ends them in order.

    Args:
        log: is told every command before it is run.
    """

    def __init__(self, log: Callable[[Command], None] = lambda _: None) -> None:
        self._log = log

    def run(self, command: Command) -> str:
        self._log(command)
        with contextlib.ExitStack() as stack:
            try:
                source = stack.enter_context(command.stdin.open("rb")) if command.stdin else None
                sink = stack.enter_context(command.stdout.open("wb")) if command.stdout else None
            except OSError as error:
                raise TargetError(f"could not {command.purpose}: {error}") from error
            process = _start(
                command,
                stdin=source or subprocess.DEVNULL,
                stdout=sink or subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            try:
                output, errors = process.communicate(timeout=command.timeout_s)
            except subprocess.TimeoutExpired:
                _kill(process)
                output, errors = process.communicate()
                said = _last_rows(errors or output or b"")
                raise FailedCommandError(command, None, said) from None
            except BaseException:
                _kill(process)
                process.communicate()
                raise
        if process.returncode:
            said = _last_rows(errors or output or b"")
            raise FailedCommandError(command, process.returncode, said)
        return (output or b"").decode(errors="replace")

    def attend(self, command: Command, on_row: Callable[[str], None]) -> None:
        self._log(command)
        with HeldProcess(command) as process:
            process.read_to_end(on_row)

    def hold(self, command: Command) -> Held:
        self._log(command)
        return HeldProcess(command)


class PrintedCommands:
    """Prints them and runs none.

    Args:
        show: is given the rows.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show

    def run(self, command: Command) -> str:
        self._show(f"# {command.purpose}")
        self._show(str(command))
        if command.answer:
            self._show(f"# taken for its answer: {command.answer}")
        return command.answer

    def attend(self, command: Command, on_row: Callable[[str], None]) -> None:
        self._show(f"# {command.purpose} (its standard input stays open meanwhile)")
        self._show(str(command))

    def hold(self, command: Command) -> Held:
        self._show(f"# {command.purpose} (in the background, its standard input stays open)")
        self._show(f"{command} &")
        return _HeldAnswer(command, self._show)


class _HeldAnswer:
    """What a dry run has in place of a process."""

    def __init__(self, command: Command, show: Callable[[str], None]) -> None:
        self._command = command
        self._show = show

    def read_row(self, marked: str, *, timeout_s: float) -> str:
        self._show(f"# taken for its answer: {marked}{self._command.answer}")
        return self._command.answer

    def is_running(self) -> bool:
        return True

    def close(self) -> None:
        self._show(f"# close the standard input of what was to {self._command.purpose}")


class HeldProcess:
    """A process with an open line to its standard input; also a context manager.

    When this process dies, whatever way, the line is closed by the system, and the other side
    ends by itself.
    """

    def __init__(self, command: Command) -> None:
        self._command = command
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        try:
            self._process = _start(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
            )
        except BaseException:
            self._log.close()
            raise
        self._closing = threading.Event()
        self._line = threading.Thread(target=self._beat, daemon=True)
        self._line.start()

    def __enter__(self) -> HeldProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What went wrong before matters more than how this ends.
        with contextlib.suppress(*([FailedCommandError] if error else [])):
            self.close()

    def read_row(self, marked: str, *, timeout_s: float) -> str:
        assert self._process.stdout is not None
        timer = threading.Timer(timeout_s, _kill, (self._process,))
        timer.start()
        try:
            for row in self._process.stdout:
                _, mark, rest = row.decode(errors="replace").partition(marked)
                if mark:
                    return rest.strip()
        finally:
            in_time = timer.is_alive()
            timer.cancel()
        status = self._process.wait()
        raise FailedCommandError(self._command, status if in_time else None, self._said())

    def read_to_end(self, on_row: Callable[[str], None]) -> None:
        """Hands over every row of output; raises FailedCommandError after a bad end."""
        assert self._process.stdout is not None
        for row in self._process.stdout:
            on_row(row.decode(errors="replace").rstrip("\r\n"))
        self._check(self._process.wait())

    def is_running(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        if self._log.closed:
            return
        assert self._process.stdout is not None
        self._closing.set()
        self._line.join()
        try:
            try:
                status = self._process.wait(PATIENCE_S)
            finally:
                _kill(self._process)
                self._process.wait()
                self._process.stdout.close()
            self._check(status)
        except subprocess.TimeoutExpired:
            raise FailedCommandError(self._command, None, self._said()) from None
        finally:
            self._log.close()

    def _beat(self) -> None:
        line = self._process.stdin
        assert line is not None
        with contextlib.suppress(OSError):  # The process is gone: whoever reads it sees that.
            if self._command.stdin is not None:
                line.write(self._command.stdin.read_bytes())
                line.flush()
            while not self._closing.wait(BEAT_S):
                line.write(b"\n")
                line.flush()
        with contextlib.suppress(OSError):
            line.close()

    def _check(self, status: int) -> None:
        if status:
            raise FailedCommandError(self._command, status, self._said())

    def _said(self) -> str:
        self._log.seek(0)
        return _last_rows(self._log.read())


def _start(
    command: Command, *, stdin: int | IO[bytes], stdout: int | IO[bytes], stderr: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command.argv, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
    except FileNotFoundError:
        raise TargetError(
            f"could not {command.purpose}: there is no {command.argv[0]} on this machine"
        ) from None
    except OSError as error:
        raise TargetError(f"could not {command.purpose}: {command.argv[0]}: {error}") from error


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With everything that it started; one that has ended is left alone, as its number may be
    another's by now.
    """
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _last_rows(output: bytes) -> str:
    rows = output.decode(errors="replace").strip().splitlines()
    return " | ".join(row.strip() for row in rows[-LAST_ROWS:]) or "it said nothing"
