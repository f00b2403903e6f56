"""PP-OCRv2's recogniser, from the official ONNX file.

It is MobileNetV1Enhance x0.5, two layers of BiLSTM and a CTC head of 6,625 classes by way of 96
channels. The file ends in a softmax, ours in its logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from torch import Tensor, nn

from edgeocr_training.errors import CheckpointError
from edgeocr_training.importers.filling import convolution_slots, fill, fill_linear, fill_lstm
from edgeocr_training.importers.onnx_layers import read_layers, read_linears, read_lstms
from edgeocr_training.importers.parity import check_parity
from edgeocr_training.models.bilstm_neck import BiLstm
from edgeocr_training.models.recogniser import Recogniser, RecogniserConfig
from edgeocr_training.models.text_line import CtcOutput

RecogniserPart: TypeAlias = Literal["backbone", "neck", "head", "head.classes"]
"""The last one is the head without the layer that makes features of what the neck gives: that
suits its own neck and no other."""
RECOGNISER_PARTS: Final[tuple[RecogniserPart, ...]] = ("backbone", "neck", "head")

_PARITY: Final = 1e-4
"""Largest difference from ONNX Runtime, in probability; float32 sums in another order."""


def load_pp_ocrv2_recogniser(path: Path) -> Recogniser:
    """PP-OCRv2's recogniser, equal to the file.

    Raises:
        CheckpointError: the file is missing or is no such recogniser.
    """
    recogniser = RecogniserConfig().build()
    initialise_from_pp_ocrv2(recogniser, path)
    recogniser.eval()

    def probability(image_B3HW: Tensor) -> Tensor:
        output: CtcOutput = recogniser(image_B3HW)
        return output.logits_BTK.softmax(-1)

    check_parity(path, image_shape=(1, 3, 32, 100), compute=probability, tolerance=_PARITY)
    return recogniser


def initialise_from_pp_ocrv2(
    recogniser: Recogniser, path: Path, *, parts: Sequence[RecogniserPart] = RECOGNISER_PARTS
) -> None:
    """Starts a recogniser from PP-OCRv2's weights.

    Args:
        recogniser: changed in place.
        path: the official ONNX file.
        parts: what to take; a recogniser of other classes leaves the head.

    Raises:
        CheckpointError: the file is missing or is no such recogniser, or a tensor doesn't fit.
    """
    for part in parts:
        match part:
            case "backbone":
                slots = list(convolution_slots(recogniser.backbone, "backbone"))
                fill(slots, read_layers(path), path)
            case "neck":
                if not isinstance(recogniser.neck, BiLstm):
                    raise CheckpointError(
                        f"{path} has a BiLSTM; the recogniser has a "
                        f"{type(recogniser.neck).__name__} as its neck"
                    )
                fill_lstm(recogniser.neck.lstm, read_lstms(path), name="neck.lstm", path=path)
            case "head" | "head.classes":
                linears = read_linears(path)
                ours = [
                    (name, layer)
                    for name, layer in recogniser.head.named_modules(prefix="head")
                    if isinstance(layer, nn.Linear)
                ]
                if len(linears) != len(ours):
                    raise CheckpointError(
                        f"{path} has {len(linears)} linear layers; the recogniser's head has "
                        f"{len(ours)}"
                    )
                if part == "head.classes":
                    linears, ours = linears[-1:], ours[-1:]
                for (name, layer), linear in zip(ours, linears, strict=True):
                    fill_linear(layer, linear, name=name, path=path)
