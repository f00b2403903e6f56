"""The commands ``edgeocr-bench run`` and ``edgeocr-bench doctor``."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import TYPE_CHECKING, Final, get_args

from edgeocr.doctor import Diagnosis
from edgeocr_benchmarks.device_report import device_report
from edgeocr_benchmarks.measure_options import (
    add_measure_options,
    finish,
    prepare_payload,
)
from edgeocr_benchmarks.results import check_writable, write_result
from edgeocr_benchmarks.targets.commands import Command, Commands, PrintedCommands, RunningCommands
from edgeocr_benchmarks.targets.folder_target import Carry
from edgeocr_benchmarks.targets.named_target import FORMS, TargetOptions, named_target
from edgeocr_benchmarks.targets.target import measure_on

if TYPE_CHECKING:
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


def add_commands(commands: Subcommands) -> None:
    """Adds both to the parser of ``edgeocr-bench``. Their ``run`` returns an exit code."""
    target = argparse.ArgumentParser(add_help=False)
    _add_target_options(target)
    run = commands.add_parser(
        "run", parents=[target], help="measure a bundle on this machine, a board or a phone"
    )
    add_measure_options(run)
    run.add_argument(
        "--keep", action="store_true", help="leave there what was carried there, and say where"
    )
    run.add_argument("--out", type=Path, metavar="FILE", help="record the result as JSON")
    run.add_argument(
        "--dry-run", action="store_true", help="print every command that would be run, run none"
    )
    run.set_defaults(run=_run)
    doctor = commands.add_parser(
        "doctor", parents=[target], help="look whether a run on a target can work"
    )
    doctor.set_defaults(run=_doctor)


def _add_target_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", required=True, help=f"where to measure: {FORMS}")
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="print every command on stderr before it is run, and progress where no terminal is",
    )
    options = parser.add_argument_group("how the target is used")
    options.add_argument(
        "--parent",
        metavar="DIR",
        help="where on the target the run's folder is made (default: /var/tmp, since /tmp is "
        "often in memory)",
    )
    options.add_argument(
        "--python", metavar="PATH", help="interpreter on a board behind ssh (default: python3)"
    )
    options.add_argument(
        "--carry",
        choices=get_args(Carry),
        help="of the runtime, to a board behind ssh: all (default) brings edgeocr with its "
        "dependencies; edgeocr brings edgeocr alone, where --python has the others; nothing "
        "brings nothing",
    )
    options.add_argument(
        "--wheels",
        type=Path,
        metavar="DIR",
        help="take the wheels that are carried from this folder, not from the package index",
    )
    options.add_argument("--identity", type=Path, metavar="FILE", help="private key for ssh")
    options.add_argument(
        "--ssh-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="handed to ssh as -o; can be repeated",
    )
    options.add_argument(
        "--apk", type=Path, metavar="FILE", help="demo app to install on the phone first"
    )


def _run(arguments: argparse.Namespace) -> int:
    check_writable(arguments.out)
    commands = PrintedCommands(print) if arguments.dry_run else _running(arguments)
    with _signals_raise(), TemporaryDirectory(prefix="edgeocr-run-") as scratch:
        payload = prepare_payload(arguments, Path(scratch) / "payload")
        options = _target_options(arguments, keep=arguments.keep)
        target = named_target(arguments.target, options, commands)
        raw = Path(scratch) / "result.json"
        shown = arguments.verbose or sys.stderr.isatty()
        kept = measure_on(target, payload.folder, raw, on_row=_show_row if shown else _ignore)
        if arguments.dry_run:
            return 0
        if kept:
            print(f"kept: {kept}", file=sys.stderr)
        result = target.complete(
            finish(payload, raw, target=arguments.target, command=arguments.command_line)
        )
    if arguments.out:
        write_result(result, arguments.out)
    print(device_report([result]), end="")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    with _signals_raise():
        target = named_target(arguments.target, _target_options(arguments), _running(arguments))
        try:
            diagnosis = Diagnosis(findings=target.check())
        finally:
            target.clean()
    print(diagnosis)
    return 0 if diagnosis.healthy else 1


def _target_options(arguments: argparse.Namespace, *, keep: bool = False) -> TargetOptions:
    return TargetOptions(
        keep=keep,
        parent=arguments.parent,
        python=arguments.python,
        carry=arguments.carry,
        wheels=arguments.wheels,
        identity=arguments.identity,
        ssh_option=tuple(arguments.ssh_option),
        apk=arguments.apk,
    )


def _running(arguments: argparse.Namespace) -> Commands:
    if arguments.verbose:
        return RunningCommands(_show_command)
    return RunningCommands(_show_step) if sys.stderr.isatty() else RunningCommands()


def _show_command(command: Command) -> None:
    print(f"# {command.purpose}\n{command}", file=sys.stderr)


def _show_step(command: Command) -> None:
    print(f"{command.purpose} ...", file=sys.stderr)


def _show_row(row: str) -> None:
    print(row, file=sys.stderr, flush=True)


def _ignore(row: str) -> None:
    pass


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """A request to end unwinds the stack as an interrupt from the keyboard does, so that the
    target is cleaned. Only the main thread may say so.
    """

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
