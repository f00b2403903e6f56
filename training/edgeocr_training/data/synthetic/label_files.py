"""Folders of rendered pictures with label files in PaddleOCR's formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.whole_files import write_whole
from edgeocr_benchmarks.labels import DONT_CARE
from edgeocr_training.data.synthetic.lines import SyntheticLines
from edgeocr_training.data.synthetic.pages import SyntheticPages
from edgeocr_training.errors import DataError

PAGE_LABELS: Final = "pages.txt"
LINE_LABELS: Final = "lines.txt"


def write_pages(
    pages: SyntheticPages,
    folder: Path,
    *,
    count: int,
    seed: int,
    progress: Callable[[], object] = lambda: None,
) -> Path:
    """Writes ``pages/000000.jpg`` and on, and then ``pages.txt``, which is there only when all is.

    Args:
        pages: to render.
        folder: is made where it is missing.
        count: of pages.
        seed: page n comes from the generator ``np.random.default_rng((seed, n))``.
        progress: called after each page.

    Returns:
        The label file. A line that nobody can read is labelled ``###``.

    Raises:
        DataError: there is a label file already, or a file can't be written.
    """

    def make(index: int, picture: Path) -> str:
        rendered = pages.rendered(np.random.default_rng((seed, index)))
        _write_picture(picture, rendered.page.image)
        regions = [
            {
                "transcription": DONT_CARE if ignored else text,
                "points": np.round(polygon.astype(np.float64), 1).tolist(),
            }
            for polygon, ignored, text in zip(
                rendered.page.polygons, rendered.page.ignored, rendered.texts, strict=True
            )
        ]
        return json.dumps(regions, ensure_ascii=False)

    return _write(folder / PAGE_LABELS, count, make, progress)


def write_lines(
    lines: SyntheticLines,
    folder: Path,
    *,
    count: int,
    seed: int,
    progress: Callable[[], object] = lambda: None,
) -> Path:
    """Writes ``lines/000000.jpg`` and on, and then ``lines.txt``; as :func:`write_pages` does.

    Raises:
        DataError: there is a label file already, or a file can't be written.
    """

    def make(index: int, picture: Path) -> str:
        image, text = lines.line(np.random.default_rng((seed, index)))
        _write_picture(picture, image)
        return text

    return _write(folder / LINE_LABELS, count, make, progress)


def _write(
    labels: Path, count: int, make: Callable[[int, Path], str], progress: Callable[[], object]
) -> Path:
    if labels.exists():
        raise DataError(f"{labels} is already there: delete it or name another folder")
    pictures = labels.parent / labels.stem
    rows = []
    try:
        pictures.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            picture = pictures / f"{index:06}.jpg"
            rows.append(f"{pictures.name}/{picture.name}\t{make(index, picture)}\n")
            progress()
        write_whole(labels, "".join(rows).encode())
    except OSError as error:
        raise DataError(f"can't write to {labels.parent}: {error.strerror}") from error
    return labels


def _write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    path.write_bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
