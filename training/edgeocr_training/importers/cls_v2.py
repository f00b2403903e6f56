"""PP-OCR's 0/180 classifier v2.0, from the official ONNX file.

It is MobileNetV3-small x0.35 for images of 48x192. The file ends in a softmax, ours in its logits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from torch import Tensor

from edgeocr_training.errors import CheckpointError
from edgeocr_training.importers.filling import convolution_slots, fill, fill_linear
from edgeocr_training.importers.onnx_layers import read_layers, read_linears
from edgeocr_training.importers.parity import check_parity
from edgeocr_training.models.classifier import Classifier, ClassifierConfig

_PARITY: Final = 1e-4
"""Largest difference from ONNX Runtime, in probability; float32 sums in another order."""


def load_cls_v2(path: Path) -> Classifier:
    """PP-OCR's classifier, equal to the file.

    Raises:
        CheckpointError: the file is missing or is no such classifier.
    """
    classifier = ClassifierConfig().build()
    initialise_from_cls_v2(classifier, path)
    classifier.eval()

    def probability(image_B3HW: Tensor) -> Tensor:
        logits_B2: Tensor = classifier(image_B3HW)
        return logits_B2.softmax(-1)

    check_parity(path, image_shape=(4, 3, 48, 192), compute=probability, tolerance=_PARITY)
    return classifier


def initialise_from_cls_v2(classifier: Classifier, path: Path) -> None:
    """Starts a classifier from the weights of PP-OCR's, whatever the size of its images.

    Args:
        classifier: changed in place.
        path: the official ONNX file.

    Raises:
        CheckpointError: the file is missing or is no such classifier, or a tensor doesn't fit.
    """
    linears = read_linears(path)
    if len(linears) != 1:
        raise CheckpointError(f"{path} has {len(linears)} linear layers; PP-OCR's classifier has 1")
    fill(list(convolution_slots(classifier.backbone, "backbone")), read_layers(path), path)
    fill_linear(classifier.classes, linears[0], name="classes", path=path)
