"""The images that ranges are measured on, and a model's losses.

Either the user's own (a folder), or rendered ones. Three of four calibrate, the fourth is held
out: what a quantized model loses is measured on images that it was not fitted to.

The samples are made by the SDK itself, from a float bundle: its detector's, classifier's and
recogniser's own ``prepare``. What calibrates a network is what the device will feed it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr import Bundle, Ocr, OcrOptions
from edgeocr.errors import ImageError
from edgeocr.images import load_image
from edgeocr.pixels import crop_line
from edgeocr.runtime import Tensor
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.rendered_text import (
    TextImage,
    Typefaces,
    render_pages,
)
from edgeocr_conversion.sources import (
    BACKGROUND_PICTURES,
    CHINESE_FONTS,
    LATIN_FONTS,
    PackagedFile,
    obtain,
)

RENDERED_PAGES: Final = 48
FURTHER_HELD_OUT: Final = 24
"""Rendered pages that are held out besides every fourth of those. The loss of H-mean of a detector
that loses nothing on 204 pages has a standard deviation of 0.45 points over draws of 12 of them:
by 12 pages alone a good conversion is refused now and then. With 36 it has 0.26."""
FOLDER_LIMIT: Final = 96
"""Images taken of a folder that has more, evenly over the sorted paths."""
HELD_OUT_EVERY: Final = 4
PAGE_LIMIT: Final = 18
"""Pages that a detector is calibrated with, evenly over all images. IoU of PP-OCRv4's text pixels
with the float model's, on 60 training pages each of FUNSD, SROIE and ICDAR 2015: 0.953, 0.971 and
0.876; with 36 pages, which take twice as long, 0.932, 0.965 and 0.899; with a third of the pages
standing on their side, 0.916, 0.958 and 0.855."""
LINE_LIMIT: Final = 512
"""Lines that a recogniser is calibrated with, evenly over all images."""

_SEED: Final = 20210907  # PP-OCRv2's date on arXiv; any number would do, as long as it stays
_LONGEST_SIDE: Final = 2000  # what the detectors see of an image at most
_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is done, how many steps are done and how many there are."""


def no_progress(what: str, done: int, total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationSet:
    """Images to calibrate with, and images held out to measure the losses on."""

    name: str
    images: tuple[TextImage, ...]
    held_out: tuple[TextImage, ...]
    details: dict[str, Any]
    """What else tells how the set was made; JSON-able."""

    def record(self) -> dict[str, Any]:
        """What bundle.json states of the set."""
        return {
            "name": self.name,
            "images": len(self.images),
            "held_out": len(self.held_out),
            "sha256": hashlib.sha256(
                b"".join(
                    hashlib.sha256(image.pixels.tobytes()).digest()
                    for image in (*self.images, *self.held_out)
                )
            ).hexdigest(),
            **self.details,
        }


def rendered_set(
    charset: Sequence[str],
    *,
    pages: int = RENDERED_PAGES,
    further_held_out: int = FURTHER_HELD_OUT,
    models: Path | None = None,
    progress: Progress = no_progress,
) -> CalibrationSet:
    """Rendered text on paper and photographs.

    Photographs and fonts come from packages, as the official models do: the pages are the same on
    every machine. Without them there are fewer kinds of pages, and a note on stderr, but still a
    set.

    Args:
        charset: of the recogniser; characters that it does not know are not rendered.
        pages: how many; every fourth is held out.
        further_held_out: pages besides, all of them held out.
        models: folder of the user in which packaged files are looked for first.
        progress: told of every page.
    """
    pictures = _packaged(BACKGROUND_PICTURES, without="photographs", models=models)
    typefaces = Typefaces(
        latin=_packaged(LATIN_FONTS, without="more than one Latin font", models=models),
        chinese=_packaged(CHINESE_FONTS, without="Chinese text", models=models),
    )
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress("Rendering pages", done, pages + further_held_out)

    images = render_pages(
        pages + further_held_out,
        seed=_SEED,
        typefaces=typefaces,
        pictures=pictures,
        charset=charset,
        progress=step,
    )
    fonts = ["Pillow's default"] + [path.name for path in (*typefaces.latin, *typefaces.chinese)]
    split = _split("rendered", images[:pages], {"photographs": len(pictures), "fonts": fonts})
    return replace(split, held_out=(*split.held_out, *images[pages:]))


def _packaged(
    files: Sequence[PackagedFile], *, without: str, models: Path | None
) -> tuple[Path, ...]:
    try:
        found = obtain(files, folder=models)
    except ConversionError as error:
        print(f"Calibrating without {without}: {error}", file=sys.stderr)
        return ()
    return tuple(found[file.sha256] for file in files)


def folder_set(
    folder: Path, bundle: Bundle, *, threads: int = 2, progress: Progress = no_progress
) -> CalibrationSet:
    """The images of a folder and its subfolders; a float bundle finds the lines in them.

    Files that cannot be read are named on stderr and counted in the record.

    Raises:
        ConversionError: there is no such folder, or fewer than four readable images in it.
    """
    if not folder.is_dir():
        raise ConversionError(f"{folder} is no folder with calibration images")
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file()
    )
    chosen = _evenly(paths, FOLDER_LIMIT)
    ocr = Ocr.load(bundle, threads=threads)
    images: list[TextImage] = []
    unreadable: list[str] = []
    for done, path in enumerate(chosen, 1):
        try:
            pixels = _shrunk(load_image(path))
        except ImageError as error:
            unreadable.append(path.name)
            print(f"Not used for calibration: {error}", file=sys.stderr)
        else:
            images.append(TextImage(pixels=pixels, quads=ocr.detect(pixels), texts=None))
        progress("Finding lines", done, len(chosen))
    if len(images) < HELD_OUT_EVERY:
        raise ConversionError(
            f"{folder} holds {len(images)} images that can be read; calibration needs at least "
            f"{HELD_OUT_EVERY}, and some 50 for a good result"
        )
    details = {"found": len(paths), "unreadable": unreadable}
    return _split(folder.resolve().name, images, details)


