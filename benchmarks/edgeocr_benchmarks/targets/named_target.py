"""From ``--target`` and its options to a target."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeocr.errors import OptionError
from edgeocr_benchmarks.errors import TargetError
from edgeocr_benchmarks.targets import lifeline
from edgeocr_benchmarks.targets.adb import AdbTarget
from edgeocr_benchmarks.targets.commands import Commands
from edgeocr_benchmarks.targets.facts import ASSUMED_BOARD, TargetFacts
from edgeocr_benchmarks.targets.folder_target import Carry, FolderTarget
from edgeocr_benchmarks.targets.qemu import QemuTarget
from edgeocr_benchmarks.targets.ssh import Address, Ssh
from edgeocr_benchmarks.targets.target import Target
from edgeocr_benchmarks.targets.transport import Local

FORMS: Final = "local, ssh:[user@]host[:port], adb[:serial], qemu:pi3|pi4|pi5"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """How a target is reached and used; an option that a target has no use for is refused."""

    keep: bool = False
    """Leave there what was carried there."""
    parent: str | None = None
    """ssh, local, qemu: folder in which the run's folder is made."""
    python: str | None = None
    """ssh: interpreter there; None for ``python3``."""
    carry: Carry | None = None
    """ssh: None for all."""
    wheels: Path | None = None
    """ssh: folder of wheels, in place of the package index."""
    identity: Path | None = None
    """ssh: private key."""
    ssh_option: tuple[str, ...] = ()
    apk: Path | None = None
    """adb: the app, to be installed."""


_USED: Final = {
    "local": {"keep", "parent"},
    "qemu": {"keep", "parent"},
    "ssh": {"keep", "parent", "python", "carry", "wheels", "identity", "ssh_option"},
    "adb": {"keep", "apk"},
}


def named_target(name: str, options: TargetOptions, commands: Commands) -> Target:
    """The target that a user names.

    Raises:
        OptionError: there is none of this name, or it has no use for an option.
        TargetError: a folder can't be made.
    """
    kind, _, rest = name.partition(":")
    if kind not in _USED or (kind == "local" and name != kind) or (name.endswith(":")):
        raise OptionError(f"there is no target {name!r}; known are {FORMS}")
    unused = TargetOptions()
    for option in TargetOptions.__dataclass_fields__:
        if option not in _USED[kind] and getattr(options, option) != getattr(unused, option):
            raise OptionError(f"{name} has no use for --{option.replace('_', '-')}")
    for file in (options.identity, options.apk):
        if file is not None and not file.is_file():
            raise OptionError(f"there is no file {file}")
    if options.wheels is not None and not options.wheels.is_dir():
        raise OptionError(f"there is no folder {options.wheels}")
    if kind == "ssh":
        return FolderTarget(
            name,
            transport=Ssh(
                Address.parse(rest), identity=options.identity, options=options.ssh_option
            ),
            commands=commands,
            assumed=_assumed_board(options.parent),
            python=options.python or "python3",
            carry=options.carry or "all",
            wheels=options.wheels,
            parent=options.parent,
            keep=options.keep,
        )
    if kind == "adb":
        return AdbTarget(serial=rest or None, commands=commands, apk=options.apk, keep=options.keep)
    if kind == "qemu":
        return QemuTarget(
            rest,
            commands=commands,
            folder_target=lambda python: _on_this_machine(
                name, options, commands, probe_python=python, carry="edgeocr"
            ),
        )
    return _on_this_machine(name, options, commands, probe_python=None, carry="nothing")


def _on_this_machine(
    name: str, options: TargetOptions, commands: Commands, *, probe_python: str | None, carry: Carry
) -> FolderTarget:
    return FolderTarget(
        name,
        transport=Local(),
        commands=commands,
        assumed=_facts_of_this_machine(options.parent),
        python=sys.executable,
        probe_python=probe_python,
        carry=carry,
        parent=options.parent,
        keep=options.keep,
    )


def _assumed_board(parent: str | None) -> TargetFacts:
    folder = Path(ASSUMED_BOARD.folder)
    return dataclasses.replace(ASSUMED_BOARD, folder=f"{parent or folder.parent}/{folder.name}")


def _facts_of_this_machine(parent: str | None) -> TargetFacts:
    where = parent or lifeline.roomy_folder()
    try:
        with tempfile.TemporaryDirectory(prefix=lifeline.PREFIX, dir=where) as folder:
            return TargetFacts.parse(json.dumps(lifeline.facts(Path(folder))))
    except OSError as error:
        raise TargetError(f"can't make a folder in {where}: {error.strerror}") from error
