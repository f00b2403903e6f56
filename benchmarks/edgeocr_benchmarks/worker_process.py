"""A process that answers questions: one JSON line on its stdin, one JSON line on its stdout."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Any

from edgeocr_benchmarks.errors import EngineError


class WorkerProcess:
    """A running worker; a context manager that stops it.

    It ends when its stdin is closed, so it does not outlive this process however that ends.

    Args:
        command: program and arguments.
        name: in errors.

    Raises:
        EngineError: the program can't be started.
    """

    def __init__(self, command: Sequence[str], *, name: str) -> None:
        self._name = name
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._started = time.perf_counter()
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
            )
        except OSError as error:
            self._log.close()
            raise EngineError(f"can't start {command[0]} for {name}: {error}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def elapsed_ms(self) -> float:
        """Since the process was started."""
        return (time.perf_counter() - self._started) * 1e3

    def ask(self, request: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Sends a request and waits for its answer.

        Raises:
            EngineError: the process has died, with the last rows that it wrote, or it is silent
                for longer than ``timeout_s``; then it is killed.
        """
        self.send(request)
        return self.answer(timeout_s=timeout_s)

    def send(self, request: Mapping[str, Any]) -> None:
        """Sends a request whose answer is taken later, so that several processes can work."""
        assert self._process.stdin is not None
        # A process that has died can't be written to; that it died is seen when it is read.
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def answer(self, *, timeout_s: float) -> dict[str, Any]:
        """Waits for the answer to what was sent.

        Raises:
            EngineError: as for :meth:`ask`.
        """
        assert self._process.stdout is not None
        overdue = threading.Event()

        def stop() -> None:
            overdue.set()
            self._process.kill()

        timer = threading.Timer(timeout_s, stop)
        timer.start()
        try:
            row = self._process.stdout.readline()
        finally:
            timer.cancel()
        if overdue.is_set():
            raise self._failure(f"did not answer within {timeout_s:.0f} s")
        if not row:
            self._process.wait()
            raise self._failure(f"ended with exit status {self._process.returncode}")
        answer: dict[str, Any] = json.loads(row)
        return answer

    def close(self) -> None:
        """Ends the process and waits for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # it died with a request in the pipe
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _failure(self, what: str) -> EngineError:
        self._log.seek(0)
        rows = self._log.read().decode(errors="replace").strip().splitlines()
        said = "; it wrote: " + " | ".join(rows[-3:]) if rows else ""
        return EngineError(f"{self._name} {what}{said}")
