"""Whether a bundle computes what was trained: its TFLite files beside the PyTorch networks.

A trained network has two forms in PyTorch: the simulation that training saw, in floats that are
rounded, and the integer reference, which computes as XNNPACK does. Both get the very integers that
the SDK gives the TFLite file, on images of the caller's choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeocr import Bundle, Ocr, OcrOptions
from edgeocr.images import load_image
from edgeocr.pixels import crop_line
from edgeocr.runtime import Tensor
from edgeocr_conversion.calibration import Progress, no_progress
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.sources import Stage
from edgeocr_training.compression.quantization.trained_forms import FORMS, Form, TrainedForms

if TYPE_CHECKING:
    from torch import nn

Int8: TypeAlias = NDArray[np.int8]
_OPTIONS: Final = OcrOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEquality:
    """A stage's TFLite file beside one PyTorch form of the network."""

    stage: Stage
    form: Form
    inputs: int
    """Pages, or lines."""
    integers: float
    """Share of the output's integers that are the same."""
    decisions: float
    """Of a detector, intersection over union of the pixels above the threshold; of the others, the
    share of lines or CTC steps with the same best class."""
    texts: float | None
    """Share of the lines with the same text; of recognisers."""

    def to_text(self) -> str:
        what = {"det": "mask IoU", "cls": "same label", "rec": "same best class"}[self.stage]
        counted = f"{self.inputs} {'images' if self.stage == 'det' else 'lines'}"
        texts = "" if self.texts is None else f", same text {self.texts:.3%}"
        return (
            f"{self.stage}, {self.form}, {counted}: same integers {self.integers:.4%}, {what} "
            f"{self.decisions:.4%}{texts}"
        )


def measure_equality(
    bundle: Bundle,
    students: Mapping[Stage, nn.Module],
    images: Sequence[Path],
    *,
    lines: int = 500,
    threads: int = 2,
    progress: Progress = no_progress,
) -> list[StageEquality]:
    """Compares the stages of a bundle with the networks that they were made of.

    Args:
        bundle: in integers.
        students: prepared, with their ranges.
        images: files; what the detector finds in them is cut out for the other stages.
        lines: at most so many of them, from all images alike.
        threads: of the SDK.
        progress: told of every image and line.

    Raises:
        ConversionError: the bundle is not in integers, or nothing was found to compare on.
        ImageError: an image cannot be read.
    """
    if bundle.precision != "int8":
        raise ConversionError(
            f"{bundle.location} is {bundle.precision}: its values are no integers"
        )
    if not images:
        raise ConversionError("there are no images to compare on")
    ocr = Ocr.load(bundle, threads=threads)
    counts = {(stage, form): _Count() for stage in students for form in FORMS}
    forms = {stage: TrainedForms(student) for stage, student in students.items()}
    each = -(-lines // len(images))
    crops: list[NDArray[np.uint8]] = []
    for done, path in enumerate(images, 1):
        pixels = load_image(path)
        prepared = ocr.detector.prepare(pixels, _OPTIONS)
        output = ocr.detector.infer(prepared)
        quads = [region.quad for region in ocr.detector.decode(output, prepared, _OPTIONS)]
        crops += [np.ascontiguousarray(crop_line(pixels, quad).pixels) for quad in quads[:each]]
        if "det" in forms:
            for form in FORMS:
                other = forms["det"].run(_integers(prepared.tensor), form)
                least = forms["det"].above(bundle.stages.det.threshold)
                counts["det", form].add_masks(output >= least, other >= least)
                counts["det", form].add_integers(output, other)
        progress("Finding lines", done, len(images))
    if not crops:
        raise ConversionError("no line of text was found in the images: name others")
    for done, crop in enumerate(crops, 1):
        if "cls" in forms:
            tensor = ocr.classifier.prepare(crop)
            given = ocr.classifier.infer(tensor)
            for form in FORMS:
                other = forms["cls"].run(_integers(tensor), form)
                counts["cls", form].add_classes(given, other)
                counts["cls", form].add_integers(given, other)
        if "rec" in forms:
            line = ocr.recogniser.prepare(crop)
            read = ocr.recogniser.infer(line)
            text = ocr.recogniser.decode(read, line).text
            for form in FORMS:
                others = [forms["rec"].run(_integers(piece.tensor), form) for piece in line.pieces]
                for mine, other in zip(read, others, strict=True):
                    counts["rec", form].add_classes(mine, other)
                    counts["rec", form].add_integers(mine, other)
                counts["rec", form].add_text(text == ocr.recogniser.decode(others, line).text)
        progress("Comparing lines", done, len(crops))
    inputs = {"det": len(images), "cls": len(crops), "rec": len(crops)}
    return [
        counts[stage, form].equality(stage, form, inputs=inputs[stage])
        for stage in students
        for form in FORMS
    ]


def _integers(tensor: Tensor) -> Int8:
    if tensor.dtype != np.int8:
        raise ConversionError(f"the bundle takes {tensor.dtype}: its values are no integers")
    return tensor.astype(np.int8, copy=False)


class _Count:
    """Of what is equal, over all inputs of a stage."""

    def __init__(self) -> None:
        self._integers = self._equal_integers = 0
        self._decisions = self._equal_decisions = 0
        self._texts = self._equal_texts = 0

    def add_integers(self, one: Tensor, other: Int8) -> None:
        if one.shape != other.shape or one.dtype != np.int8:
            raise ConversionError(
                f"the bundle gives {one.dtype} {one.shape}, the network int8 {other.shape}: it was "
                "made of another"
            )
        self._integers += one.size
        self._equal_integers += int((one == other).sum())

    def add_masks(self, one: NDArray[np.bool_], other: NDArray[np.bool_]) -> None:
        self._decisions += int((one | other).sum())
        self._equal_decisions += int((one & other).sum())

    def add_classes(self, one: Tensor, other: Int8) -> None:
        best = one.argmax(-1) == other.argmax(-1)
        self._decisions += best.size
        self._equal_decisions += int(best.sum())

    def add_text(self, equal: bool) -> None:
        self._texts += 1
        self._equal_texts += equal

    def equality(self, stage: Stage, form: Form, *, inputs: int) -> StageEquality:
        return StageEquality(
            stage=stage,
            form=form,
            inputs=inputs,
            integers=self._equal_integers / self._integers,
            decisions=self._equal_decisions / self._decisions if self._decisions else 1.0,
            texts=self._equal_texts / self._texts if self._texts else None,
        )
