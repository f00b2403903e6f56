"""What a probe measured on one device: raw samples, states of the machine, identities.

Statistics, validity and costs are computed when it is read. ``readings`` hold text, and leave
the file when they are scored: see :mod:`edgeocr_benchmarks.scoring`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from edgeocr_benchmarks.detection_metrics import PageCounts
from edgeocr_benchmarks.text_metrics import LineCounts

SCHEMA: Final = 1

STAGES: Final = ("det", "cls", "rec")
PARTS: Final = ("pre", "inference", "post")
SAMPLE_KEYS: Final = (
    "load",
    *(f"det.{part}" for part in PARTS),
    "crop",
    *(f"cls.{part}" for part in PARTS),
    *(f"rec.{part}" for part in PARTS),
    "total",
)
"""What every read is divided into, in milliseconds. "load" decodes the image. With several
threads lines are read side by side; the time that they took together is shared out over "crop",
"cls" and "rec" as the threads spent it, so that parts add up to nearly the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What changes while a machine works."""

    at_s: float
    """Since the probe began."""
    facts: Mapping[str, Any]
    """load_1min, scaling_cur_freq_khz {cpu: text}, temperature_c {zone: number}, throttled
    (vcgencmd's number), thermal_status (Android's, 0 to 6); only what the system states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredImage:
    """A page that was read."""

    name: str
    width: int
    height: int
    sha256: str
    """Of the file."""
    lines: int | None
    """Lines of text written on it, where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCount:
    """All operators of one kind in a graph."""

    kind: str
    """TFLite's name: CONV_2D."""
    count: int
    delegated: int
    """Of these, those that XNNPACK takes."""
    macs: int
    """Multiply-accumulates of one run of all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One network at one input shape."""

    stage: Literal["det", "cls", "rec"]
    shape: str
    """HEIGHTxWIDTH."""
    partitions: int
    """Pieces into which XNNPACK's share falls; 1 is a graph taken whole."""
    operators: tuple[OperatorCount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredBundle:
    """Which models were measured."""

    name: str
    bundle: str
    """Name within bundle.json."""
    version: str
    precision: str
    bytes: Mapping[str, int]
    """On disk, of det, cls, rec and charset."""
    sha256: Mapping[str, str]
    """Of the same four files."""
    graphs: tuple[Graph, ...]
    """At every shape that the run met; empty where the runtime does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSamples:
    """Warm reads of one page by one bundle."""

    image: str
    lines: int
    """That were found, in the last read."""
    shapes: Mapping[str, int]
    """Runs of the networks in one read: {"det 736x992": 1, "cls 48x192": 20, "rec 48x320": 17}."""
    ms: Mapping[str, tuple[float, ...]]
    """By SAMPLE_KEYS; sample i of every key belongs to the same read, and sample i of every
    bundle to the same round."""
    cpu_ms: tuple[float, ...]
    """Processor time of each read, of all threads; empty where the system does not tell. On one
    thread, wall time beyond it was spent on other processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """One fresh process up to its first text. Files are in the system's cache from the second
    start on; what a device does after it was switched on is slower.
    """

    import_ms: float | None
    """Loading edgeocr with its libraries; None where there is nothing to import."""
    load_ms: float
    """Opening and verifying the bundle and its models."""
    first_ms: float
    """The first read of a page."""
    start_to_text_ms: float
    """From the start of the process, all of it."""
    loaded_bytes: int | None
    """Resident size after loading."""
    peak_bytes: int
    """Largest resident size after the first read."""
    pss_bytes: int | None
    """Proportional set size after the first read: pages shared with others count in part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRun:
    """One bundle in one run."""

    bundle: str
    warm_up_ms: tuple[float, ...]
    """Totals of the reads before the rounds, the first of the process among them."""
    pages: tuple[PageSamples, ...]
    cold: tuple[ColdStart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRun:
    """All bundles in turns, with one number of threads and one size of the detector."""

    threads: int
    limit_side: int | None
    cores: tuple[int, ...]
    """CPUs that the processes were bound to; empty where they were not."""
    began_s: float
    ended_s: float
    """Since the probe began, without the cool-down."""
    bundles: tuple[BundleRun, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTiming:
    """One stage alone at one input shape, on one thread."""

    bundle: str
    stage: Literal["cls", "rec"]
    shape: str
    """HEIGHTxWIDTH of the network's input."""
    ms: Mapping[str, tuple[float, ...]]
    """By PARTS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Several processes with one thread each, reading all images over and over."""

    bundle: str
    processes: int
    images: int
    """Reads that were finished, of all processes."""
    seconds: float
    peak_bytes: int
    """Sum of the largest resident sizes."""
    pss_bytes: int | None
    """Sum of the proportional set sizes: what the machine really gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sustained:
    """Reads without a rest between them."""

    bundle: str
    threads: int
    cores: tuple[int, ...]
    began_s: float
    ended_s: float
    image: str
    at_s: tuple[float, ...]
    """End of each read, since the sustained run of this bundle began."""
    ms: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """One line that was read."""

    text: str
    points: tuple[tuple[float, ...], ...]
    """Corners (x, y) in image pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReading:
    """What one bundle read on one page, with the default options."""

    bundle: str
    image: str
    lines: tuple[ReadLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageScore:
    """How right that was."""

    bundle: str
    image: str
    page: PageCounts
    text: LineCounts
    """The whole text of the page as one line, in reading order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceResult:
    """One run of a probe."""

    created: str
    """UTC, ISO 8601."""
    command: tuple[str, ...]
    target: str
    """local, ssh:user@host:port, adb:serial, qemu:pi4; without secrets."""
    app: str
    """Who measured: "python", "android", "jvm"."""
    versions: Mapping[str, str]
    """Of Python, edgeocr, the runtime and the libraries on the device."""
    environment: Mapping[str, Any]
    """What does not change: see :func:`edgeocr_benchmarks.environment.machine`."""
    states: tuple[State, ...]
    """Before, during and after, in order of time."""
    images: tuple[MeasuredImage, ...]
    bundles: tuple[MeasuredBundle, ...]
    runs: tuple[DeviceRun, ...]
    stages: tuple[StageTiming, ...]
    throughput: tuple[Throughput, ...]
    sustained: tuple[Sustained, ...]
    readings: tuple[PageReading, ...]
    """Empty once they are scored."""
    scores: tuple[PageScore, ...]
    """Empty where no labels were given."""
    benchmark: Literal["device"] = "device"
    schema: int = SCHEMA
