"""The command ``edgeocr``: read images, examine the installation, handle bundles.

Results go to stdout, everything else to stderr. Exit codes: 0, all is well; 1, some of
several images could not be read, or the doctor found something; 2, nothing could be done.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2

from edgeocr.bundle import Bundle, pack, unpack
from edgeocr.doctor import diagnose
from edgeocr.errors import EdgeOcrError, ImageError, OptionError
from edgeocr.images import MAX_FILE_BYTES, ImageInput
from edgeocr.ocr import Ocr
from edgeocr.options import OcrOptions
from edgeocr.result import OcrResult
from edgeocr.version import __version__
from edgeocr.whole_files import write_whole

STDIN: Final = "-"
IMAGE_SUFFIXES: Final = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
)
"""What is taken for an image in a folder; a file that is named may be called anything."""

_DRAWING_SUFFIXES: Final = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
_INTERRUPTED: Final = 130
_BROKEN_PIPE: Final = 141
# Names of OcrOptions' fields that are command-line options of the same name and meaning.
_WISHES: Final = (
    "limit_side",
    "limit_type",
    "threshold",
    "box_threshold",
    "unclip_ratio",
    "max_candidates",
    "dilation",
    "score_mode",
    "box_type",
    "orientation_threshold",
    "min_score",
    "max_pixels",
    "characters",
    "orient",
    "recognise",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    arguments = _parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Whatever the locale, texts are UTF-8; file names may be any bytes.
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    interrupts = _counted_interrupts()
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except EdgeOcrError as error:
        if interrupts:
            return _INTERRUPTED
        _complain(error)
        return 2
    except BrokenPipeError:
        # The reader has left. What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception:
        # An interrupt that meets C code may come out of it as another exception.
        if interrupts:
            return _INTERRUPTED
        raise
    return code


def _counted_interrupts() -> list[int]:
    """A list that grows with every interrupt from now on; each raises KeyboardInterrupt too."""
    interrupts: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupt)
    return interrupts


def _complain(error: EdgeOcrError) -> None:
    """One line, also where a message quotes something that has several."""
    print(f"edgeocr: {' '.join(str(error).split())}", file=sys.stderr)


# Arguments. ---------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edgeocr", description="Reads text in images.")
    parser.add_argument("--version", action="version", version=f"edgeocr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_read(commands.add_parser("read", help="read the text in images"))
    _add_doctor(commands.add_parser("doctor", help="examine machine, runtime and bundle"))
    bundle = commands.add_parser("bundle", help="show, verify, pack or unpack a model bundle")
    _add_bundle(bundle.add_subparsers(required=True, metavar="COMMAND"))
    return parser


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle",
        metavar="PATH",
        help="model bundle: a folder or a packed file (default: $EDGEOCR_BUNDLE, else embedded)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="processors to use (default: those that this process may use, at most 4)",
    )


def _add_read(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_read)
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="IMAGE|FOLDER|-",
        help="image file, folder of image files, or - for an image on standard input",
    )
    _add_models(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="print one JSON object a line for every image"
    )
    form.add_argument("--text", action="store_true", help="print the text and nothing else")
    parser.add_argument(
        "--draw",
        type=Path,
        metavar="PATH|FOLDER",
        help="write the image with boxes and texts: to PATH, or into FOLDER as IMAGE.png",
    )
    parser.add_argument(
        "--characters", action="store_true", help="give every character its box and score (--json)"
    )
    stages = parser.add_argument_group("stages")
    stages.add_argument(
        "--no-orient", dest="orient", action="store_false", help="take every line for upright"
    )
    stages.add_argument(
        "--no-recognise", dest="recognise", action="store_false", help="find lines, don't read them"
    )
    detection = parser.add_argument_group("detection (default: what the bundle recommends)")
    detection.add_argument("--limit-side", type=int, metavar="PIXELS")
    detection.add_argument("--limit-type", choices=("min", "max"))
    detection.add_argument("--threshold", type=float, metavar="P", help="text above this")
    detection.add_argument("--box-threshold", type=float, metavar="P", help="boxes from this on")
    detection.add_argument("--unclip-ratio", type=float, metavar="R", help="growth of boxes")
    detection.add_argument("--max-candidates", type=int, metavar="N")
    detection.add_argument("--dilation", action=argparse.BooleanOptionalAction)
    detection.add_argument("--score-mode", choices=("fast", "slow"))
    detection.add_argument("--box-type", choices=("quad", "polygon"), default="quad")
    other = parser.add_argument_group("other limits")
    other.add_argument("--orientation-threshold", type=float, metavar="P")
    other.add_argument("--min-score", type=float, metavar="S", help="drop lines that score less")
    other.add_argument("--max-pixels", type=int, metavar="N", help="refuse larger images")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_doctor)
    _add_models(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def _add_bundle(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    show = commands.add_parser("show", help="what a bundle is and how good")
    show.set_defaults(run=_bundle_show)
    show.add_argument("--json", action="store_true", help="print bundle.json")
    verify = commands.add_parser("verify", help="check every file of a bundle")
    verify.set_defaults(run=_bundle_verify)
    pack = commands.add_parser("pack", help="make one file of a bundle folder")
    pack.set_defaults(run=_bundle_pack)
    unpack = commands.add_parser("unpack", help="make a folder of a packed bundle")
    unpack.set_defaults(run=_bundle_unpack)
    for command in (show, verify, pack, unpack):
        command.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder or packed file")
    pack.add_argument("target", type=Path, metavar="FILE")
    unpack.add_argument("target", type=Path, metavar="FOLDER", help="new or empty")


# edgeocr read. ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One image to read."""

    name: str
    """As it is printed."""
    image: ImageInput
    drawing: Path | None
    """Where its picture goes."""


