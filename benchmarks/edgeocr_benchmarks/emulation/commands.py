"""``edgeocr-bench emulate``: boards without the board."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from edgeocr.errors import OptionError
from edgeocr_benchmarks.emulation.board import prepare_board
from edgeocr_benchmarks.emulation.boards import BOARDS
from edgeocr_benchmarks.emulation.counting import count_instructions
from edgeocr_benchmarks.emulation.errors import EmulationError
from edgeocr_benchmarks.errors import ResultFileError
from edgeocr_benchmarks.instruction_ceilings import over_ceilings
from edgeocr_benchmarks.instruction_report import instruction_report
from edgeocr_benchmarks.instruction_results import InstructionResult
from edgeocr_benchmarks.page import PageSize, render_page
from edgeocr_benchmarks.results import check_writable, read_result, write_result

PAGE: Final = "640x640x6"
WIDTHS: Final = (160, 320, 640, 1280)
_LINE: Final = PageSize(width=4000, height=96, lines=1)
"""Of the line that recognisers are counted on: 58 times as long as high, in its 48 rows."""


def add_commands(commands: Any) -> None:
    """Adds ``emulate`` to the sub-commands of a parser."""
    emulate = commands.add_parser(
        "emulate", help="Raspberry Pi 3, 4 and 5 under QEMU: run programs, count instructions"
    )
    actions = emulate.add_subparsers(required=True, metavar="COMMAND")

    setup = actions.add_parser(
        "setup", help="make the boards: an arm64 Debian with the SDK's dependencies"
    )
    setup.add_argument("board", nargs="*", help=f"default: {' '.join(BOARDS)}")
    setup.set_defaults(run=_setup)

    run = actions.add_parser(
        "run", help="run Python on a board: edgeocr-bench emulate run pi4 x.py"
    )
    run.add_argument("board", choices=tuple(BOARDS))
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="of python3: a script, -c, -m ...")
    run.set_defaults(run=_run)

    count = actions.add_parser(
        "count", help="count the instructions of every stage and compare the outputs"
    )
    count.add_argument("--bundle", type=Path, required=True, metavar="DIR")
    count.add_argument(
        "--board",
        action="append",
        choices=tuple(BOARDS),
        help="default: all; can be repeated",
    )
    page = count.add_mutually_exclusive_group()
    page.add_argument(
        "--page",
        default=PAGE,
        metavar="WIDTHxHEIGHTxLINES",
        help=f"render a page of text (default: {PAGE})",
    )
    page.add_argument("--image", type=Path, metavar="FILE", help="take this image instead")
    count.add_argument(
        "--side",
        type=int,
        default=640,
        help="pixels of the page's longer side as the detector is shown it (default: 640)",
    )
    count.add_argument(
        "--width",
        type=int,
        action="append",
        help="of the recogniser's input in pixels; can be repeated (default: "
        f"{' '.join(map(str, WIDTHS))})",
    )
    count.add_argument("--repeats", type=int, default=1, help="of every count (default: 1)")
    count.add_argument("--out", type=Path, metavar="FILE", help="record the result as JSON")
    count.add_argument(
        "--ceilings",
        type=Path,
        metavar="FILE",
        help="recorded result; fail where a network takes over 1 %% more instructions than there",
    )
    count.set_defaults(run=_count)


def _setup(arguments: argparse.Namespace) -> None:
    for name in arguments.board or BOARDS:
        print(f"{name}\t{prepare_board(name).python}")


def _run(arguments: argparse.Namespace) -> None:
    board = prepare_board(arguments.board)
    raise SystemExit(subprocess.call([board.python, *arguments.arguments]))


def _count(arguments: argparse.Namespace) -> None:
    widths = arguments.width or WIDTHS
    for name, value in (
        ("side", arguments.side),
        ("repeats", arguments.repeats),
        ("width", min(widths)),
    ):
        if value < 1:
            raise OptionError(f"--{name} is {value}; it must be positive")
    check_writable(arguments.out)
    ceilings = None if arguments.ceilings is None else read_result(arguments.ceilings)
    if ceilings is not None and not isinstance(ceilings, InstructionResult):
        raise ResultFileError(f"{arguments.ceilings} records no instructions")
    with TemporaryDirectory(prefix="edgeocr-page-") as scratch:
        page = arguments.image
        if page is None:
            page = Path(scratch) / "rendered page.png"
            render_page(PageSize.parse(arguments.page)).save(page)
        line = Path(scratch) / "line.png"
        save_line(line)
        result = count_instructions(
            arguments.board or tuple(BOARDS),
            bundle=arguments.bundle,
            page=page,
            line=line,
            side=arguments.side,
            widths=widths,
            repeats=arguments.repeats,
            command=arguments.command_line,
        )
    if arguments.out:
        write_result(result, arguments.out)
    print(instruction_report([result]), end="")
    over = [] if ceilings is None else over_ceilings(result, ceilings)
    if over:
        raise EmulationError(f"over {arguments.ceilings}: {'; '.join(over)}")


def save_line(path: Path) -> None:
    """Writes the picture of a long line of text, cut closely."""
    rendered = render_page(_LINE)
    (x0, _), _, (x1, y1), _ = rendered.regions[0].polygon
    bottom = round(y1) + 4
    rendered.image.crop((round(x0), bottom - 48, round(x1), bottom)).save(path)
