"""PP-OCRv3's mobile detector, from the official ONNX file.

It is MobileNetV3-large x0.5 without gates, RSEFPN with 96 channels and DBHead. Its backbone and
head are those of PP-OCRv2's student, whose own weights nobody publishes as ONNX. The file has no
threshold branch: inference needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import torch
from torch import nn

from edgeocr_training.errors import CheckpointError
from edgeocr_training.importers.onnx_layers import OnnxLayer, read_layers
from edgeocr_training.models.convolution import ConvNorm
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Slot:
    """Where a layer of the file goes."""

    name: str
    layer: nn.Conv2d | nn.ConvTranspose2d
    norm: nn.BatchNorm2d | None = None


def load_pp_ocrv3_detector(path: Path) -> Detector:
    """PP-OCRv3's detector, equal to the file; its threshold branch is random.

    Batch normalisation may be folded in the file: ours then does nothing but add.

    Raises:
        CheckpointError: the file is missing or is no such detector.
    """
    detector = DetectorConfig(neck=RseFpnConfig()).build()
    layers = _official_layers(path)
    for part, slots in _slots(detector).items():
        _fill(slots, layers[part], path)
    detector.eval()
    _check_parity(detector, path)
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
        _fill(slots[part], filled, path)


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


def _slots(detector: Detector) -> dict[Part, list[_Slot]]:
    """Our layers by part, in the order of the file."""
    backbone, neck, head = detector.backbone, detector.neck, detector.head
    found: dict[Part, list[_Slot]] = {"backbone": [], "neck": [], "head": []}
    if isinstance(backbone, MobileNetV3):
        found["backbone"] = list(_backbone_slots(backbone))
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


def _backbone_slots(backbone: MobileNetV3) -> Iterator[_Slot]:
    for name, module in backbone.named_modules(prefix="backbone"):
        if isinstance(module, ConvNorm):
            yield _Slot(name=f"{name}.conv", layer=module.conv, norm=module.norm)


def _neck_slots(layers: Iterable[tuple[str, nn.Module]]) -> Iterator[_Slot]:
    for name, layer in layers:
        match layer:
            case nn.Conv2d():
                yield _Slot(name=name, layer=layer)
            case GatedConvolution():
                yield _Slot(name=f"{name}.conv", layer=layer.conv)
                yield _Slot(name=f"{name}.gate.reduce", layer=layer.gate.reduce)
                yield _Slot(name=f"{name}.gate.expand", layer=layer.gate.expand)


def _branch_slots(branch: MapBranch) -> Iterator[_Slot]:
    name = "head.probability_branch"
    yield _Slot(name=f"{name}.conv", layer=branch.conv, norm=branch.conv_norm)
    yield _Slot(name=f"{name}.upscale", layer=branch.upscale, norm=branch.upscale_norm)
    yield _Slot(name=f"{name}.emit", layer=branch.emit)


def _fill(slots: Sequence[_Slot], layers: Sequence[OnnxLayer], path: Path) -> None:
    if len(slots) != len(layers):
        raise CheckpointError(
            f"{path} has {len(layers)} convolutions where the detector has {len(slots)}: "
            "this part of it is of another kind than PP-OCRv3's"
        )
    for slot, layer in zip(slots, layers, strict=True):
        _fill_one(slot, layer, path)


@torch.no_grad()
def _fill_one(slot: _Slot, layer: OnnxLayer, path: Path) -> None:
    where = f"{layer.name} of {path}"
    if tuple(slot.layer.weight.shape) != layer.weight.shape:
        raise CheckpointError(
            f"{where} has the shape {layer.weight.shape}; "
            f"{slot.name} has {tuple(slot.layer.weight.shape)}"
        )
    slot.layer.weight.copy_(torch.from_numpy(layer.weight))
    channels = slot.layer.out_channels
    bias = np.zeros(channels, np.float32) if layer.bias is None else layer.bias
    norm = slot.norm
    if slot.layer.bias is not None:
        slot.layer.bias.copy_(torch.from_numpy(bias))
        bias = np.zeros(channels, np.float32)
    if norm is None:
        if layer.norm is not None or bias.any():
            raise CheckpointError(f"{where} has a bias or a norm, for which {slot.name} has none")
        return
    running_mean, running_var = norm.running_mean, norm.running_var
    assert running_mean is not None
    assert running_var is not None
    if layer.norm is None:
        norm.weight.fill_(1)
        norm.bias.copy_(torch.from_numpy(bias))
        running_mean.zero_()
        running_var.fill_(1 - norm.eps)
    else:
        norm.weight.copy_(torch.from_numpy(layer.norm.scale))
        norm.bias.copy_(torch.from_numpy(layer.norm.shift))
        running_mean.copy_(torch.from_numpy(layer.norm.mean - bias))
        running_var.copy_(torch.from_numpy(layer.norm.variance + (layer.norm.epsilon - norm.eps)))


def _check_parity(detector: Detector, path: Path) -> None:
    """Raises CheckpointError unless the detector computes what ONNX Runtime makes of the file.

    Layers are matched by their order, and some have the same shape: only this proves it.
    """
    import onnxruntime  # type: ignore[import-untyped]

    image_BCHW = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (expected,) = session.run(None, {session.get_inputs()[0].name: image_BCHW})
    except Exception as error:  # ONNX Runtime's errors share no base class but this
        raise CheckpointError(f"ONNX Runtime doesn't run {path}: {error}") from error
    with torch.inference_mode():
        actual = detector.probability(torch.from_numpy(image_BCHW)).numpy()
    difference = float(np.abs(actual - np.asarray(expected)).max())
    if not difference <= _PARITY:
        raise CheckpointError(
            f"{path} is no PP-OCRv3 detector: it has the shapes of one, but its map differs "
            f"by {difference:.2g} from what those weights give"
        )
