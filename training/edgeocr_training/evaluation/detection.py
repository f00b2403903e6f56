"""How well a detector finds text on labelled pages, measured as the product would run it.

One page at a time: stretched to multiples of 32 pixels like a bundle without fixed shapes, boxes
decoded and placed by the product's own code, compared with the labels by the code behind
``edgeocr-bench accuracy``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from edgeocr.db_boxes import DbParameters
from edgeocr.detection import (
    DetectorInput,
    TextRegion,
    nearest_multiple,
    regions_of_map,
    wanted_scale,
    with_margins,
)
from edgeocr.errors import ImageError
from edgeocr.images import load_image
from edgeocr.pixels import input_table, stretch
from edgeocr_benchmarks.detection_metrics import FoundText, page_counts
from edgeocr_benchmarks.errors import LabelError
from edgeocr_benchmarks.labels import LabelledImage, LabelSet, read_labels
from edgeocr_benchmarks.match_counts import NO_MATCHES, MatchCounts
from edgeocr_training.errors import DataError, RecipeError
from edgeocr_training.evaluation.measuring import measuring
from edgeocr_training.models.detector import SIZE_MULTIPLE, Detector


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionEvaluatorConfig:
    """Labelled pages, and how a map becomes boxes.

    The defaults are those of PaddleOCR's training: shorter side at least 736, 0.3, 0.6, 1.5.
    """

    labels: tuple[str, ...]
    """Label files of pages, each as ``edgeocr-bench accuracy`` takes it."""
    pages: int | None = None
    """Measures the first so many of every file; None all."""
    limit_side: int = 736
    limit_type: Literal["min", "max"] = "min"
    max_side: int = 2000
    """Bounds the longer side after that, in pixels."""
    threshold: float = 0.3
    box_threshold: float = 0.6
    unclip_ratio: float = 1.5
    max_candidates: int = 1000
    dilation: bool = False
    score_mode: Literal["fast", "slow"] = "fast"
    threads: int | None = None
    """Of PyTorch while a CPU measures; None as they are."""

    def build(self) -> DetectionEvaluator:
        """Reads the labels.

        Raises:
            DataError: a label file is missing, malformed or not of pages.
            RecipeError: a value is outside of its range.
        """
        for name, lowest in (("pages", 1), ("threads", 1), ("limit_side", 32), ("max_side", 32)):
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise RecipeError(f"{name} is {value}; it must be at least {lowest}")
        if not self.labels:
            raise RecipeError("labels name no file: an evaluation needs at least one")
        return DetectionEvaluator(
            tuple(self._label_set(source) for source in self.labels),
            limit_side=self.limit_side,
            limit_type=self.limit_type,
            max_side=self.max_side,
            parameters=DbParameters(
                threshold=self.threshold,
                box_threshold=self.box_threshold,
                unclip_ratio=self.unclip_ratio,
                max_candidates=self.max_candidates,
                dilation=self.dilation,
                score_mode=self.score_mode,
            ),
            threads=self.threads,
        )

    def _label_set(self, source: str) -> LabelSet:
        try:
            labels = read_labels(source, limit=self.pages)
        except LabelError as error:
            raise DataError(str(error)) from error
        if labels.kind != "pages":
            raise DataError(f"{source} has {labels.kind}; detection is measured on pages")
        return labels


class DetectionEvaluator:
    """Precision, recall and their harmonic mean of a detector's boxes."""

    metric: Final = "hmean"

    def __init__(
        self,
        label_sets: tuple[LabelSet, ...],
        *,
        limit_side: int,
        limit_type: Literal["min", "max"],
        max_side: int,
        parameters: DbParameters,
        threads: int | None,
    ) -> None:
        self._label_sets = label_sets
        self._limit_side = limit_side
        self._limit_type = limit_type
        self._max_side = max_side
        self._parameters = parameters
        self._threads = threads

    def evaluate(self, student: nn.Module, *, device: torch.device) -> dict[str, float]:
        """Measures a detector, in float32.

        Args:
            student: a :class:`~edgeocr_training.models.detector.Detector` on ``device``.
            device: that it is on.

        Returns:
            ``precision``, ``recall`` and ``hmean`` over all pages, each in [0, 1]; of several
            label files also ``hmean_`` and the file's name for each.

        Raises:
            DataError: an image of the labels can't be read.
        """
        if not isinstance(student, Detector):
            raise RecipeError(f"a {type(student).__name__} was given where a Detector is measured")
        counts: dict[str, MatchCounts] = {}
        pages = sum(len(labels.images) for labels in self._label_sets)
        with (
            measuring(student, self._threads),
            tqdm(total=pages, desc="evaluation", unit="page", leave=False, disable=None) as bar,
        ):
            for labels in self._label_sets:
                total = NO_MATCHES
                for labelled in labels.images:
                    total += self._count(student, labelled, device)
                    bar.update()
                counts[labels.name] = counts.get(labels.name, NO_MATCHES) + total
        overall = sum(counts.values(), start=NO_MATCHES)
        figures = {
            "precision": overall.precision,
            "recall": overall.recall,
            "hmean": overall.hmean,
        }
        if len(counts) > 1:
            figures |= {f"hmean_{name}": count.hmean for name, count in counts.items()}
        return figures

    def find(
        self, detector: Detector, image_BGR: NDArray[np.uint8], *, device: torch.device
    ) -> list[TextRegion]:
        """The regions of text in an image, as the product would find them.

        Args:
            detector: in eval mode, on ``device``.
            image_BGR: (H, W, 3).
            device: that the detector is on.
        """
        height, width = image_BGR.shape[:2]
        padded, top = with_margins(image_BGR)
        wanted = wanted_scale(
            padded.shape[0],
            width,
            limit_side=self._limit_side,
            limit_type=self._limit_type,
            max_side=self._max_side,
        )
        table = input_table(mean=detector.mean, std=detector.std, channel_order="BGR", scale=None)
        pixels, scale = stretch(
            padded,
            height=nearest_multiple(padded.shape[0] * wanted, SIZE_MULTIPLE),
            width=nearest_multiple(width * wanted, SIZE_MULTIPLE),
            table=table,
        )
        image_B3HW = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
        with torch.inference_mode():
            map_HW = detector.probability(image_B3HW)[0, 0].cpu().numpy()
        prepared = DetectorInput(
            tensor=pixels, signature="", scale=scale, top=top, height=height, width=width
        )
        return regions_of_map(map_HW, prepared, parameters=self._parameters)

    def _count(
        self, detector: Detector, labelled: LabelledImage, device: torch.device
    ) -> MatchCounts:
        try:
            image = load_image(labelled.image)
        except ImageError as error:
            raise DataError(f"{labelled.image} can't be measured: {error}") from error
        regions = self.find(detector, image, device=device)
        found = [FoundText(polygon=region.quad.astype(np.float64), text="") for region in regions]
        return page_counts(labelled.regions, found, fold_case=False).detection
