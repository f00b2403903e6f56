"""What every target can do, whatever it is and however it is reached."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from edgeocr.doctor import Finding
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.errors import TargetError


class Target(Protocol):
    """A machine that can run a probe. The methods are called in this order, ``clean`` always."""

    @property
    def name(self) -> str:
        """As the user named it: ``ssh:pi@raspberrypi``."""

    def check(self) -> tuple[Finding, ...]:
        """Whether a run can work, without carrying anything; never raises for what it finds."""

    def prepare(self, payload: Path) -> None:
        """Carries runtime and payload there.

        Args:
            payload: folder with ``plan.json`` and what the plan names, by relative paths.

        Raises:
            TargetError: it can't be reached, lacks something, or has no room.
        """

    def run(self, on_row: Callable[[str], None]) -> None:
        """Runs the probe; every row of its output is handed over at once.

        Raises:
            TargetError: the probe failed, or the connection was lost.
        """

    def fetch(self, result: Path) -> None:
        """Brings the result into a file of this machine.

        Raises:
            TargetError: there is none, or the connection was lost.
        """

    def complete(self, result: DeviceResult) -> DeviceResult:
        """Adds what was seen of the machine from outside."""

    def clean(self) -> str | None:
        """Ends whatever runs there and removes what was carried there.

        Returns:
            Where it is, if it was to be kept.

        Raises:
            TargetError: something may be left behind.
        """


def measure_on(
    target: Target, payload: Path, result: Path, *, on_row: Callable[[str], None]
) -> str | None:
    """Runs a payload's probe on a target and brings the result back.

    Returns:
        Where the run is kept on the target; None where nothing is left there.

    Raises:
        TargetError: what failed first; nothing is left then either, unless the target can no
            longer be reached: there it goes by itself.
    """
    try:
        target.prepare(payload)
        target.run(on_row)
        target.fetch(result)
    except BaseException:
        # What failed matters more than what the cleaning after it meets.
        with contextlib.suppress(TargetError):
            target.clean()
        raise
    return target.clean()
