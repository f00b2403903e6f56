"""Emulated boards as targets.

As a program, ``python -m edgeocr_benchmarks.targets.qemu pi4`` makes a board unless it is there
and prints the path of its Python: a command like all others, so that a dry run shows it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edgeocr.doctor import Finding
from edgeocr.errors import EdgeOcrError, OptionError
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.emulation import BOARDS, missing_packages, planned_board, prepare_board
from edgeocr_benchmarks.errors import TargetError
from edgeocr_benchmarks.targets.commands import Command, Commands, FailedCommandError
from edgeocr_benchmarks.targets.folder_target import FolderTarget

PACKAGES_SCRIPT: Final = "benchmarks/emulation_packages.sh"
"""Installs the Debian packages; in the checkout."""
_IMPORTS: Final = "import numpy, cv2, pyclipper, ai_edge_litert.interpreter"


class QemuTarget:
    """A board that is emulated on this machine.

    Args:
        board: one of :data:`~edgeocr_benchmarks.emulation.BOARDS`.
        commands: what runs commands.
        folder_target: makes the target, given the path of the board's Python.

    Raises:
        OptionError: there is no such board.
    """

    def __init__(
        self, board: str, *, commands: Commands, folder_target: Callable[[str], FolderTarget]
    ) -> None:
        if board not in BOARDS:
            raise OptionError(f"there is no board {board!r}; known are {', '.join(BOARDS)}")
        self.name = f"qemu:{board}"
        self._board = board
        self._commands = commands
        self._folder_target = folder_target
        self._target: FolderTarget | None = None

    def check(self) -> tuple[Finding, ...]:
        missing = missing_packages()
        packages = Finding(
            subject="packages",
            passed=not missing,
            detail=f"install {', '.join(missing)}, or run {PACKAGES_SCRIPT}"
            if missing
            else "all that emulation needs",
        )
        if missing:
            return (packages,)
        try:
            self._run("load what the SDK needs there", self._make_board(), "-c", _IMPORTS)
        except TargetError as error:
            return (packages, Finding(subject="board", passed=False, detail=str(error)))
        board = f"{BOARDS[self._board].title}, emulated; its Python loads LiteRT"
        return (packages, Finding(subject="board", passed=True, detail=board))

    def prepare(self, payload: Path) -> None:
        self._target = self._folder_target(self._make_board())
        self._target.prepare(payload)

    def run(self, on_row: Callable[[str], None]) -> None:
        assert self._target is not None
        self._target.run(on_row)

    def fetch(self, result: Path) -> None:
        assert self._target is not None
        self._target.fetch(result)

    def complete(self, result: DeviceResult) -> DeviceResult:
        return result

    def clean(self) -> str | None:
        return None if self._target is None else self._target.clean()

    def _make_board(self) -> str:
        return self._run(
            f"make the emulated {self._board} unless it is there",
            *(sys.executable, "-m", __name__, self._board),
            answer=str(planned_board(self._board).python),
        ).strip()

    def _run(self, purpose: str, *argv: str, answer: str = "") -> str:
        command = Command(purpose=purpose, argv=argv, answer=answer, timeout_s=1200)
        try:
            return self._commands.run(command)
        except FailedCommandError as error:
            raise TargetError(f"{self.name}: could not {purpose}: {error.said}") from None


def main() -> int:
    try:
        print(prepare_board(sys.argv[1]).python)
    except EdgeOcrError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
