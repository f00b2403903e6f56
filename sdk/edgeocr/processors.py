"""How many processors this process may use: the default of ``threads``.

``os.cpu_count`` counts the machine. A container is given a part of it as a quota of the
control group (v1 or v2), and a process a part of it by its affinity.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_THREADS: Final = 4
"""More are seldom faster: small boards have four cores, and lines of text are short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Processors:
    """What limits this process."""

    machine: int
    affinity: int
    """Processors that the scheduler may put this process on."""
    quota: float | None
    """Processors' worth of time that the control group grants; None for no limit."""

    @property
    def threads(self) -> int:
        """min(4, quota, affinity), at least 1."""
        quota = self.affinity if self.quota is None else math.ceil(self.quota)
        return max(1, min(MOST_THREADS, self.affinity, quota))


def processors() -> Processors:
    """Looks at the machine, the affinity and the control groups of this process."""
    machine = os.cpu_count() or 1
    try:
        affinity = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS and Windows have no such call.
        affinity = machine
    return Processors(machine=machine, affinity=affinity, quota=cgroup_quota())


def cgroup_quota(root: Path = Path("/")) -> float | None:
    """The smallest processor quota from this process's control group up to the root.

    Args:
        root: where ``proc`` and ``sys`` are mounted.

    Returns:
        Processors, such as 1.5; None where nothing limits them.
    """
    try:
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    quotas = []
    for membership in memberships:
        # "0::/path" in version 2, "4:cpu,cpuacct:/path" in version 1.
        _, controllers, path = [*membership.split(":", 2), "", ""][:3]
        mounts = root / "sys/fs/cgroup"
        if controllers == "":
            quotas += [_quota_v2(group) for group in _upwards(mounts, path)]
        elif "cpu" in controllers.split(","):
            for mount in (mounts / controllers, mounts / "cpu"):
                quotas += [_quota_v1(group) for group in _upwards(mount, path)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _upwards(mount: Path, path: str) -> list[Path]:
    """A group and its ancestors; within a container the mount itself may be the group."""
    group = mount / path.strip("/")
    return [group, *(parent for parent in group.parents if parent.is_relative_to(mount))]


def _quota_v2(group: Path) -> float | None:
    numbers = _read_words(group / "cpu.max")
    if len(numbers) != 2 or numbers[0] == "max":
        return None
    return _ratio(*numbers)


def _quota_v1(group: Path) -> float | None:
    quota = _read_words(group / "cpu.cfs_quota_us")
    period = _read_words(group / "cpu.cfs_period_us")
    if len(quota) != 1 or len(period) != 1:
        return None
    return _ratio(quota[0], period[0])


def _read_words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except (OSError, UnicodeDecodeError):
        return []


def _ratio(quota: str, period: str) -> float | None:
    """None for "-1", which is no limit in version 1, and for anything unexpected."""
    if not (quota.isdecimal() and period.isdecimal()) or int(quota) == 0 or int(period) == 0:
        return None
    return int(quota) / int(period)