def image_files(places: Sequence[Path], *, limit: int) -> list[Path]:
    """Files, and those of folders and their subfolders, by name; evenly from all where more.

    Raises:
        ConversionError: a place does not exist, or there is no image.
    """
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise ConversionError(f"{place}: there is no such file or folder")
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        found += [
            path
            for path in inside
            if path.is_file() and (path == place or path.suffix.lower() in _SUFFIXES)
        ]
    if not found:
        raise ConversionError(f"there is no image in {', '.join(map(str, places))}")
    return list(_evenly(found, limit))


def _split(name: str, images: Sequence[TextImage], details: dict[str, Any]) -> CalibrationSet:
    return CalibrationSet(
        name=name,
        images=tuple(image for i, image in enumerate(images, 1) if i % HELD_OUT_EVERY),
        held_out=tuple(image for i, image in enumerate(images, 1) if not i % HELD_OUT_EVERY),
        details=details,
    )


def _evenly(items: Sequence[Any], limit: int) -> list[Any]:
    """At most ``limit`` of the items, evenly over all of them."""
    if len(items) <= limit:
        return list(items)
    return [items[i * len(items) // limit] for i in range(limit)]


def _shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = _LONGEST_SIDE / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    smaller = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, np.uint8)


def lines_of(
    images: Sequence[TextImage], *, limit: int = LINE_LIMIT
) -> list[tuple[NDArray[np.uint8], str | None]]:
    """Crops of lines as the SDK cuts them, (h, w, 3) uint8 BGR, with their texts if known."""
    places = [(image, index) for image in images for index in range(len(image.quads))]
    return [
        (
            np.ascontiguousarray(crop_line(image.pixels, image.quads[index]).pixels),
            None if image.texts is None else image.texts[index],
        )
        for image, index in _evenly(places, limit)
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StageSample:
    """One input of a stage's float network."""

    signature: str
    tensor: NDArray[np.float32]
    """(1, height, width, 3)."""


def detector_samples(ocr: Ocr, images: Sequence[TextImage]) -> Iterator[StageSample]:
    """Images as the detector sees them."""
    for image in _evenly(images, PAGE_LIMIT):
        prepared = ocr.detector.prepare(image.pixels, OcrOptions())
        yield _sample(prepared.signature, prepared.tensor)


def orientation_samples(ocr: Ocr, images: Sequence[TextImage]) -> Iterator[StageSample]:
    """Every line as the classifier sees it, every second one upside down."""
    signature = ocr.bundle.stages.cls.signatures[0].name
    for index, (line, _) in enumerate(lines_of(images)):
        turned = np.ascontiguousarray(line[::-1, ::-1]) if index % 2 else line
        yield _sample(signature, ocr.classifier.prepare(turned))


def recogniser_samples(ocr: Ocr, images: Sequence[TextImage]) -> Iterator[StageSample]:
    """Every line as the recogniser sees it; a long one gives a sample for each piece."""
    for line, _ in lines_of(images):
        for piece in ocr.recogniser.prepare(line).pieces:
            yield _sample(piece.signature, piece.tensor)


def _sample(signature: str, tensor: Tensor) -> StageSample:
    if tensor.dtype != np.float32:
        raise ConversionError(f"signature {signature!r} is not float: it cannot be calibrated")
    return StageSample(signature=signature, tensor=np.asarray(tensor, np.float32))
