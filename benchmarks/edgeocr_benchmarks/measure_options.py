"""From a command line to a payload for a device, and from what comes back to a result.

The payload is one folder: ``plan.json``, ``bundles`` and ``images``. Every path in it is
relative, so it runs wherever it is copied to.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeocr.bundle import Bundle, unpack
from edgeocr.errors import OptionError
from edgeocr_benchmarks.device_results import DeviceResult
from edgeocr_benchmarks.errors import LabelError, PlanError, ResultFileError
from edgeocr_benchmarks.labels import read_labels
from edgeocr_benchmarks.page import PageSize, render_page
from edgeocr_benchmarks.plan import FILE_NAME, PlannedBundle, PlannedImage, ProbePlan
from edgeocr_benchmarks.results import read_result
from edgeocr_benchmarks.scoring import PageTruth, scored

DEFAULT_PAGE: Final = "1280x960x20"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What goes to a device, and what stays here."""

    folder: Path
    plan: ProbePlan
    truths: Mapping[str, PageTruth]
    """What is written on the images, by name; never sent."""


def add_measure_options(parser: argparse.ArgumentParser) -> None:
    """Adds everything that says what to measure, and nothing that says where."""
    parser.add_argument(
        "--bundle",
        action="append",
        required=True,
        metavar="[NAME=]DIR",
        help="model bundle; several are measured in turns, of the same name only with NAME=",
    )
    pages = parser.add_argument_group("pages")
    pages.add_argument(
        "--image", type=Path, action="append", default=[], metavar="FILE", help="time this page"
    )
    pages.add_argument(
        "--page",
        action="append",
        default=[],
        metavar="WIDTHxHEIGHTxLINES",
        help=f"time a rendered page (default without --image: {DEFAULT_PAGE}); can be repeated",
    )
    pages.add_argument(
        "--lines",
        type=_whole,
        action="append",
        default=[],
        metavar="N",
        help="time every rendered page with only N of its lines as well, for the cost of a line; "
        "can be repeated",
    )
    pages.add_argument(
        "--labels",
        action="append",
        default=[],
        metavar="FILE",
        help="label file of pages, each read once for the accuracy; an --image among them is "
        "timed and counts too; can be repeated",
    )
    pages.add_argument("--limit", type=_whole, help="images of each label file")
    sweep = parser.add_argument_group("sweeps: every value with every other; can be repeated")
    sweep.add_argument("--threads", type=_whole, action="append", help="default: 1")
    sweep.add_argument(
        "--limit-side",
        type=_whole,
        action="append",
        metavar="PIXELS",
        help="longest side that the detector is shown (default: what the bundle says)",
    )
    sweep.add_argument(
        "--line-width",
        type=_whole,
        action="append",
        default=[],
        metavar="PIXELS",
        help="time classifier and recogniser alone on a line of this width",
    )
    sweep.add_argument(
        "--processes",
        type=_whole,
        action="append",
        default=[],
        metavar="N",
        help="count images per second of N processes side by side",
    )
    amount = parser.add_argument_group("how often and how long")
    amount.add_argument("--rounds", type=_whole, default=20, help="default: 20")
    amount.add_argument("--warm-ups", type=_natural, default=3, help="default: 3")
    amount.add_argument(
        "--cold-starts", type=_natural, default=5, help="fresh processes of each (default: 5)"
    )
    amount.add_argument(
        "--throughput-seconds", type=float, default=10.0, metavar="S", help="default: 10"
    )
    amount.add_argument(
        "--sustained",
        type=float,
        default=0.0,
        metavar="S",
        help="read without a rest for S seconds at the end, to see the last 30 against the first",
    )
    machine = parser.add_argument_group("the machine")
    machine.add_argument(
        "--cores",
        default="strongest",
        metavar="strongest|any|N,N",
        help="CPUs to bind to (default: the strongest, as many as threads)",
    )
    machine.add_argument(
        "--rest", type=float, default=0.1, metavar="S", help="before every read (default: 0.1)"
    )
    machine.add_argument(
        "--cool-down",
        type=float,
        metavar="CELSIUS",
        help="before every run, wait until nothing is hotter than this, at most 300 s",
    )


