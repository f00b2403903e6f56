"""What stands behind every operator of a prepared network: PACT's clip, and 8 bits.

PACT (Choi et al., arXiv:1805.06085) learns where an activation is clipped:

    y   = 0.5 (|x| - |x - a| + a)            = clip(x, 0, a)              (eq. 1)
    y_q = round(y (2^k - 1) / a) a / (2^k - 1)                            (eq. 2)
    d y_q / d a = 0 where x < a, else 1                                   (eq. 3)

with an L2 penalty on a, so that the clip is no wider than it pays. PP-OCR clips both sides,
``x - relu(x - a) + relu(-a - x)``, starts from a = 20, and takes the step from a moving average
of the largest magnitude behind the clip. That is :data:`Form` "symmetric". Half of its integers
stand for values that a ReLU or a hard-swish never has; the "asymmetric" form learns both ends
apart, knows the floor of the function before it (0, or -0.375 of hard-swish), and moves the zero
point so that 0 is represented exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor, nn

from edgeocr_training.compression.quantization.affine import AffineQuantization
from edgeocr_training.compression.quantization.fake_quantization import (
    affine_parameters,
    clip_and_round,
)
from edgeocr_training.compression.quantization.histogram import Histogram
from edgeocr_training.errors import QuantizationError, RecipeError

Form: TypeAlias = Literal["asymmetric", "symmetric"]
Mode: TypeAlias = Literal["float", "observe", "quantize"]
"""Leave values as they are; the same, and count them; round them."""

_RECORD: Final = "symmetric"
_NO_CLIP: Final = 60_000.0
"""Beyond every activation. Not infinity, of which an average of weights makes no number, and not
more than a float16 holds."""
MOVING_RATE: Final = 0.9
"""Of the average of the extremes, as in PaddleSlim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationConfig:
    """How activations become integers. The defaults are PP-OCR's but for the form."""

    form: Form = "asymmetric"
    clip: bool = True
    """Whether the clip is learnt; else the extremes alone decide, as without PACT."""
    initial_clip: float = 20.0
    """alpha at the beginning of training."""
    clip_l2: float = 2e-5
    """Times alpha is added to its gradient; PP-OCR of 2020 had 1e-4."""

    def __post_init__(self) -> None:
        if not self.initial_clip > 0:
            raise RecipeError(f"initial_clip is {self.initial_clip}; it is positive")
        if not self.clip_l2 >= 0:
            raise RecipeError(f"clip_l2 is {self.clip_l2}; it is not negative")


