"""The command ``edgeocr-bench``."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from edgeocr.errors import EdgeOcrError, OptionError
from edgeocr_benchmarks import comparing, environment
from edgeocr_benchmarks.accuracy import measure_accuracy
from edgeocr_benchmarks.device_report import device_csv, device_report
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.emulation import commands as emulation
from edgeocr_benchmarks.engines import Engine, edgeocr_engine
from edgeocr_benchmarks.html_page import html_page
from edgeocr_benchmarks.instruction_report import instruction_report
from edgeocr_benchmarks.instruction_results import InstructionResult
from edgeocr_benchmarks.labels import read_labels
from edgeocr_benchmarks.page import PageSize, page_record, render_page
from edgeocr_benchmarks.peers import PEERS, install_peer, is_installed, peer_engine
from edgeocr_benchmarks.report import accuracy_report, speed_report
from edgeocr_benchmarks.results import (
    AccuracyResult,
    SpeedResult,
    check_writable,
    read_result,
    timestamp,
    write_result,
    write_text,
)
from edgeocr_benchmarks.speed import Schedule, measure_speed
from edgeocr_benchmarks.targets import command as targets


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0, or 2 after a known error, which is told in one line on stderr; some commands have codes
        of their own.
    """
    arguments = _parser().parse_args(argv)
    arguments.command_line = ("edgeocr-bench", *(sys.argv[1:] if argv is None else argv))
    try:
        return arguments.run(arguments) or 0
    except EdgeOcrError as error:
        print(f"edgeocr-bench: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Who read stdout has seen enough. Nor can what is left be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _accuracy(arguments: argparse.Namespace) -> None:
    check_writable(arguments.out, arguments.readings)
    engines = _engines(arguments)
    label_sets = [read_labels(source, limit=arguments.limit) for source in arguments.labels]
    if arguments.case != "auto":
        fold_case = arguments.case == "ignore"
        label_sets = [replace(labels, fold_case=fold_case) for labels in label_sets]
    with ExitStack() as stack:
        readings = None
        if arguments.readings:
            readings = stack.enter_context(arguments.readings.open("w", encoding="utf-8"))
        records, sets = measure_accuracy(
            engines, label_sets, threads=arguments.threads, readings=readings
        )
    result = AccuracyResult(
        created=timestamp(),
        command=arguments.command_line,
        environment=environment.machine(),
        engines=records,
        sets=sets,
    )
    if arguments.out:
        write_result(result, arguments.out)
    against = arguments.peer[0] if arguments.peer else None
    print(accuracy_report([result], against=against), end="")


def _speed(arguments: argparse.Namespace) -> None:
    check_writable(arguments.out, arguments.page_out)
    engines = _engines(arguments)
    with ExitStack() as stack:
        if arguments.image:
            image, regions = arguments.image, None
            page = page_record(image, name=image.name, lines=None)
        else:
            rendered = render_page(PageSize.parse(arguments.page), font=arguments.font)
            if arguments.page_out:
                image = arguments.page_out
            else:
                image = Path(stack.enter_context(TemporaryDirectory())) / "page.png"
            rendered.save(image)
            regions = rendered.regions
            page = page_record(image, name="rendered page", lines=len(regions))
        runs = measure_speed(
            engines,
            image,
            regions=regions,
            threads=arguments.threads or [1],
            schedule=Schedule(rounds=arguments.rounds, cold_rounds=arguments.cold_rounds),
        )
    result = SpeedResult(
        created=timestamp(),
        command=arguments.command_line,
        environment=environment.machine(),
        page=page,
        runs=runs,
    )
    if arguments.out:
        write_result(result, arguments.out)
    print(speed_report([result]), end="")


def _show(arguments: argparse.Namespace) -> None:
    check_writable(arguments.csv, arguments.html)
    results = [read_result(path) for path in arguments.results]
    accuracy = [result for result in results if isinstance(result, AccuracyResult)]
    speed = [result for result in results if isinstance(result, SpeedResult)]
    if accuracy:
        print(accuracy_report(accuracy, against=arguments.against), end="")
    if accuracy and speed:
        print()
    if speed:
        print(speed_report(speed, against=arguments.against), end="")
    instructions = [result for result in results if isinstance(result, InstructionResult)]
    devices = [result for result in results if isinstance(result, DeviceResult)]
    if (accuracy or speed) and devices:
        print()
    if devices:
        print(device_report(devices), end="")
    if arguments.csv:
        write_text(device_csv(devices), arguments.csv)
    if arguments.html:
        write_text(html_page(results), arguments.html)
    if (accuracy or speed or devices) and instructions:
        print()
    if instructions:
        print(instruction_report(instructions), end="")


def _peer_install(arguments: argparse.Namespace) -> None:
    print(install_peer(arguments.name, python=arguments.python))


def _peer_list(_: argparse.Namespace) -> None:
    for name, peer in PEERS.items():
        installed = "installed" if is_installed(name) else "not installed"
        print(f"{name}\t{installed}\t{' '.join(peer.requirements) or peer.advice}")


def _engines(arguments: argparse.Namespace) -> list[Engine]:
    engines = [edgeocr_engine(folder) for folder in arguments.bundle]
    if len(arguments.peer) != 1 and (arguments.peer_python or arguments.peer_models):
        raise OptionError("--peer-python and --peer-models need one --peer")
    engines += [
        peer_engine(name, python=arguments.peer_python, models=arguments.peer_models)
        for name in arguments.peer
    ]
    if not engines:
        raise OptionError("nothing to measure: name a --bundle, a --peer, or both")
    names = [engine.name for engine in engines]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"two of the engines are both {name!r}; measure one of them alone")
    return engines


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edgeocr-bench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    engines = argparse.ArgumentParser(add_help=False)
    engines.add_argument(
        "--bundle",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="model bundle for edgeocr; can be repeated",
    )
    engines.add_argument(
        "--peer",
        choices=tuple(PEERS),
        action="append",
        default=[],
        help="another engine on the same images; can be repeated",
    )
    engines.add_argument(
        "--peer-python",
        type=Path,
        metavar="PATH",
        help="interpreter that has the peer (default: made by `edgeocr-bench peer install`)",
    )
    engines.add_argument(
        "--peer-models",
        type=Path,
        metavar="FILE",
        help="JSON file that names ONNX files for the peer instead of its own",
    )
    engines.add_argument("--out", type=Path, metavar="FILE", help="record the result as JSON")

    accuracy = commands.add_parser(
        "accuracy", parents=[engines], help="read labelled images and count what is right"
    )
    accuracy.add_argument(
        "--labels",
        action="append",
        required=True,
        metavar="[KIND=]FILE",
        help="label file of PaddleOCR's formats; KIND is pages, lines or texts "
        "(default: found out from the content); can be repeated",
    )
    accuracy.add_argument("--limit", type=_positive, help="images of each label file")
    accuracy.add_argument(
        "--threads", type=_positive, help="for inference (default: each engine's own)"
    )
    accuracy.add_argument(
        "--case",
        choices=("auto", "keep", "ignore"),
        default="auto",
        help="auto (default) ignores case where a label file has capitals only",
    )
    accuracy.add_argument(
        "--readings", type=Path, metavar="FILE", help="write what was read as JSON lines"
    )
    accuracy.set_defaults(run=_accuracy)

    speed = commands.add_parser(
        "speed",
        parents=[engines],
        help="time whole pages, cold starts and memory, engines taking turns",
    )
    page = speed.add_mutually_exclusive_group()
    page.add_argument(
        "--page",
        default="1280x960x20",
        metavar="WIDTHxHEIGHTxLINES",
        help="render a page of text (default: 1280x960x20)",
    )
    page.add_argument("--image", type=Path, metavar="FILE", help="time this image instead")
    speed.add_argument("--font", type=Path, metavar="FILE", help="for the rendered page")
    speed.add_argument(
        "--page-out", type=Path, metavar="FILE", help="keep the rendered page, as PNG"
    )
    speed.add_argument(
        "--threads",
        type=_positive,
        action="append",
        help="threads of every engine, bound to as many cores (default: 1); can be repeated",
    )
    speed.add_argument(
        "--rounds", type=_positive, default=20, help="warm reads of each engine (default: 20)"
    )
    speed.add_argument(
        "--cold-rounds", type=_positive, default=7, help="fresh starts of each (default: 7)"
    )
    speed.set_defaults(run=_speed)

    show = commands.add_parser("show", help="print tables from recorded results")
    show.add_argument("results", nargs="+", type=Path, metavar="FILE")
    show.add_argument(
        "--against",
        metavar="ENGINE",
        help="add differences of accuracy to this engine, image by image; ratios of speed are "
        "taken to it, else to the last engine",
    )
    show.add_argument(
        "--csv", type=Path, metavar="FILE", help="write every statistic of devices' results"
    )
    show.add_argument(
        "--html", type=Path, metavar="FILE", help="write one page with plots and tables"
    )
    show.set_defaults(run=_show)

    peer = commands.add_parser("peer", help="other engines, each in its own environment")
    peer_commands = peer.add_subparsers(required=True, metavar="COMMAND")
    install = peer_commands.add_parser("install", help="make the environment of one peer")
    install.add_argument("name", choices=tuple(PEERS))
    install.add_argument(
        "--python",
        type=Path,
        default=Path(sys.executable),
        metavar="PATH",
        help="interpreter to make it with (default: this one)",
    )
    install.set_defaults(run=_peer_install)
    listing = peer_commands.add_parser("list", help="list the peers that are known")
    listing.set_defaults(run=_peer_list)

    targets.add_commands(commands)
    comparing.add_commands(commands)
    emulation.add_commands(commands)
    return parser