def prepare_payload(arguments: argparse.Namespace, folder: Path) -> Payload:
    """Writes a payload into an empty folder.

    Args:
        arguments: of a parser with :func:`add_measure_options`.
        folder: is made where it is missing.

    Raises:
        BundleError: a bundle is not intact.
        LabelError: a label file is bad, or has no pages.
        OptionError: two names are equal, or a value makes no sense.
        PlanError: a file can't be copied, or the plan makes no sense.
    """
    bundles = [_named_bundle(text) for text in arguments.bundle]
    names = [name for name, _ in bundles]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(
                f"two of the bundles are both {name!r}; tell them apart by --bundle NAME=DIR"
            )
    images = _Images(folder / "images")
    _add_images(arguments, images)
    for i, (_, bundle) in enumerate(bundles):
        unpack(bundle, folder / "bundles" / str(i))
    plan = ProbePlan(
        bundles=tuple(
            PlannedBundle(name=name, path=f"bundles/{i}") for i, (name, _) in enumerate(bundles)
        ),
        images=tuple(images.timed),
        read_once=tuple(images.read_once),
        threads=tuple(arguments.threads or (1,)),
        limit_sides=tuple(arguments.limit_side or (None,)),
        line_widths=tuple(arguments.line_width),
        rounds=arguments.rounds,
        warm_ups=arguments.warm_ups,
        cold_starts=arguments.cold_starts,
        processes=tuple(arguments.processes),
        throughput_s=arguments.throughput_seconds,
        sustained_s=arguments.sustained,
        cores=_cores(arguments.cores),
        rest_s=arguments.rest,
        cool_down_c=arguments.cool_down,
    )
    plan.write(folder / FILE_NAME)
    return Payload(folder=folder, plan=plan, truths=images.truths)


def finish(payload: Payload, raw: Path, *, target: str, command: Sequence[str]) -> DeviceResult:
    """Reads what a device wrote, scores it and says where it was measured.

    Args:
        payload: that was sent.
        raw: the device's file.
        target: as the command line names it, without secrets.
        command: the command line.

    Raises:
        ResultFileError: the file is missing or not such a result.
    """
    result = read_result(raw)
    if not isinstance(result, DeviceResult):
        raise ResultFileError(f"{raw} is not what a probe writes")
    result = dataclasses.replace(result, target=target, command=tuple(command))
    return scored(result, payload.truths)


class _Images:
    """Files of the images folder, and what is known of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.timed: list[PlannedImage] = []
        self.read_once: list[PlannedImage] = []
        self.truths: dict[str, PageTruth] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PlanError(f"can't make the folder {folder}: {error.strerror}") from error

    def place(self, suffix: str) -> Path:
        """The path of a new file: numbered, since names may hold anything."""
        number = len(self.timed) + len(self.read_once)
        return self._folder / f"{number:04}{suffix.lower()}"

    def copied(self, image: Path) -> Path:
        target = self.place(image.suffix)
        try:
            shutil.copyfile(image, target)
        except OSError as error:
            raise PlanError(f"can't copy the image {image}: {error.strerror}") from error
        return target

    def add(
        self, path: Path, *, name: str, truth: PageTruth | None, lines: int | None, timed: bool
    ) -> None:
        planned = PlannedImage(name=name, path=f"images/{path.name}", lines=lines)
        (self.timed if timed else self.read_once).append(planned)
        if truth is not None:
            self.truths[name] = truth


def _add_images(arguments: argparse.Namespace, images: _Images) -> None:
    labelled: dict[Path, tuple[str, PageTruth]] = {}
    for source in arguments.labels:
        labels = read_labels(source, limit=arguments.limit)
        if labels.kind != "pages":
            raise LabelError(f"{source} labels {labels.kind}; a device is scored on pages")
        for known in labels.images:
            truth = PageTruth(regions=known.regions, fold_case=labels.fold_case)
            labelled[known.image.resolve()] = f"{labels.name}: {known.name}", truth
    for image in arguments.image:
        label = labelled.pop(image.resolve(), None)
        if label is None:
            images.add(images.copied(image), name=image.name, truth=None, lines=None, timed=True)
        else:
            name, truth = label
            lines = _written(truth)
            images.add(images.copied(image), name=name, truth=truth, lines=lines, timed=True)
    for text in arguments.page or (() if arguments.image else (DEFAULT_PAGE,)):
        size = PageSize.parse(text)
        counts = sorted({*(n for n in arguments.lines if n < size.lines), size.lines})
        for count in counts:
            path = images.place(".png")
            page = render_page(size, written=count)
            page.save(path)
            name = f"rendered {size.width}x{size.height}, {count} of {size.lines} lines"
            truth = PageTruth(regions=page.regions, fold_case=False)
            images.add(path, name=name, truth=truth, lines=count, timed=True)
    for image, (name, truth) in labelled.items():
        images.add(images.copied(image), name=name, truth=truth, lines=_written(truth), timed=False)


def _written(truth: PageTruth) -> int:
    return sum(not region.dont_care for region in truth.regions)


def _named_bundle(text: str) -> tuple[str, Bundle]:
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists():
        return name, Bundle.open(path)
    bundle = Bundle.open(text)
    return f"{bundle.name} {bundle.precision}", bundle


def _cores(text: str) -> tuple[int, ...] | None:
    if text == "strongest":
        return None
    if text == "any":
        return ()
    try:
        return tuple(int(core) for core in text.split(","))
    except ValueError:
        raise OptionError(
            f"--cores is {text!r}; expected strongest, any, or numbers as in 2,3"
        ) from None


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is negative")
    return number
