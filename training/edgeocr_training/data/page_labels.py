"""Labelled pages from PaddleOCR's label files, one row read at a time.

A file may hold many rows, and one that is broken costs a sample and not the run. Rows stay text
until they are used: that is compact, and quick to hand to worker processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edgeocr_benchmarks.errors import LabelError
from edgeocr_benchmarks.labels import parse_regions, read_rows, split_row
from edgeocr_training.data.outlines import Outlines
from edgeocr_training.data.page_image import EncodedImage
from edgeocr_training.data.page_layout import PageLayout
from edgeocr_training.errors import DataError, SampleError

IGNORED_TEXTS: Final = frozenset({"*", "###"})
"""Transcriptions of text that nobody can read."""

_ROWS_LOOKED_AT: Final = 20
"""If none of so many rows at its beginning is a page's, a file is no label file of pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRow:
    """One row of a label file."""

    file: Path
    number: int
    text: str

    @property
    def where(self) -> str:
        return f"{self.file}, row {self.number}"

    def image_path(self) -> Path:
        """Where its image should be.

        Raises:
            SampleError: the row is malformed.
        """
        return self._split()[0]

    def _split(self) -> tuple[Path, str]:
        """The image's path and the label."""
        try:
            name, label = split_row(self.text, where=self.where)
        except LabelError as error:
            raise SampleError(str(error)) from error
        return self.file.parent / name, label

    def read(self) -> PageLayout:
        """Reads the row and the file of its image, which is not decoded yet.

        Raises:
            SampleError: the row is malformed, the image is missing or no image, or a polygon lies
                outside of it.
        """
        path, label = self._split()
        try:
            regions = parse_regions(label, where=self.where)
        except LabelError as error:
            raise SampleError(str(error)) from error
        image = EncodedImage(path)
        size = np.array(image.size)
        outlines = Outlines.of(
            [region.polygon for region in regions],
            [region.text in IGNORED_TEXTS for region in regions],
        )
        low, high = outlines.lows_N2, outlines.highs_N2
        # Text may begin outside, but not be there, nor be larger than pages are.
        outside = ((high <= 0) | (low >= size) | (high - low > 2 * size)).any(axis=1)
        if outside.any():
            first = int(outside.argmax())
            corner = ", ".join(f"{value:g}" for value in regions[first].polygon[0].tolist())
            raise SampleError(
                f"{self.where}, region {first}: the polygon at ({corner}) lies outside of the "
                f"image of {size[0]} x {size[1]} pixels: was it labelled at another size?"
            )
        return PageLayout(image=image, outlines=outlines)


def read_page_rows(files: Sequence[str], repeats: Sequence[int] = ()) -> list[PageRow]:
    """The rows of label files, one file after the other.

    Args:
        files: paths.
        repeats: how often each file's rows are listed; empty for once.

    Raises:
        DataError: a file can't be read, is empty, or is no label file of pages.
    """
    rows = []
    for path, repeat in zip(files, repeats or [1] * len(files), strict=True):
        file = Path(path)
        try:
            _, numbered = read_rows(file)
            _check_some_are_pages(file, numbered[:_ROWS_LOOKED_AT])
        except LabelError as error:
            raise DataError(str(error)) from error
        rows += [PageRow(file=file, number=number, text=text) for number, text in numbered] * repeat
    return rows


def _check_some_are_pages(file: Path, numbered: Sequence[tuple[int, str]]) -> None:
    faults = []
    for number, text in numbered:
        where = f"{file}, row {number}"
        try:
            parse_regions(split_row(text, where=where)[1], where=where)
        except LabelError as error:
            faults.append(error)
        else:
            return
    raise DataError(f"{file} holds no labels of pages; {faults[0]}")
