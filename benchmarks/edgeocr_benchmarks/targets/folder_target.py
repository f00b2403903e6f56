"""A target that is a folder on a machine with Python: this machine, a board behind ssh, or an
emulated board.

Everything that is carried lies in one folder, made and held by a process on the target whose
life hangs on the connection: see :mod:`.lifeline`.
"""

from __future__ import annotations

import contextlib
import signal
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

from edgeocr.doctor import Finding
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.errors import TargetError
from edgeocr_benchmarks.targets import lifeline, ssh
from edgeocr_benchmarks.targets.commands import Command, Commands, FailedCommandError, Held
from edgeocr_benchmarks.targets.facts import TargetFacts
from edgeocr_benchmarks.targets.transport import Transport
from edgeocr_benchmarks.targets.wheels import (
    PIP,
    download_command,
    find_command,
    unpacked_bytes,
    write_edgeocr_wheel,
)

Carry = Literal["all", "edgeocr", "nothing"]
"""Of the runtime: edgeocr with its dependencies, edgeocr alone, or nothing, where the Python
that runs the probe has it already."""

_PROGRAM: Final = Path(lifeline.__file__)
_ANSWER_S: Final = 60.0
"""A slow board starts Python within this, a swapping one too."""
_TRANSFER_S: Final = 3600.0
"""Wheels and models, 75 MB, over the slowest wireless network that is worth it."""
_SPARE_BYTES: Final = 20_000_000
"""For the result, and for what Python compiles."""
_USUAL_BYTES: Final[dict[Carry, int]] = {
    "all": 300_000_000,
    "edgeocr": 60_000_000,
    "nothing": 50_000_000,
}
SILENCE_S: Final = 60.0
"""After so long without a sign of life the target gives a run up."""


