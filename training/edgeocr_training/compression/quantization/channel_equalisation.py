"""Channels of one activation brought to like ranges, before they share one step.

A depthwise network has channels that reach 70 beside others that end at 2, and 8 bits for the
first leave the second three levels. Nagel et al. (arXiv:1906.04721, section 4.1) move the scale of
a channel through the activation behind it: where ``f(s x) = s f(x)``,

    W2 f(W1 x + b1) = (W2 S) f(S^-1 W1 x + S^-1 b1)                                     (eq. 8)

with a diagonal S. That is exact for a ReLU. A hard-swish scaled is another function, but nearly a
straight one of most channels: of those far wider than its bend, and of those far narrower. So wide
channels come down to a limit and narrow ones may come up. How far is tried out: for each channel
the scale at which the line nearest to it, of what 8 bits leave, has least error; for each layer
the limit at which the next layer has. What the line adds to each map is taken from the mean of the
next normalisation (section 4.2). The network is a little different afterwards, and a good place to
train from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from edgeocr_training.compression.quantization.deployed import Deployed, LayerTracer
from edgeocr_training.compression.quantization.fake_quantization import (
    affine_parameters,
    clip_and_round,
)
from edgeocr_training.compression.quantization.layers import HARD_SWISH_FLOOR, SATURATION
from edgeocr_training.compression.quantization.preparation import is_prepared
from edgeocr_training.errors import QuantizationError
from edgeocr_training.models.classifier import Classifier
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.recogniser import Recogniser

_Student: TypeAlias = Detector | Recogniser | Classifier

LIMITS: Final = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.125, 0.09)
"""Of the widest channel of a layer, to which wider ones are brought."""
STRETCHES: Final = (1, 2, 4, 8, 24)
"""Of a channel that is narrower than the limit, which none of them may bring it above."""


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
    behind: nn.BatchNorm2d
    """Of what the layer gives."""


class _Scaling(NamedTuple):
    """For each channel, what it is divided by and what the next layer's weights take it times."""

    divisors_C: Tensor
    slopes_C: Tensor


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
        consumer = next(iter(readers(node)))
        reader = only_reader(consumer)
        if not isinstance(reader, nn.Conv2d) or reader.groups not in (1, norm.num_features):
            continue
        behind = only_reader(next(iter(readers(consumer))))
        if isinstance(behind, nn.BatchNorm2d):
            yield _Link(
                name=str(node.target),
                norm=norm,
                activation=activation,
                reader=reader,
                behind=behind,
            )


def _equalise(student: _Student, link: _Link, images: Sequence[Tensor]) -> Equalised:
    x_BCHW = _seen(student, link.norm, images)
    widest = float(x_BCHW.amax().clamp(min=torch.finfo(torch.float32).tiny))
    wanted_BOHW = _read(link, link.activation(x_BCHW), link.reader.weight)
    power_O = wanted_BOHW.var((0, 2, 3)).clamp(min=torch.finfo(torch.float32).tiny)

    def error(scaling: _Scaling, ceiling: float) -> float:
        x = x_BCHW / _spread(scaling.divisors_C)
        given_BOHW = _read(
            link, _as_integers(link, x, ceiling), _rescaled(link.reader, scaling.slopes_C)
        )
        return float(((given_BOHW - wanted_BOHW).var((0, 2, 3)) / power_O).mean())

    ones_C = x_BCHW.new_ones(x_BCHW.shape[1])
    chosen, limit = _Scaling(ones_C, ones_C), widest
    least = error_before = error(chosen, limit)
    for share in LIMITS:
        scaling = _scaling(link, x_BCHW, share * widest)
        if (remaining := error(scaling, share * widest)) < least:
            chosen, limit, least = scaling, share * widest, remaining
    link.norm.weight.div_(chosen.divisors_C)
    link.norm.bias.div_(chosen.divisors_C)
    link.reader.weight.copy_(_rescaled(link.reader, chosen.slopes_C))
    now_BOHW = _read(link, link.activation(x_BCHW / _spread(chosen.divisors_C)), link.reader.weight)
    assert link.behind.running_mean is not None
    link.behind.running_mean.add_((now_BOHW - wanted_BOHW).mean((0, 2, 3)))
    return Equalised(
        layer=link.name, widest=widest, limit=limit, error=least, error_before=error_before
    )


def _scaling(link: _Link, x_BCHW: Tensor, ceiling: float) -> _Scaling:
    """The best of the scales that keep every channel below a ceiling."""
    tiny = torch.finfo(torch.float32).tiny
    peak_C = x_BCHW.amax((0, 2, 3)).clamp(min=tiny)
    y_BCHW = _centred(link.activation(x_BCHW))
    tried: list[tuple[Tensor, Tensor, Tensor]] = []
    for stretch in STRETCHES:
        divisors_C = torch.maximum(peak_C / ceiling, (peak_C / ceiling).clamp(min=1) / stretch)
        scaled_BCHW = x_BCHW / _spread(divisors_C)
        line_BCHW = _centred(link.activation(scaled_BCHW))
        covariance_C = (line_BCHW * y_BCHW).sum((0, 2, 3))
        power_C = line_BCHW.square().sum((0, 2, 3))
        # What never moved on these images may on others, and its scale is undone as a ReLU's is.
        slopes_C = torch.where(power_C > 0, covariance_C / power_C.clamp(min=tiny), divisors_C)
        left_BCHW = _centred(_as_integers(link, scaled_BCHW, ceiling))
        error_C = (y_BCHW - _spread(slopes_C) * left_BCHW).square().sum((0, 2, 3))
        tried.append((error_C, divisors_C, slopes_C))
    errors_SC, divisors_SC, slopes_SC = (torch.stack(each) for each in zip(*tried, strict=True))
    best_1C = errors_SC.argmin(0, keepdim=True)
    return _Scaling(divisors_SC.gather(0, best_1C)[0], slopes_SC.gather(0, best_1C)[0])


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


def _centred(x_BCHW: Tensor) -> Tensor:
    return x_BCHW - x_BCHW.mean((0, 2, 3), keepdim=True)


def _rescaled(reader: nn.Conv2d, slopes_C: Tensor) -> Tensor:
    if reader.groups == 1:
        return reader.weight * slopes_C[None, :, None, None]
    return reader.weight * slopes_C[:, None, None, None]


def _read(link: _Link, y_BCHW: Tensor, weight: Tensor) -> Tensor:
    reader = link.reader
    return F.conv2d(
        y_BCHW,
        weight,
        stride=reader.stride,
        padding=reader.padding,
        groups=reader.groups,
    )


def _as_integers(link: _Link, x_BCHW: Tensor, ceiling: float) -> Tensor:
    """What 8 bits leave of the activation of values below a ceiling."""
    if isinstance(link.activation, nn.ReLU):
        return _rounded(link.activation(x_BCHW), 0.0, ceiling)
    argument_BCHW = _rounded(x_BCHW, -SATURATION, ceiling)
    return _rounded(link.activation(argument_BCHW), HARD_SWISH_FLOOR, ceiling)


def _rounded(x: Tensor, low: float, high: float) -> Tensor:
    scale, zero_point = affine_parameters(x.new_tensor(low), x.new_tensor(high), symmetric=False)
    return clip_and_round(x, scale=scale, zero_point=zero_point)
