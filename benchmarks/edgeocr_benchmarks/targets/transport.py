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

    def explain(self, error: FailedCommandError) -> TargetError:
        """What a command's bad end means; the error itself where the way is not the cause."""

    def close(self) -> None:
        """Forgets what it kept on this machine."""


class Local:
    """No way at all: the target is this machine."""

    def open(self, words: Sequence[str]) -> tuple[str, ...]:
        return tuple(words)

    def use(self, words: Sequence[str]) -> tuple[str, ...]:
        return tuple(words)

    def explain(self, error: FailedCommandError) -> TargetError:
        return error

    def close(self) -> None:
        pass