def _read(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    sources, several = _sources(arguments.sources)
    drawings = _drawings(sources, arguments.draw, several=several)
    ocr = Ocr.load(arguments.bundle, threads=arguments.threads)
    jobs = (
        _Job(name=source, image=_image(source), drawing=drawings.get(source)) for source in sources
    )
    if not several:
        job = next(jobs)
        print(_render(job, _read_one(ocr, job, options), arguments, heading=False))
        return 0
    failed = False
    progress = _Progress(len(sources))
    for job in jobs:
        progress.show()
        try:
            result = _read_one(ocr, job, options)
        except ImageError as error:
            progress.clear()
            _complain(error)
            failed = True
        else:
            progress.clear()
            print(_render(job, result, arguments, heading=True), flush=True)
    return 1 if failed else 0


def _options(arguments: argparse.Namespace) -> OcrOptions:
    wishes = {name: getattr(arguments, name) for name in _WISHES}
    return OcrOptions(**{name: wish for name, wish in wishes.items() if wish is not None})


def _sources(names: Sequence[str]) -> tuple[list[str], bool]:
    """The images that the names stand for, and whether they are a list of images or just one.

    Raises:
        ImageError: a folder cannot be listed or has no images.
        OptionError: standard input is named twice.
    """
    if names.count(STDIN) > 1:
        raise OptionError("standard input (-) can be read once only")
    sources: list[str] = []
    for name in names:
        folder = Path(name)
        if name == STDIN or not folder.is_dir():
            sources.append(name)
            continue
        try:
            found = sorted(
                str(path) for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES
            )
        except OSError as error:
            raise ImageError(f"cannot list the folder {name}: {error.strerror}") from error
        if not found:
            raise ImageError(
                f"no images in the folder {name}: no file ends in "
                f"{', '.join(sorted(IMAGE_SUFFIXES))}"
            )
        sources += found
    return sources, len(names) > 1 or sources != list(names)


def _drawings(sources: Sequence[str], target: Path | None, *, several: bool) -> dict[str, Path]:
    """Where the pictures of the sources go; none may replace another or a source.

    Raises:
        OptionError: one would, or the folder cannot be made.
    """
    if target is None:
        return {}
    if not several and target.suffix.lower() in _DRAWING_SUFFIXES and not target.is_dir():
        drawings = {sources[0]: target}
    else:
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OptionError(f"--draw: cannot make {target}: {error.strerror}") from error
        names = {source: "stdin" if source == STDIN else Path(source).name for source in sources}
        drawings = {source: target / f"{name}.png" for source, name in names.items()}
    taken = {os.path.realpath(source): source for source in sources if source != STDIN}
    for source, drawing in drawings.items():
        other = taken.setdefault(os.path.realpath(drawing), source)
        if other != source or os.path.realpath(drawing) == os.path.realpath(source):
            raise OptionError(f"--draw: the picture of {source} would replace that of {other}")
    return drawings


def _image(source: str) -> ImageInput:
    if source != STDIN:
        return source
    return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)


