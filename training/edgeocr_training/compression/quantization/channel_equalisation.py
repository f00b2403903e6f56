"""Channels of one activation brought to like ranges, before they share one step.

A depthwise network has channels that reach 70 beside others that end at 2, and 8 bits for the
first leave the second three levels. Nagel et al. (arXiv:1906.04721, section 4.1) move the scale of
a channel through the activation behind it: where ``f(s x) = s f(x)``,

    W2 f(W1 x + b1) = (W2 S) f(S^-1 W1 x + S^-1 b1)                                     (eq. 8)

with a diagonal S. That is exact for a ReLU. A hard-swish is none near zero, but a channel that is
far wider than its bend is nearly one. How far is worth it is tried out, layer by layer: the wide
channels are brought down to the limit at which the next layer, its input rounded to 8 bits, gives
least error. The network is a little different afterwards, and a good place to train from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from edgeocr_training.compression.quantization.deployed import Deployed, LayerTracer
from edgeocr_training.compression.quantization.fake_quantization import (
    affine_parameters,
    clip_and_round,
)
from edgeocr_training.compression.quantization.layers import SATURATION
from edgeocr_training.compression.quantization.preparation import is_prepared
from edgeocr_training.errors import QuantizationError
from edgeocr_training.models.classifier import Classifier
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.recogniser import Recogniser

_Student: TypeAlias = Detector | Recogniser | Classifier

LIMITS: Final = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.125, 0.09)
"""Of the widest channel of a layer, to which wider ones are brought; the first changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equalised:
    """What became of one layer."""

    layer: str
    widest: float
    """Of its channels before."""
    limit: float
    """That no channel exceeds now, on the same images."""
    error: float
    """Of the next layer, as a share of what it gives: mean over its channels."""
    error_before: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """A normalisation, and the one layer that reads it through an activation."""

    name: str
    norm: nn.BatchNorm2d
    activation: nn.Hardswish | nn.ReLU
    reader: nn.Conv2d


@torch.no_grad()
def equalise_channels(student: nn.Module, images: Sequence[Tensor]) -> list[Equalised]:
    """Rescales the channels of a float student in place, front to back.

    Args:
        student: a detector, recogniser or classifier, not prepared; left in eval mode.
        images: batches (B, H, W, 3) uint8 BGR.

    Raises:
        QuantizationError: the student is none of these or prepared, or there are no images.
    """
    if is_prepared(student):
        raise QuantizationError(f"this {type(student).__name__} is prepared already")
    if not isinstance(student, Detector | Recogniser | Classifier):
        raise QuantizationError(f"a {type(student).__name__} has no channels that are known here")
    if not images:
        raise QuantizationError("channels are equalised on images, and there are none")
    student.eval()
    return [_equalise(student, link, images) for link in _links(student)]


def _links(student: nn.Module) -> Iterator[_Link]:
    network = Deployed(student)
    layers = dict(network.named_modules())
    graph = LayerTracer().trace(network)

    def readers(node: fx.Node) -> Iterator[fx.Node]:
        for user in node.users:
            if user.op == "call_module" and isinstance(layers[str(user.target)], nn.Identity):
                yield from readers(user)
            else:
                yield user

    def only_reader(node: fx.Node) -> nn.Module | None:
        found = list(readers(node))
        return layers.get(str(found[0].target)) if len(found) == 1 else None

    for node in graph.nodes:
        norm = layers.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        activation = only_reader(node)
        if not isinstance(activation, nn.Hardswish | nn.ReLU):
            continue
        reader = only_reader(next(iter(readers(node))))
        if isinstance(reader, nn.Conv2d) and reader.groups in (1, norm.num_features):
            yield _Link(name=str(node.target), norm=norm, activation=activation, reader=reader)


def _equalise(student: _Student, link: _Link, images: Sequence[Tensor]) -> Equalised:
    x_BCHW = _seen(student, link.norm, images)
    peak_C = x_BCHW.amax((0, 2, 3)).clamp(min=torch.finfo(torch.float32).tiny)
    widest = float(peak_C.max())
    wanted_BOHW = _read(link, link.activation(x_BCHW), link.reader.weight)
    power_O = wanted_BOHW.var((0, 2, 3)).clamp(min=torch.finfo(torch.float32).tiny)
    errors = []
    for limit in LIMITS:
        scales_C = (peak_C / (limit * widest)).clamp(min=1.0)
        given_BOHW = _read(
            link,
            _rounded(link.activation(_rounded(x_BCHW / _spread(scales_C)))),
            _widened(link.reader, scales_C),
        )
        error_O = (given_BOHW - wanted_BOHW).square().mean((0, 2, 3)) / power_O
        errors.append(float(error_O.mean()))
    best = min(range(len(LIMITS)), key=errors.__getitem__)
    scales_C = (peak_C / (LIMITS[best] * widest)).clamp(min=1.0)
    link.norm.weight.div_(scales_C)
    link.norm.bias.div_(scales_C)
    link.reader.weight.copy_(_widened(link.reader, scales_C))
    return Equalised(
        layer=link.name,
        widest=widest,
        limit=LIMITS[best] * widest,
        error=errors[best],
        error_before=errors[0],
    )


def _seen(student: _Student, norm: nn.BatchNorm2d, images: Sequence[Tensor]) -> Tensor:
    """What a normalisation gives on all images."""
    seen: list[Tensor] = []
    handle = norm.register_forward_hook(lambda module, read, given: seen.append(given))
    try:
        for image_BHW3 in images:
            student(student.normalise(image_BHW3))
    finally:
        handle.remove()
    return torch.cat(seen)


def _spread(values_C: Tensor) -> Tensor:
    return values_C[:, None, None]


def _widened(reader: nn.Conv2d, scales_C: Tensor) -> Tensor:
    if reader.groups == 1:
        return reader.weight * scales_C[None, :, None, None]
    return reader.weight * scales_C[:, None, None, None]


def _read(link: _Link, y_BCHW: Tensor, weight: Tensor) -> Tensor:
    reader = link.reader
    return F.conv2d(
        y_BCHW,
        weight,
        stride=reader.stride,
        padding=reader.padding,
        groups=reader.groups,
    )


def _rounded(x: Tensor) -> Tensor:
    """To 8 bits, from what no hard-swish tells apart upwards."""
    scale, zero_point = affine_parameters(
        x.amin().clamp(-SATURATION, 0.0), x.amax().clamp(min=0.0), symmetric=False
    )
    return clip_and_round(x, scale=scale, zero_point=zero_point)
