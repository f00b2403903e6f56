"""PP-OCRv3's mobile detector, from the official ONNX file.

It is MobileNetV3-large x0.5 without gates, RSEFPN with 96 channels and DBHead. Its backbone and
head are those of PP-OCRv2's student, whose own weights nobody publishes as ONNX. The file has no
threshold branch: inference needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
from torch import nn

from edgeocr_training.errors import CheckpointError
from edgeocr_training.importers.filling import Slot, fill, norm_slots
from edgeocr_training.importers.onnx_layers import OnnxLayer, read_layers
from edgeocr_training.importers.parity import check_parity
from edgeocr_training.models.db_head import MapBranch
from edgeocr_training.models.dbfpn import DbFpn
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.mobilenet_v3 import MobileNetV3
from edgeocr_training.models.rsefpn import GatedConvolution, RseFpn, RseFpnConfig

Part: TypeAlias = Literal["backbone", "neck", "head"]

_MEAN_GATE: Final = 0.4
"""How far PP-OCRv3's gates are open: 0.28 to 0.83 by layer, on photographs and documents."""

_PARITY: Final = 1e-4
"""Largest difference from ONNX Runtime, in probability; float32 sums in another order."""


def load_pp_ocrv3_detector(path: Path) -> Detector:
    """PP-OCRv3's detector, equal to the file; its threshold branch is random.

    Batch normalisation may be folded in the file: ours then does nothing but add.

    Raises:
        CheckpointError: the file is missing or is no such detector.
    """
    detector = DetectorConfig(neck=RseFpnConfig()).build()
    layers = _official_layers(path)
    for part, slots in _slots(detector).items():
        fill(slots, layers[part], path)
    detector.eval()
    check_parity(path, image_shape=(1, 3, 64, 96), compute=detector.probability, tolerance=_PARITY)
    return detector


def initialise_from_pp_ocrv3(
    detector: Detector, path: Path, *, parts: Sequence[Part] = ("backbone", "neck", "head")
) -> None:
    """Starts a detector from PP-OCRv3's weights.

    Backbone and probability branch are taken as they are. A DBFPN takes the convolutions of the
    file times 1.4, in place of the gates behind them, which multiply each channel by 1 to 2 after
    the image: a place to start from and no detector. What the file doesn't have, the gates of a
    backbone and the threshold branch, stays as it is.

    Args:
        detector: changed in place.
        path: the official ONNX file.
        parts: what to take.

    Raises:
        CheckpointError: the file is missing or is no such detector, or a tensor doesn't fit.
    """
    layers = _official_layers(path)
    slots = _slots(detector)
    for part in parts:
        filled: Sequence[OnnxLayer] = layers[part]
        if part == "neck" and isinstance(detector.neck, DbFpn):
            convolutions = filled[::3]  # the two after each are of its gate
            filled = [
                replace(layer, weight=layer.weight * np.float32(1 + _MEAN_GATE))
                for layer in convolutions
            ]
        fill(slots[part], filled, path)


def _official_layers(path: Path) -> dict[Part, tuple[OnnxLayer, ...]]:
    """The layers of the file by part, in its order."""
    layers = read_layers(path)
    official = DetectorConfig(neck=RseFpnConfig()).build()
    sizes = {part: len(slots) for part, slots in _slots(official).items()}
    if len(layers) != sum(sizes.values()):
        raise CheckpointError(
            f"{path} has {len(layers)} convolutions; PP-OCRv3's mobile detector has "
            f"{sum(sizes.values())}"
        )
    after_backbone = sizes["backbone"]
    after_neck = after_backbone + sizes["neck"]
    return {
        "backbone": layers[:after_backbone],
        "neck": layers[after_backbone:after_neck],
        "head": layers[after_neck:],
    }


def _slots(detector: Detector) -> dict[Part, list[Slot]]:
    """Our layers by part, in the order of the file."""
    backbone, neck, head = detector.backbone, detector.neck, detector.head
    found: dict[Part, list[Slot]] = {"backbone": [], "neck": [], "head": []}
    if isinstance(backbone, MobileNetV3):
        found["backbone"] = list(norm_slots(backbone, "backbone"))
    if isinstance(neck, DbFpn | RseFpn):
        # The file computes all laterals, then all 3x3, each from the coarsest level.
        coarsest_first = [
            (f"neck.{group}.{level}", layers[level])
            for group, layers in (("lateral", neck.lateral), ("smooth", neck.smooth))
            for level in reversed(range(len(layers)))
        ]
        found["neck"] = list(_neck_slots(coarsest_first))
    if isinstance(head.probability_branch, MapBranch):
        found["head"] = list(_branch_slots(head.probability_branch))
    return found


def _neck_slots(layers: Iterable[tuple[str, nn.Module]]) -> Iterator[Slot]:
    for name, layer in layers:
        match layer:
            case nn.Conv2d():
                yield Slot(name=name, layer=layer)
            case GatedConvolution():
                yield Slot(name=f"{name}.conv", layer=layer.conv)
                yield Slot(name=f"{name}.gate.reduce", layer=layer.gate.reduce)
                yield Slot(name=f"{name}.gate.expand", layer=layer.gate.expand)


def _branch_slots(branch: MapBranch) -> Iterator[Slot]:
    name = "head.probability_branch"
    yield Slot(name=f"{name}.conv", layer=branch.conv, norm=branch.conv_norm)
    yield Slot(name=f"{name}.upscale", layer=branch.upscale, norm=branch.upscale_norm)
    yield Slot(name=f"{name}.emit", layer=branch.emit)