def _read_one(ocr: Ocr, job: _Job, options: OcrOptions) -> OcrResult:
    result = ocr.read(job.image, options)
    if job.drawing is not None:
        _draw(result, job.image, job.drawing)
    return result


def _draw(result: OcrResult, image: ImageInput, target: Path) -> None:
    try:
        encoded, content = cv2.imencode(target.suffix, result.draw(image))
    except cv2.error as error:
        raise ImageError(f"cannot encode {target}: {error}") from error
    if not encoded:
        raise ImageError(f"cannot encode {target}: the format takes no picture of this size")
    try:
        write_whole(target, content.tobytes())
    except OSError as error:
        raise ImageError(f"cannot write {target}: {error.strerror}") from error


def _render(job: _Job, result: OcrResult, arguments: argparse.Namespace, *, heading: bool) -> str:
    """One image's result as it is printed, without the last line break."""
    if arguments.json:
        return json.dumps({"file": job.name, **result.to_dict()}, ensure_ascii=False)
    rows = [job.name] if heading else []
    if arguments.text:
        return "\n".join([*rows, result.text] if result else rows)
    for line in result:
        turned = "  (upside down)" if line.rotation else ""
        text = line.text if arguments.recognise else str(line.box.round().astype(int).tolist())
        score = line.score if arguments.recognise else line.detection_score
        rows.append(f"{score:.3f}  {text}{turned}")
    stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in result.timings_ms.items())
    rows.append(f"{len(result)} lines; ms: {stages}")
    return "\n".join(rows)


class _Progress:
    """How many of several images are done; quiet where stderr is no terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._begun = 0
        self._visible = sys.stderr.isatty()

    def show(self) -> None:
        self._begun += 1
        if self._visible:
            print(f"\r{self._begun}/{self._total}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._visible:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


# edgeocr doctor, edgeocr bundle. ------------------------------------------------------------


def _doctor(arguments: argparse.Namespace) -> int:
    diagnosis = diagnose(arguments.bundle, threads=arguments.threads)
    if arguments.json:
        print(json.dumps(diagnosis.to_dict(), ensure_ascii=False))
    else:
        print(diagnosis)
    return 0 if diagnosis.healthy else 1


def _bundle_show(arguments: argparse.Namespace) -> int:
    bundle = Bundle.open(arguments.bundle)
    if arguments.json:
        print(bundle.to_json(), end="")
        return 0
    print(f"{bundle.name} {bundle.version}, {bundle.precision}, {bundle.licence}")
    stages = bundle.stages
    for name, model in (("det", stages.det), ("cls", stages.cls), ("rec", stages.rec)):
        shapes = ", ".join(f"{shape.height}x{shape.width}" for shape in model.signatures)
        print(f"{name}  {model.file}, {model.bytes / 1e6:.2f} MB, {shapes}")
    print(f"charset  {stages.rec.classes - 1} entries")
    for name, table in (
        ("origin", bundle.origin),
        ("quantization", bundle.quantization),
        ("parity", bundle.parity),
        ("accuracy", bundle.accuracy),
    ):
        for key, value in table.items():
            print(f"{name}.{key}  {json.dumps(value, ensure_ascii=False)}")
    return 0


def _bundle_verify(arguments: argparse.Namespace) -> int:
    bundle = Bundle.open(arguments.bundle)
    print(f"{arguments.bundle}: {bundle.name} {bundle.version}, {bundle.precision}, is complete")
    return 0


def _bundle_pack(arguments: argparse.Namespace) -> int:
    print(pack(Bundle.open(arguments.bundle), arguments.target))
    return 0


def _bundle_unpack(arguments: argparse.Namespace) -> int:
    print(unpack(Bundle.open(arguments.bundle), arguments.target))
    return 0


if __name__ == "__main__":
    sys.exit(main())
