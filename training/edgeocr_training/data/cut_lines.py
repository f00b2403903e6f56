"""Cuts the lines out of labelled pages, as the product cuts them, into a label file of lines."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edgeocr.errors import EdgeOcrError, ImageError
from edgeocr.geometry import min_area_quad
from edgeocr.images import load_image
from edgeocr.pixels import crop_line
from edgeocr.whole_files import write_whole
from edgeocr_benchmarks.errors import LabelError
from edgeocr_benchmarks.labels import LabelledImage, Region, read_labels
from edgeocr_training.data.page_labels import IGNORED_TEXTS
from edgeocr_training.data.usable_lines import tidied
from edgeocr_training.errors import DataError

LABELS: Final = "lines.txt"
LEAST_SIDE: Final = 6
"""Pixels. Of text that is lower, letters can't be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutLines:
    """What was written."""

    labels: Path
    """The label file of lines."""
    written: int
    left_out: Counter[str]
    """Regions that gave no line, by reason."""


def cut_lines(
    pages: Path,
    folder: Path,
    *,
    progress: Callable[[], object] = lambda: None,
) -> CutLines:
    """Writes ``lines/000000.jpg`` and on, and then ``lines.txt``, which is there only when all is.

    Cut by :func:`edgeocr.pixels.crop_line`, so tall ones are turned by 90 degrees; single
    characters are not. Left out are text that is illegible (``###`` or ``*``), empty, lower than
    :data:`LEAST_SIDE` or without area. Where all labels of the pages are capitals, as SROIE's,
    nobody knows the case of a letter, and only lines without cased letters are cut.

    Args:
        pages: label file of pages.
        folder: is made where it is missing.
        progress: called after each page.

    Raises:
        DataError: the pages' labels or images can't be read, there is a label file of lines
            already, or a file can't be written.
    """
    labels = folder / LABELS
    if labels.exists():
        raise DataError(f"{labels} is already there: delete it or name another folder")
    try:
        source = read_labels(f"pages={pages}")
    except LabelError as error:
        raise DataError(str(error)) from error
    rows: list[str] = []
    left_out: Counter[str] = Counter()
    try:
        (folder / labels.stem).mkdir(parents=True, exist_ok=True)
        for page in source.images:
            image = _picture(page)
            for region in page.regions:
                line = _line(image, region, case_is_known=not source.fold_case)
                if isinstance(line, str):
                    left_out[line] += 1
                    continue
                name = f"{labels.stem}/{len(rows):06}.jpg"
                (folder / name).write_bytes(_encoded(line))
                rows.append(f"{name}\t{tidied(region.text)}\n")
            progress()
        if not rows:
            raise DataError(f"{pages} has no line that can be cut: {dict(left_out)}")
        write_whole(labels, "".join(rows).encode())
    except OSError as error:
        raise DataError(f"can't write to {folder}: {error.strerror}") from error
    return CutLines(labels=labels, written=len(rows), left_out=left_out)


def _picture(page: LabelledImage) -> NDArray[np.uint8]:
    try:
        return load_image(page.image)
    except ImageError as error:
        raise DataError(str(error)) from error


def _line(
    image: NDArray[np.uint8], region: Region, *, case_is_known: bool
) -> NDArray[np.uint8] | str:
    """The line, or why there is none."""
    text = tidied(region.text)
    if text in IGNORED_TEXTS:
        return "illegible"
    if not text:
        return "empty"
    if not case_is_known and text.upper() != text.lower():
        return "of unknown case"
    try:
        crop = crop_line(image, _quad(region), turned=False if len(text) == 1 else None)
    except ImageError:
        return "without area"
    return crop.pixels if min(crop.pixels.shape[:2]) >= LEAST_SIDE else "too small"


def _quad(region: Region) -> NDArray[Any]:
    """Clockwise from where the text begins: labels of four corners say where that is."""
    polygon = region.polygon
    if len(polygon) == 4 and cv2.contourArea(polygon.astype(np.float32), oriented=True) > 0:
        return polygon
    return min_area_quad(polygon)[0]


def _encoded(line: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".jpg", line, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())


def main(argv: Sequence[str] | None = None) -> int:
    """Cuts what the arguments say.

    Returns:
        0, or 2 after a known error, which is told in one line on stderr.
    """
    parser = argparse.ArgumentParser(
        prog="python -m edgeocr_training.data.cut_lines", description=__doc__
    )
    parser.add_argument("pages", type=Path, help="label file of pages, in PaddleOCR's format")
    parser.add_argument("folder", type=Path, help="where lines/ and lines.txt are written")
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(1)
    try:
        with tqdm(unit="page", disable=not sys.stderr.isatty()) as bar:
            cut = cut_lines(arguments.pages, arguments.folder, progress=bar.update)
    except EdgeOcrError as error:
        print(f"edgeocr_training.data.cut_lines: {error}", file=sys.stderr)
        return 2
    reasons = ", ".join(f"{count} {reason}" for reason, count in cut.left_out.most_common())
    print(f"{cut.labels}: {cut.written} lines" + (f"; left out: {reasons}" if reasons else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
