"""What a student computes when it is used, which pruning is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from torch import nn

from edgeocr_training.errors import CompressionError
from edgeocr_training.models.classifier import Classifier
from edgeocr_training.models.complexity import count_macs
from edgeocr_training.models.detector import SIZE_MULTIPLE, Detector
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.models.text_line import LINE_HEIGHT

Shape: TypeAlias = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inference:
    """The part of a student that is shipped, and images for it."""

    network: nn.Module
    """Shares the student's weights. From image to one tensor."""
    counted: Shape
    """Of the image that multiply-accumulates are counted for."""
    smallest: Shape
    """Of an image that shows how the network is connected, at the least cost."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates for an image of the shape ``counted``."""
        return count_macs(self.network, *self.counted)


def inference_of(student: nn.Module) -> Inference:
    """A detector without its threshold branch at 640x640, a recogniser's logits at 32x320, or a
    classifier at its own size.

    Raises:
        CompressionError: the student is of another kind.
    """
    match student:
        case Detector():
            return Inference(
                network=student.probability_only(),
                counted=(640, 640),
                smallest=(2 * SIZE_MULTIPLE, 2 * SIZE_MULTIPLE),
            )
        case Recogniser():
            return Inference(
                network=student.logits_only(),
                counted=(LINE_HEIGHT, 320),
                smallest=(LINE_HEIGHT, LINE_HEIGHT),
            )
        case Classifier():
            own = (student.height, student.width)
            return Inference(network=student, counted=own, smallest=own)
        case _:
            raise CompressionError(
                f"a {type(student).__name__} is no detector, recogniser or classifier: how it is "
                "pruned isn't known"
            )