class FolderTarget:
    """One run on such a machine.

    Args:
        name: as the user named it.
        transport: the way there.
        commands: what runs commands on this machine.
        assumed: what a dry run takes for the target's own facts.
        python: interpreter on the target.
        probe_python: the one that runs the probe, where it is another.
        carry: what the target lacks.
        wheels: folder of wheels to take dependencies from; None for the package index.
        parent: where on the target the folder is made; None for its own choice.
        keep: leaves the folder there.
        silence_s: after so long without a sign of life from here the target gives a run up.
    """

    def __init__(
        self,
        name: str,
        *,
        transport: Transport,
        commands: Commands,
        assumed: TargetFacts,
        python: str = "python3",
        probe_python: str | None = None,
        carry: Carry = "all",
        wheels: Path | None = None,
        parent: str | None = None,
        keep: bool = False,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.name = name
        self._transport = transport
        self._commands = commands
        self._assumed = assumed
        self._python = python
        self._probe_python = probe_python or python
        self._carry = carry
        self._wheels = wheels
        self._parent = parent
        self._keep = keep
        self._silence = f"{silence_s:g}"
        self._held: Held | None = None
        self._facts = assumed

    def check(self) -> tuple[Finding, ...]:
        try:
            facts = self._open()
        except TargetError as error:
            return (Finding(subject="connection", passed=False, detail=str(error)),)
        machine = facts.findings(carried=self._carry == "all")
        fit = all(finding.passed for finding in machine)
        room = Finding(
            subject="room",
            passed=facts.free_bytes > _USUAL_BYTES[self._carry],
            detail=f"{facts.free_bytes / 1e6:.0f} MB free in {Path(facts.folder).parent}, about "
            f"{_USUAL_BYTES[self._carry] / 1e6:.0f} MB needed",
        )
        connection = Finding(subject="connection", passed=True, detail=self.name)
        if self._carry != "all":
            runtime = [_modules(facts)]
        else:
            runtime = [self._find_wheels(facts)] if fit else []
        return (connection, *machine, *runtime, room)

    def _find_wheels(self, facts: TargetFacts) -> Finding:
        try:
            with tempfile.TemporaryDirectory(prefix="edgeocr-carry-") as scratch:
                self._commands.run(find_command(facts, Path(scratch), source=self._wheels))
        except TargetError as error:
            return Finding(subject="wheels", passed=False, detail=str(error))
        detail = f"there are some for {facts.machine}, Python {facts.python}, to be carried there"
        return Finding(subject="wheels", passed=True, detail=detail)

    def prepare(self, payload: Path) -> None:
        facts = self._open()
        for finding in facts.findings(carried=self._carry == "all"):
            if not finding.passed:
                raise TargetError(f"{self.name}: {finding.detail}")
        wheel = self._send(payload, facts)
        if self._carry == "all":
            pip = (self._python, f"wheels/{PIP}/pip", "--disable-pip-version-check", "install")
            self._attend(
                "install the wheels on the target",
                *(*pip, "--quiet", "--no-index", "--find-links=wheels", "--target=site"),
                *("--no-compile", f"wheels/{wheel}"),
            )
        elif self._carry == "edgeocr":
            self._attend(
                "unpack edgeocr's wheel on the target",
                *(self._python, "-m", "zipfile", "-e", f"wheels/{wheel}", "site"),
            )

    def run(self, on_row: Callable[[str], None]) -> None:
        settings = () if self._carry == "nothing" else (f"PYTHONPATH={self._facts.folder}/site",)
        self._attend(
            "run the probe",
            *settings,
            *(self._probe_python, "-m", "edgeocr_benchmarks.probe", "plan.json", "result.json"),
            on_row=on_row,
        )

    def fetch(self, result: Path) -> None:
        self._use("fetch the result", "cat", f"{self._facts.folder}/result.json", stdout=result)

    def complete(self, result: DeviceResult) -> DeviceResult:
        return result  # The probe there has seen it all.

    def clean(self) -> str | None:
        if self._held is None:
            self._transport.close()
            return None
        held, self._held = self._held, None
        try:
            held.close()
        except FailedCommandError as error:
            raise self._transport.explain(self.name, error) from None
        finally:
            self._transport.close()
        return f"{self.name} {self._facts.folder}" if self._keep else None

    def _send(self, payload: Path, facts: TargetFacts) -> str:
        """Carries payload and wheels there.

        Returns:
            Name of edgeocr's wheel; "" where it is not carried.
        """
        wheel = ""
        try:
            with tempfile.TemporaryDirectory(prefix="edgeocr-carry-") as scratch:
                wheels, archive = Path(scratch) / "wheels", Path(scratch) / "payload.tar"
                wheels.mkdir()
                if self._carry != "nothing":
                    wheel = write_edgeocr_wheel(wheels).name
                if self._carry == "all":
                    self._commands.run(download_command(facts, wheels, source=self._wheels))
                sent = _pack(archive, {"wheels": wheels, ".": payload})
                self._check_room(sent + unpacked_bytes(wheels) + _SPARE_BYTES, facts)
                self._use(
                    "send wheels, models and images",
                    *(self._python, f"{facts.folder}/lifeline.py", "receive", facts.folder),
                    stdin=archive,
                )
        except OSError as error:
            raise TargetError(
                f"can't pack on this machine what {self.name} needs: {error}"
            ) from error
        return wheel

    def _check_room(self, needed: int, facts: TargetFacts) -> None:
        if needed > facts.free_bytes:
            raise TargetError(
                f"{self.name}: no room in {Path(facts.folder).parent}: {needed / 1e6:.0f} MB are "
                f"needed, {facts.free_bytes / 1e6:.0f} MB are free; --parent names another "
                "folder there"
            )

    def _open(self) -> TargetFacts:
        bootstrap = lifeline.BOOTSTRAP.format(bytes=_PROGRAM.stat().st_size)
        then = "keep" if self._keep else "remove"
        words = (self._python, "-c", bootstrap, "hold", self._silence, then)
        command = Command(
            purpose=f"hold a folder on the target, and {then} it in the end",
            argv=self._transport.open((*words, *([self._parent] if self._parent else []))),
            stdin=_PROGRAM,
            answer=self._assumed.to_json(),
        )
        self._held = self._commands.hold(command)
        try:
            row = self._held.read_row(lifeline.MARK, timeout_s=_ANSWER_S)
        except FailedCommandError as error:
            held, self._held = self._held, None
            with contextlib.suppress(FailedCommandError):  # It has failed, and said how.
                held.close()
            raise self._transport.explain(self.name, error) from None
        self._facts = TargetFacts.parse(row)
        return self._facts

    def _use(
        self, purpose: str, *words: str, stdin: Path | None = None, stdout: Path | None = None
    ) -> None:
        command = Command(
            purpose=purpose,
            argv=self._transport.use(words),
            stdin=stdin,
            stdout=stdout,
            timeout_s=_TRANSFER_S,
        )
        try:
            self._commands.run(command)
        except FailedCommandError as error:
            raise self._explained(purpose, error) from None

    def _attend(
        self, purpose: str, *words: str, on_row: Callable[[str], None] = lambda _: None
    ) -> None:
        folder = self._facts.folder
        attended = (f"{folder}/lifeline.py", "attend", self._silence, folder, *words)
        argv = self._transport.use((self._python, *attended))
        try:
            self._commands.attend(Command(purpose=purpose, argv=argv), on_row)
        except FailedCommandError as error:
            raise self._explained(purpose, error) from None

    def _explained(self, purpose: str, error: FailedCommandError) -> TargetError:
        assert self._held is not None
        if error.status == ssh.OWN_FAILURE or not self._held.is_running():
            return TargetError(
                f"{self.name}: the connection was lost, could not {purpose} ({error.said}); what "
                "was begun there ends and goes away by itself"
            )
        if error.status is not None and error.status > 128:
            number = error.status - 128
            return TargetError(
                f"{self.name}: could not {purpose}: it was killed by {_signal_name(number)}, as "
                f"happens where memory runs out; it said: {error.said}"
            )
        return TargetError(f"{self.name}: could not {purpose}: {error.said}")


def _modules(facts: TargetFacts) -> Finding:
    """Whether the Python there has what edgeocr needs."""
    lacking = [name for name in lifeline.MODULES if name not in facts.modules]
    has = f"has {', '.join(facts.modules) or 'none of them'}"
    detail = f"{has}; lacks {', '.join(lacking)}" if lacking else has
    return Finding(subject="modules", passed=not lacking, detail=detail)


def _pack(archive: Path, folders: Mapping[str, Path]) -> int:
    """Writes folders into one tar archive, by their names there; the bytes of all files."""
    total = 0
    with tarfile.open(archive, "w", dereference=True) as tar:
        for name, folder in folders.items():
            for path in sorted(folder.rglob("*")):
                tar.add(path, arcname=f"{name}/{path.relative_to(folder)}", recursive=False)
                total += path.stat().st_size
    return total


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
