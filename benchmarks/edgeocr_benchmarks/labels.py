"""Ground truth in PaddleOCR's label formats.

Three kinds, one image a line, UTF-8:

    pages   image<TAB>[{"transcription": "...", "points": [[x, y], ...]}, ...]
    lines   image<TAB>text            one cropped word or line an image
    texts   image<TAB>text            all the text of a whole image, without boxes

Image paths are relative to the label file. A region transcribed ``###`` is "don't care": it
counts neither as missed nor as found. Pages tell themselves by their JSON. Lines and texts
share a syntax and are told apart by shape, see :func:`_several_lines`; who knows better writes
the kind in front: ``texts=dev.txt``.
"""

import hashlib
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgeocr_benchmarks.errors import LabelError

LabelKind = Literal["pages", "lines", "texts"]

DONT_CARE: Final = "###"

MIN_LINE_ASPECT: Final = 0.1
"""Widths per height and character below which a set of images can't be single lines. Cropped
words have a median of 0.4 to 0.6 (ICDAR 2015, IIIT5K), whole images of 0.02 (MTWI)."""

ASPECT_SAMPLE: Final = 64
"""Images whose shape is looked at to tell lines from texts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """One labelled text region of a page."""

    polygon: NDArray[np.float64]
    """(N, 2), N >= 3, image pixels."""
    text: str

    @property
    def dont_care(self) -> bool:
        return self.text == DONT_CARE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledImage:
    """One image and what is written on it."""

    image: Path
    name: str
    """The path as the label file writes it."""
    text: str
    """Everything that counts, for a page one region a row; don't-care regions left out."""
    regions: tuple[Region, ...] = ()
    """Of a page; empty for the other kinds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelSet:
    """A label file that was read."""

    name: str
    """The folder and the file without its suffix: ``funsd/dev``."""
    kind: LabelKind
    sha256: str
    """Of the label file."""
    fold_case: bool
    """Whether readings are compared without regard to case. True where all cased letters of the
    file are capitals: its labels then say nothing about case (SROIE's don't)."""
    images: tuple[LabelledImage, ...]


def read_labels(source: str, *, limit: int | None = None) -> LabelSet:
    """Reads one label file.

    Args:
        source: path of the file, or ``pages=PATH``, ``lines=PATH``, ``texts=PATH`` where the
            kind shall not be guessed.
        limit: keeps the first so many images; kind and case are those of the whole file.

    Raises:
        LabelError: the file can't be read, a row is malformed (named by its number), it has no
            rows, or an image is missing.
    """
    prefix, equals, rest = source.partition("=")
    kind: LabelKind | None = None
    if equals and prefix in get_args(LabelKind):
        kind, source = prefix, rest  # type: ignore[assignment]  # narrowed by get_args
    path = Path(source)
    content, numbered_rows = read_rows(path)
    rows = []
    for number, row in numbered_rows:
        name, label = split_row(row, where=f"{path}, row {number}")
        rows.append((number, name, label))

    if kind is None and _is_regions(rows[0][2]):
        kind = "pages"
    images = []
    for number, name, label in rows:
        image = path.parent / name
        if not image.is_file():
            raise LabelError(f"{path}, row {number}: there is no image {image}")
        if kind == "pages":
            regions = parse_regions(label, where=f"{path}, row {number}")
            written = "\n".join(region.text for region in regions if not region.dont_care)
            images.append(LabelledImage(image=image, name=name, text=written, regions=regions))
        else:
            images.append(LabelledImage(image=image, name=name, text=label))
    if kind is None:
        kind = "texts" if _several_lines(images) else "lines"
    return LabelSet(
        name=f"{path.resolve().parent.name}/{path.stem}",
        kind=kind,
        sha256=hashlib.sha256(content).hexdigest(),
        fold_case=_all_capitals(labelled.text for labelled in images),
        images=tuple(images[:limit]),
    )


def read_rows(path: Path) -> tuple[bytes, list[tuple[int, str]]]:
    """Reads a label file without looking into its rows.

    Returns:
        Its content, and its rows that are not blank, each with its number.

    Raises:
        LabelError: the file can't be read, or it has no rows.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LabelError(f"can't read the labels {path}: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    numbered = enumerate(text.split("\n"), start=1)
    rows = [(number, row.rstrip("\r")) for number, row in numbered if row.strip()]
    if not rows:
        raise LabelError(f"{path} holds no labels")
    return content, rows


def split_row(row: str, *, where: str) -> tuple[str, str]:
    """The image's path as the row writes it, and its label.

    Args:
        row: of a label file.
        where: file and row, for the message.

    Raises:
        LabelError: the row is malformed.
    """
    name, tab, label = row.partition("\t")
    if not tab or not name.strip():
        raise LabelError(f"{where}: expected image<TAB>label, got {row[:60]!r}")
    return name.strip(), label


def _is_regions(label: str) -> bool:
    try:
        value = json.loads(label)
    except ValueError:
        return False
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def parse_regions(label: str, *, where: str) -> tuple[Region, ...]:
    """Reads the label of a page.

    Args:
        label: JSON, the second column of a row.
        where: file and row, for the message.

    Raises:
        LabelError: it is malformed.
    """
    try:
        items = json.loads(label)
    except ValueError as error:
        raise LabelError(f"{where}: the regions are not JSON ({error})") from error
    if not isinstance(items, list):
        raise LabelError(f"{where}: the regions are not a JSON list")
    return tuple(_parse_region(item, where=f"{where}, region {i}") for i, item in enumerate(items))


def _parse_region(item: Any, *, where: str) -> Region:
    if not isinstance(item, dict) or not isinstance(item.get("transcription"), str):
        raise LabelError(f'{where}: expected {{"transcription": text, "points": [[x, y], ...]}}')
    try:
        polygon = np.asarray(item.get("points"), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise LabelError(f"{where}: the points are not numbers") from error
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3:
        raise LabelError(f"{where}: expected three or more points [x, y]")
    if not np.isfinite(polygon).all():
        raise LabelError(f"{where}: a point is not finite")
    return Region(polygon=polygon, text=item["transcription"])


def _all_capitals(texts: Iterable[str]) -> bool:
    written = "".join(texts)
    return written.upper() == written and written.lower() != written


def _several_lines(images: Sequence[LabelledImage]) -> bool:
    """Whether these images hold more text than fits on one line of their shape.

    A line of n characters, upright or turned by 90 degrees, is at least about n/4 times as
    long as high. The median over the images decides, so single oddities don't.
    """
    # Only here: devices that score pages, whose labels tell themselves, need no Pillow.
    from PIL import Image, UnidentifiedImageError

    aspects = []
    for labelled in images[:ASPECT_SAMPLE]:
        characters = len("".join(labelled.text.split()))
        if not characters:
            continue
        try:
            with Image.open(labelled.image) as image:
                width, height = image.size
        except (OSError, UnidentifiedImageError) as error:
            raise LabelError(f"{labelled.image} can't be opened as an image: {error}") from error
        aspects.append(max(width / height, height / width) / characters)
    return bool(aspects) and statistics.median(aspects) < MIN_LINE_ASPECT
