"""Label files written by a teacher, for images without labels or with labels of another kind.

A detector for lines can't be measured on words. A stronger detector's boxes are lines as that
detector sees them, so they serve as the truth that a student is trained towards and measured by.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edgeocr.db_boxes import DbParameters
from edgeocr.detection import DetectorInput, TextRegion, regions_of_map
from edgeocr.whole_files import write_whole
from edgeocr_benchmarks.labels import DONT_CARE
from edgeocr_benchmarks.polygons import PolygonArea
from edgeocr_training.data.page_image import EncodedImage
from edgeocr_training.data.page_labels import PageRow, read_page_rows
from edgeocr_training.data.teacher_maps import TeacherMaps
from edgeocr_training.errors import DataError, RecipeError

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"}
)

COVERED_SHARE: Final = 0.5
"""Of its area, above which a labelled region lies in the teacher's boxes, or a box in a region:
either way the teacher found it. A detection in a region that nobody cares about would not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoLabels:
    """What was written."""

    pages: int
    boxes: int
    """Regions that count."""
    dont_care: int
    """Regions that count neither as missed nor as found."""


def write_pseudo_labels(
    source: Path,
    target: Path,
    *,
    teacher: TeacherMaps,
    threshold: float = 0.3,
    box_threshold: float = 0.6,
    unclip_ratio: float = 1.5,
    doubtful_from: float | None = None,
) -> PseudoLabels:
    """Writes a label file of pages with a teacher's boxes.

    A region whose text is unknown has an empty transcription. Don't care, ``###``, are doubtful
    boxes and, of a source with labels, the text that the teacher doesn't find: it is there, so
    nobody shall be taught or measured that it is not.

    Args:
        source: a folder of images, searched with all of its folders, or a label file of pages.
        target: label file to write; paths of images are relative to its folder.
        teacher: whose maps are decoded.
        threshold: probability above which a pixel is text.
        box_threshold: mean probability that a box needs.
        unclip_ratio: by which kernels are grown.
        doubtful_from: lower mean probability from which a box is doubtful; None leaves out all
            boxes below ``box_threshold``.

    Raises:
        RecipeError: ``doubtful_from`` is not below ``box_threshold``.
        DataError: there are no images, one of them or a row of labels is broken, the teacher can't
            be run, or the file can't be written. Nothing is written then.
    """
    if doubtful_from is not None and doubtful_from >= box_threshold:
        raise RecipeError(f"doubtful_from {doubtful_from} is not below {box_threshold}")
    parameters = DbParameters(
        threshold=threshold,
        box_threshold=box_threshold if doubtful_from is None else doubtful_from,
        unclip_ratio=unclip_ratio,
        max_candidates=1000,
    )
    rows, boxes, dont_care = [], 0, 0
    pages = _pages(source)
    for path, row in tqdm(pages, "pseudo labels", unit="page", delay=2, disable=None):
        image = EncodedImage(path)
        found = _decode(teacher.map_of(image), image.size, parameters)
        sure = [region.quad for region in found if region.score >= box_threshold]
        ignored = [region.quad for region in found if region.score < box_threshold]
        if row is not None:
            ignored += _not_found(row.read().outlines.polygons, sure)
        label = [_entry(quad, "") for quad in sure]
        label += [_entry(polygon, DONT_CARE) for polygon in ignored]
        rows.append(f"{os.path.relpath(path, target.parent)}\t{json.dumps(label)}\n")
        boxes += len(sure)
        dont_care += len(ignored)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, "".join(rows).encode())
    except OSError as error:
        raise DataError(f"can't write the labels {target}: {error.strerror}") from error
    return PseudoLabels(pages=len(rows), boxes=boxes, dont_care=dont_care)


def _pages(source: Path) -> list[tuple[Path, PageRow | None]]:
    """Images, and their rows where there are labels."""
    if not source.is_dir():
        return [(row.image_path(), row) for row in read_page_rows([str(source)])]
    images = [path for path in sorted(source.rglob("*")) if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise DataError(f"{source} holds no images: {', '.join(sorted(IMAGE_SUFFIXES))}")
    return [(path, None) for path in images]


def _decode(
    map_HW: NDArray[np.uint8], size: tuple[int, int], parameters: DbParameters
) -> list[TextRegion]:
    """The regions of an image, placed by the product's own code."""
    (map_height, map_width), (width, height) = map_HW.shape, size
    shown = DetectorInput(
        # Only its size counts here: the map is as large as what the network saw.
        tensor=np.broadcast_to(np.float32(0), (1, map_height, map_width, 3)),
        signature="",
        scale=(map_width / width, map_height / height),
        top=0,
        height=height,
        width=width,
    )
    probabilities = (map_HW / np.float32(255)).astype(np.float32)
    return regions_of_map(probabilities, shown, parameters=parameters)


def _not_found(
    polygons: Sequence[NDArray[np.float32]], boxes: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """The polygons that boxes don't cover, and that cover no box."""
    areas = [PolygonArea(box) for box in boxes]
    missed = []
    for polygon in polygons:
        region = PolygonArea(polygon)
        common = [region.intersection(area) for area in areas]
        covers = any(
            part > COVERED_SHARE * area.area for part, area in zip(common, areas, strict=True)
        )
        if sum(common) <= COVERED_SHARE * region.area and not covers:
            missed.append(polygon)
    return missed


def _entry(polygon: NDArray[np.float32], text: str) -> dict[str, Any]:
    return {"transcription": text, "points": polygon.astype(np.float64).round(2).tolist()}
