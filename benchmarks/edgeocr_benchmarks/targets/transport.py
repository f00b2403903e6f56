"""How words become a command on the target: as they are, or through ssh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edgeocr_benchmarks.errors import TargetError
from edgeocr_benchmarks.targets.commands import FailedCommandError


class Transport(Protocol):
    """A way to the target."""

    def open(self, words: Sequence[str]) -> tuple[str, ...]:
        """The command on this machine that runs the first words there, and stays open."""

    def use(self, words: Sequence[str]) -> tuple[str, ...]:
        """The command on this machine that runs further words there, meanwhile."""

    def explain(self, name: str, error: FailedCommandError) -> TargetError:
        """What it means that the target of this name could not be reached."""

    def close(self) -> None:
        """Forgets what it kept on this machine."""


class Local:
    """No way at all: the target is this machine."""

    def open(self, words: Sequence[str]) -> tuple[str, ...]:
        return tuple(words)

    def use(self, words: Sequence[str]) -> tuple[str, ...]:
        return tuple(words)

    def explain(self, name: str, error: FailedCommandError) -> TargetError:
        return TargetError(f"{name}: {error}")

    def close(self) -> None:
        pass