class ActivationQuantizer(nn.Module):
    """Clips and rounds one activation, and remembers its range."""

    alpha: nn.Parameter
    """Upper clip; the lower one too in the symmetric form."""
    beta: nn.Parameter
    """The lower clip is -beta where it is learnt by itself."""
    low: Tensor
    high: Tensor
    observed: Tensor
    """Whether there is a range."""
    symmetric: Tensor
    """A record of the form, for whoever reads a checkpoint."""

    def __init__(
        self,
        config: QuantizationConfig,
        *,
        floor: float | None = None,
        ceiling: float | None = None,
    ) -> None:
        """A quantizer that has seen nothing yet.

        Args:
            config: the form, and where the clip begins.
            floor: the least value that the activation has, or that counts.
            ceiling: the greatest one.
        """
        super().__init__()
        self._floor, self._ceiling = floor, ceiling
        self._is_symmetric = config.form == "symmetric"
        learns_beta = config.clip and not self._is_symmetric and floor is None
        start = torch.tensor(config.initial_clip if config.clip else _NO_CLIP)
        self.alpha = nn.Parameter(start.clone(), requires_grad=config.clip)
        self.beta = nn.Parameter(start.clone(), requires_grad=learns_beta)
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.register_buffer("observed", torch.tensor(False))
        self.register_buffer(_RECORD, torch.tensor(self._is_symmetric))
        self.mode: Mode = "quantize"
        self.name = "an activation"
        """Within the network; whoever prepares it sets this."""
        self.shared_by = 1
        """Activations in a step that have this range together."""
        self._seen: list[tuple[Tensor, Tensor]] = []
        self.histogram: Histogram | None = None
        """Of what was seen in the mode "observe"."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, float; in the mode "quantize" float32, on at most 256 levels.

        Raises:
            QuantizationError: there is no range yet, and this is no training.
        """
        if self.mode == "float":
            return x
        if self.mode == "observe":
            if self.histogram is None:
                self.histogram = Histogram()
            self.histogram.add(x.detach().clamp(self._floor, self._ceiling) if self._bound else x)
            return x
        x, (lower, upper) = x.float(), self._ends()
        if self.training:
            extremes = torch.stack(torch.aminmax(x.detach()))
            self._follow(*extremes.clamp(lower.detach(), upper.detach()))
        elif not bool(self.observed):
            raise QuantizationError(self._missing())
        scale, zero_point = affine_parameters(self.low, self.high, symmetric=self._is_symmetric)
        # The paper's sum of magnitudes has the values and the gradients of a clip.
        return clip_and_round(x, scale=scale, zero_point=zero_point, lower=lower, upper=upper)

    @property
    def scale(self) -> Tensor:
        """A step of the present range."""
        return affine_parameters(self.low, self.high, symmetric=self._is_symmetric)[0]

    @property
    def quantization(self) -> AffineQuantization:
        """What the range comes to.

        Raises:
            QuantizationError: there is no range yet.
        """
        if not bool(self.observed):
            raise QuantizationError(self._missing())
        scale, zero_point = affine_parameters(self.low, self.high, symmetric=self._is_symmetric)
        return AffineQuantization(scale=float(scale), zero_point=int(zero_point))

    def set_range(self, low: float, high: float) -> None:
        """Takes a range that was chosen elsewhere; the clip then stands at its ends."""
        self.low.fill_(low)
        self.high.fill_(high)
        self.observed.fill_(True)
        with torch.no_grad():
            self.alpha.fill_(max(abs(low), abs(high)) if self._is_symmetric else max(high, 0.0))
            self.beta.fill_(max(-low, 0.0))

    @property
    def _bound(self) -> bool:
        return self._floor is not None or self._ceiling is not None

    def _ends(self) -> tuple[Tensor, Tensor]:
        """Where the activation is clipped, with what is learnt of that."""
        upper: Tensor = self.alpha
        if self._ceiling is not None:
            upper = torch.minimum(upper, upper.new_tensor(self._ceiling))
        if self._floor is None:
            return -(self.alpha if self._is_symmetric else self.beta), upper
        lower = upper.new_tensor(self._floor)
        return (torch.maximum(lower, -self.alpha) if self._is_symmetric else lower), upper

    def _follow(self, least: Tensor, greatest: Tensor) -> None:
        self._seen.append((least, greatest))
        lows, highs = zip(*self._seen, strict=True)
        complete = len(self._seen) == self.shared_by
        # Until there is a range, that of a part is one.
        first = ~self.observed
        for average, value in (
            (self.low, torch.stack(lows).amin()),
            (self.high, torch.stack(highs).amax()),
        ):
            moved = MOVING_RATE * average + (1 - MOVING_RATE) * value if complete else average
            average.copy_(torch.where(first, value, moved))
        if complete:
            self._seen.clear()
            self.observed.fill_(True)

    def _missing(self) -> str:
        return (
            f"{self.name} has no range: train the prepared network, or calibrate it "
            "(edgeocr-train quantize)"
        )


class FixedQuantizer(nn.Module):
    """Rounds an activation whose range is known beforehand."""

    def __init__(self, quantization: AffineQuantization) -> None:
        super().__init__()
        self.quantization = quantization
        self.mode: Mode = "quantize"

    @property
    def scale(self) -> float:
        """A step."""
        return self.quantization.scale

    def forward(self, x: Tensor) -> Tensor:
        if self.mode != "quantize":
            return x
        x = x.float()
        return clip_and_round(
            x,
            scale=x.new_tensor(self.quantization.scale),
            zero_point=x.new_tensor(self.quantization.zero_point),
        )


def quantizers(network: nn.Module) -> Iterator[tuple[str, ActivationQuantizer]]:
    """All learnt quantizers by name, each once."""
    for name, module in network.named_modules():
        if isinstance(module, ActivationQuantizer):
            yield name, module


def clip_penalty(network: nn.Module, config: QuantizationConfig) -> Tensor:
    """``clip_l2 / 2`` times the squares of all learnt clips, whose gradient is clip_l2 alpha."""
    clips: list[Tensor] = [
        clip
        for _, quantizer in quantizers(network)
        for clip in (quantizer.alpha, quantizer.beta)
        if clip.requires_grad
    ]
    if not clips:
        return next(network.parameters()).new_zeros(())
    return config.clip_l2 / 2 * torch.stack(clips).square().sum()


def recorded_config(tensors: Mapping[str, Tensor]) -> QuantizationConfig | None:
    """The form that the tensors of a prepared network were made with; None for a float one's."""
    forms = {bool(value) for name, value in tensors.items() if name.endswith(f".{_RECORD}")}
    if not forms:
        return None
    return QuantizationConfig(form="symmetric" if True in forms else "asymmetric")
