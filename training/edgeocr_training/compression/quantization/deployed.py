"""What of a student a device computes, and how it is followed from layer to layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn

from edgeocr_training.compression.quantization.layers import QuantizedLayer
from edgeocr_training.errors import QuantizationError
from edgeocr_training.models.activations import HardSigmoid
from edgeocr_training.models.classifier import Classifier
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.models.text_line import RowPool


class LayerTracer(fx.Tracer):
    """Follows tensors through modules down to the layers that are computed as one."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, (HardSigmoid, RowPool, QuantizedLayer)):
            return True
        if isinstance(m, fx.GraphModule):
            return False
        return super().is_leaf_module(m, module_qualified_name)


class Deployed(nn.Module):
    """What a device computes of a student, image to output, sharing its weights.

    The checks of shapes, which can't be traced, are left out.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.backbone, self.neck, self.head = _parts_of(student)

    def forward(self, image_B3HW: Tensor) -> Any:
        result = self.head(self.neck(self.backbone(image_B3HW)))
        # A recogniser's head gives its features, too.
        return result[1] if isinstance(result, tuple) else result


def _parts_of(student: nn.Module) -> tuple[nn.Module, nn.Module, nn.Module]:
    match student:
        case Detector():
            return student.backbone, student.neck, student.head.probability_branch
        case Recogniser():
            return student.backbone, student.neck, student.head
        case Classifier():
            return student.backbone, student.pool, student.classes
    raise QuantizationError(f"a {type(student).__name__} is no detector, recogniser or classifier")
