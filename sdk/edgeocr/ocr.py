"""Reads text in images: detect, orient, recognise."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from edgeocr.bundle import Bundle
from edgeocr.detection import TextDetector, TextRegion
from edgeocr.errors import OptionError
from edgeocr.geometry import character_quads
from edgeocr.images import ImageInput, load_image
from edgeocr.options import OcrOptions
from edgeocr.orientation import OrientationClassifier
from edgeocr.pixels import LineCrop, crop_line, may_be_single_character
from edgeocr.processors import processors
from edgeocr.reading_order import reading_order
from edgeocr.recognition import Reading, TextRecogniser
from edgeocr.result import Character, OcrResult, TextLine

CERTAINLY_UPSIDE_DOWN: Final = 0.98
"""Probability of "180" below which a line is read both ways, and the better reading is kept.

PP-OCR turns such lines unread. Of 2000 upright training words of ICDAR 2015 and IIIT5K its
classifier would turn 51 and is this sure of 5; of the same words on their head it knows 1216 and
is this sure of 940.
"""

_DEFAULTS: Final = OcrOptions()
_LINE_STAGES: Final = ("crop", "orient", "recognise")


class Ocr:
    """Reads text in images with the models of one bundle.

    One object serves any number of threads at once: nothing that a call is given stays in it,
    ``threads`` lines of all calls are read at a time, and the detector takes one image at a time.

    Attributes:
        bundle: the bundle that it was made from.
        threads: processors that it uses.
        detector: first stage; it and the next two can be run, and measured, step by step.
        classifier: second stage.
        recogniser: third stage.
    """

    def __init__(self, bundle: Bundle, *, threads: int) -> None:
        """Opens the models of an opened bundle; :meth:`load` is the usual way."""
        self.bundle = bundle
        self.threads = threads
        self.detector = TextDetector(bundle, threads=threads)
        self.classifier = OrientationClassifier(bundle, workers=threads)
        self.recogniser = TextRecogniser(bundle, workers=threads)
        # The thread that calls works too: what it freed after the detector, it uses again.
        self._workers = ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="edgeocr")

    @classmethod
    def load(
        cls, bundle: str | os.PathLike[str] | Bundle | None = None, *, threads: int | None = None
    ) -> Ocr:
        """Opens a bundle and its models.

        Args:
            bundle: a bundle, or the path of its folder or packed file; None for the one that
                the environment variable EDGEOCR_BUNDLE names, else for the embedded one.
            threads: processors to use: the detector computes with that many threads, and
                that many lines are read at the same time. None for those that this process
                may use, at most 4.

        Raises:
            BundleError: the bundle is missing, incomplete, corrupt or of another schema.
            RuntimeUnavailableError: no TFLite runtime is installed, or it refuses a model.
            OptionError: ``threads`` is not a whole number from 1 to 64.
        """
        if threads is None:
            threads = processors().threads
        if not isinstance(threads, int) or not 1 <= threads <= 64:
            raise OptionError(f"threads is {threads}; it must be a whole number from 1 to 64")
        if bundle is None:
            bundle = Bundle.default()
        elif not isinstance(bundle, Bundle):
            bundle = Bundle.open(bundle)
        return cls(bundle, threads=threads)

    def read(self, image: ImageInput, options: OcrOptions = _DEFAULTS) -> OcrResult:
        """Reads all text in an image.

        Args:
            image: path, bytes of an image file, (H, W), (H, W, 3) BGR or (H, W, 4) BGRA
                array, or Pillow image.
            options: wishes for this call.

        Returns:
            The lines in reading order; none for an image without text. Lines are read in
            parallel: the time that they took together is shared out over "crop", "orient" and
            "recognise" as the threads spent it.

        Raises:
            ImageError: the input is no image, or exceeds a limit.
        """
        started = perf_counter()
        pixels = load_image(image, max_pixels=options.max_pixels)
        loaded = perf_counter()
        regions = self._detect(pixels, options)
        detected = perf_counter()
        readings = self._read_regions(pixels, regions, options)
        finished = perf_counter()

        min_score = self.bundle.stages.rec.min_score
        if options.min_score is not None:
            min_score = options.min_score
        lines = [reading.line for reading in readings]
        if options.recognise:
            lines = [line for line in lines if line.score >= min_score]
        timings_ms = {
            "load": (loaded - started) * 1e3,
            "detect": (detected - loaded) * 1e3,
            **_shared_out((finished - detected) * 1e3, [line.seconds for line in readings]),
            "total": (perf_counter() - started) * 1e3,
        }
        height, width = pixels.shape[:2]
        return OcrResult(lines=tuple(lines), width=width, height=height, timings_ms=timings_ms)

    def read_line(self, crop: ImageInput, options: OcrOptions = _DEFAULTS) -> TextLine:
        """Reads an image that is one line of text, cut out by the caller.

        Returns:
            The line, whatever its score. Its box is the whole image.

        Raises:
            ImageError: the input is no image, or exceeds a limit.
        """
        pixels = load_image(crop, max_pixels=options.max_pixels)
        height, width = pixels.shape[:2]
        corners = [[0, 0], [width, 0], [width, height], [0, height]]
        region = TextRegion(quad=np.array(corners, dtype=np.float32), score=1.0)
        return self._read_region(pixels, options, region).line

    def detect(self, image: ImageInput, options: OcrOptions = _DEFAULTS) -> NDArray[np.float32]:
        """Finds the lines of an image without reading them.

        Returns:
            (N, 4, 2) float32 quads in image pixels, clockwise from the top-left, in reading
            order; (0, 4, 2) for an image without text.

        Raises:
            ImageError: the input is no image, or exceeds a limit.
        """
        regions = self._detect(load_image(image, max_pixels=options.max_pixels), options)
        return _quads(regions)

    def warm_up(self) -> None:
        """Runs the models once: they allocate their memory at the first run of every shape."""
        for stage in (self.detector, self.classifier, self.recogniser):
            stage.warm_up()

    def _detect(self, pixels: NDArray[np.uint8], options: OcrOptions) -> list[TextRegion]:
        regions = self.detector.detect(pixels, options)
        return [regions[i] for i in reading_order(_quads(regions))]

    def _read_regions(
        self, pixels: NDArray[np.uint8], regions: list[TextRegion], options: OcrOptions
    ) -> list[_TimedLine]:
        read = partial(self._read_region, pixels, options)
        # The longest first: started last, one long line would keep one worker busy alone. And lines
        # of one length follow each other: a network takes its time to change its shape.
        waiting = deque(sorted(range(len(regions)), key=lambda i: -_length(regions[i])))
        lines: dict[int, _TimedLine] = {}

        def work() -> None:
            while True:
                try:
                    i = waiting.popleft()
                except IndexError:
                    return
                try:
                    lines[i] = read(regions[i])
                except BaseException:
                    waiting.clear()  # Nobody will see the lines that are left.
                    raise

        others = [self._workers.submit(work) for _ in range(min(self.threads, len(regions)) - 1)]
        work()
        for other in others:
            other.result()
        return [lines[i] for i in range(len(regions))]

    def _read_region(
        self, pixels: NDArray[np.uint8], options: OcrOptions, region: TextRegion
    ) -> _TimedLine:
        """Cuts, orients and recognises one line; its crop lives no longer than this call."""
        if not (options.orient or options.recognise):
            return _TimedLine(line=_text_line(region), seconds=(0.0, 0.0, 0.0))
        started = perf_counter()
        crop = crop_line(pixels, region.quad)
        cut = perf_counter()
        rotation, certain = self._orient(crop, options)
        oriented = perf_counter()
        reading: Reading | None = None
        if options.recognise:
            reading = self._recognise(crop, rotation)
            if not certain:
                upright = self._recognise(crop, 0)
                if upright.score > reading.score:
                    rotation, reading = 0, upright
            if may_be_single_character(region.quad):
                standing = crop_line(pixels, region.quad, turned=False)
                character = self._recognise(standing, 0)
                if len(character.characters) == 1 and character.score > reading.score:
                    crop, rotation, reading = standing, 0, character
        finished = perf_counter()
        return _TimedLine(
            line=_text_line(region, crop, rotation, reading, characters=options.characters),
            seconds=(cut - started, oriented - cut, finished - oriented),
        )

    def _orient(self, crop: LineCrop, options: OcrOptions) -> tuple[Literal[0, 180], bool]:
        """The rotation of a line, and whether there is no doubt about it."""
        if not options.orient:
            return 0, True
        orientation = self.classifier.classify(crop.pixels, options)
        if not orientation.upside_down:
            return 0, True
        return 180, orientation.score >= CERTAINLY_UPSIDE_DOWN

    def _recognise(self, crop: LineCrop, rotation: Literal[0, 180]) -> Reading:
        line = crop.pixels
        if rotation == 180:
            line = np.ascontiguousarray(line[::-1, ::-1])
        return self.recogniser.recognise(line)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _TimedLine:
    line: TextLine
    seconds: tuple[float, float, float]
    """For each of ``_LINE_STAGES``."""


def _text_line(
    region: TextRegion,
    crop: LineCrop | None = None,
    rotation: Literal[0, 180] = 0,
    reading: Reading | None = None,
    *,
    characters: bool = False,
) -> TextLine:
    return TextLine(
        text=reading.text if reading else "",
        score=reading.score if reading else 0.0,
        box=region.quad,
        rotation=rotation,
        detection_score=region.score,
        characters=_characters(crop, rotation, reading) if characters and crop and reading else (),
        polygon=region.polygon,
    )


def _characters(
    crop: LineCrop, rotation: Literal[0, 180], reading: Reading
) -> tuple[Character, ...]:
    height, width = crop.pixels.shape[:2]
    quads = character_quads(
        reading.characters,
        reading.starts,
        reading.ends,
        step_width=reading.step_width,
        crop_width=width,
        crop_height=height,
        to_image=crop.to_image,
        rotation=rotation,
    )
    return tuple(
        Character(text=text, score=float(score), box=quad)
        for text, score, quad in zip(reading.characters, reading.scores, quads, strict=True)
    )


def _shared_out(total: float, shares: list[tuple[float, float, float]]) -> dict[str, float]:
    spent = np.array(shares).reshape(-1, len(_LINE_STAGES)).sum(axis=0)
    parts = spent / spent.sum() * total if spent.sum() else np.zeros(len(_LINE_STAGES))
    return dict(zip(_LINE_STAGES, parts.tolist(), strict=True))


def _quads(regions: list[TextRegion]) -> NDArray[np.float32]:
    if not regions:
        return np.empty((0, 4, 2), dtype=np.float32)
    return np.stack([region.quad for region in regions])


def _length(region: TextRegion) -> float:
    return float(np.ptp(region.quad, axis=0).max())
