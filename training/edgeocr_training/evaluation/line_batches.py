"""Lines of text in batches of one width each, prepared like the product."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeocr.errors import ImageError
from edgeocr.images import load_image
from edgeocr.pixels import InputTable, fit
from edgeocr_benchmarks.errors import LabelError
from edgeocr_benchmarks.labels import LabelSet, read_labels
from edgeocr_training.data.line_images import resized
from edgeocr_training.errors import DataError, RecipeError


def read_line_labels(sources: Sequence[str], *, limit: int | None) -> tuple[LabelSet, ...]:
    """Label files of lines, as ``edgeocr-bench accuracy`` takes them.

    Args:
        sources: paths of the files.
        limit: keeps the first so many lines of each; None all.

    Raises:
        DataError: a file is missing, malformed or not of lines.
        RecipeError: no file is named, or the limit is not positive.
    """
    if not sources:
        raise RecipeError("labels name no file: an evaluation needs at least one")
    if limit is not None and limit < 1:
        raise RecipeError(f"lines is {limit}; it must be at least 1")
    return tuple(_line_labels(source, limit) for source in sources)


def _line_labels(source: str, limit: int | None) -> LabelSet:
    try:
        labels = read_labels(source, limit=limit)
    except LabelError as error:
        raise DataError(str(error)) from error
    if labels.kind != "lines":
        raise DataError(
            f"{source} has {labels.kind}; it must have lines. If these are lines, "
            f"write lines={source}"
        )
    return labels


def load_line(path: Path) -> NDArray[np.uint8]:
    """The image of a line, (H, W, 3) uint8 BGR.

    Raises:
        DataError: it can't be read.
    """
    try:
        return load_image(path)
    except ImageError as error:
        raise DataError(f"{path} can't be measured: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineBatch:
    """Lines of about one length."""

    places: tuple[int, ...]
    """Numbers of the lines in what was given, from 0."""
    image_B3HW: Tensor
    """float32, normalised; to the right of a line is the network's zero."""


def line_batches(
    lines: Iterable[NDArray[np.uint8]],
    *,
    table: InputTable,
    height: int,
    widths: Sequence[int],
    batch_size: int,
) -> Iterator[LineBatch]:
    """Scales lines to a height, keeping their aspect, and collects those of one width.

    Every line comes once, in an order of its own. Lines longer than the greatest width are
    squeezed into it, as in PaddleOCR; the product would cut them.

    Args:
        lines: (H, W, 3) uint8 BGR of any size.
        table: of the network.
        height: of the network's input in pixels.
        widths: of the network's input in pixels, rising; a line goes into the first that has
            room.
        batch_size: lines of a batch, at most.
    """
    waiting: dict[int, list[tuple[int, NDArray[np.float32]]]] = {width: [] for width in widths}
    for place, line in enumerate(lines):
        scaled = resized(line, height=height, width=widths[-1])
        width = next(width for width in widths if width >= scaled.shape[1])
        pixels, _ = fit(scaled, height=height, width=width, table=table, scale=1.0)
        waiting[width].append((place, np.asarray(pixels[0], np.float32)))
        if len(waiting[width]) == batch_size:
            yield _stacked(waiting[width])
            waiting[width] = []
    for rest in waiting.values():
        if rest:
            yield _stacked(rest)


def _stacked(lines: Sequence[tuple[int, NDArray[np.float32]]]) -> LineBatch:
    image_BHW3 = torch.from_numpy(np.stack([pixels for _, pixels in lines]))
    return LineBatch(
        places=tuple(place for place, _ in lines), image_B3HW=image_BHW3.permute(0, 3, 1, 2)
    )
