"""The operators of a prepared network: each computes what one or a few operators of XNNPACK do.

A layer with weights has its batch normalisation folded in, in training as on the device, with the
statistics of the float run: ``w' = w gamma / sqrt(var + eps)``,
``b' = (b - mean) gamma / sqrt(var + eps) + beta`` (Krishnamoorthi, arXiv:1806.08342, section 3.2.2,
frozen from the first step: a fine-tuning is short). gamma and beta go on learning.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeocr_training.compression.quantization.activation_quantizer import (
    ActivationQuantizer,
    FixedQuantizer,
    Mode,
    QuantizationConfig,
)
from edgeocr_training.compression.quantization.affine import (
    UNIT,
    UP_TO_6,
    AffineQuantization,
)
from edgeocr_training.compression.quantization.fake_quantization import (
    fake_quantize_rows,
    row_scales,
)
from edgeocr_training.models.activations import HardSigmoid
from edgeocr_training.models.bilstm_neck import BiLstm

Weighted: TypeAlias = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
Function: TypeAlias = Literal["relu", "hard_swish", "hard_sigmoid"]
"""Behind a layer with weights, computed with it or by operators of their own."""

HARD_SWISH_FLOOR: Final = -0.375
"""At x = -1.5."""
SATURATION: Final = 3.0
"""Below -3 a hard-swish and a hard-sigmoid are 0, above 3 the latter is 1."""


class QuantizedLayer(nn.Module):
    """One of the layers here; its name in the network stands in errors."""

    name: str = "a layer"


class QuantizedImage(QuantizedLayer):
    """The input: pixels are integers already."""

    def __init__(self, quantization: AffineQuantization) -> None:
        super().__init__()
        self.output = FixedQuantizer(quantization)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        rounded: Tensor = self.output(image_B3HW)
        return rounded


class QuantizedWeights(QuantizedLayer):
    """A convolution, a transposed one (2x2, stride 2) or a linear layer, with what follows it.

    The weights of every output have a step of their own; those of a transposed convolution, which
    the converter writes as a 1x1 convolution to four times the channels, of every output and
    position.
    """

    def __init__(
        self,
        layer: Weighted,
        config: QuantizationConfig,
        *,
        norm: nn.BatchNorm2d | None = None,
        function: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.norm = norm
        self.function, self.steepness = _function_of(function)
        self.mode: Mode = "quantize"
        # In a tuple it is no module of this one, but of the layer that it belongs to.
        self._source: tuple[ActivationQuantizer | FixedQuantizer, ...] = ()
        match self.function:
            case "hard_swish":
                # Of x; below -3 nothing is told apart.
                self.argument = ActivationQuantizer(config, floor=-SATURATION)
                self.gate = FixedQuantizer(UP_TO_6)
                self.output = ActivationQuantizer(config, floor=HARD_SWISH_FLOOR)
            case "hard_sigmoid":
                self.argument = ActivationQuantizer(config, floor=-SATURATION, ceiling=SATURATION)
                self.gate = FixedQuantizer(UP_TO_6)
            case "relu":
                self.output = ActivationQuantizer(config, floor=0.0)
            case None:
                self.output = ActivationQuantizer(config)

    def train(self, mode: bool = True) -> QuantizedWeights:
        super().train(mode)
        if self.norm is not None:
            self.norm.eval()  # its statistics stay
        return self

    def forward(self, x: Tensor) -> Tensor:
        weights_RT, bias_R = self.folded()
        if self.mode == "quantize":
            bias_R = self._rounded_bias(weights_RT, bias_R)
            weights_RT = fake_quantize_rows(weights_RT)
        y = self._linear(x, weights_RT, bias_R)
        match self.function:
            case "hard_swish":
                argument = self.argument(y)
                return self._rounded(argument * self.gate(F.relu6(argument + 3)) / 6)
            case "hard_sigmoid":
                opened: Tensor = self.gate(F.relu6(self.argument(self.steepness * y) + 3)) / 6
                return opened
            case "relu":
                return self._rounded(F.relu(y))
            case None:
                return self._rounded(y)

    def reads(self, source: ActivationQuantizer | FixedQuantizer) -> None:
        """Tells what rounds the input: the biases are multiples of its step and the weights'."""
        self._source = (source,)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weights (R, T), a row for each output, and biases (R,), with the normalisation."""
        layer = self.layer
        outputs = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
        bias_O = layer.bias if layer.bias is not None else layer.weight.new_zeros(outputs)
        factor_O = layer.weight.new_ones(outputs)
        if self.norm is not None:
            variance, mean = self.norm.running_var, self.norm.running_mean
            assert variance is not None
            assert mean is not None
            factor_O = self.norm.weight / torch.sqrt(variance + self.norm.eps)
            bias_O = (bias_O - mean) * factor_O + self.norm.bias
        if isinstance(layer, nn.ConvTranspose2d):
            # (I, O, 2, 2): row (i, j, o) makes channel o of the pixel (2 h + i, 2 w + j).
            weights_22OI = layer.weight.permute(2, 3, 1, 0) * factor_O[:, None]
            return weights_22OI.reshape(4 * outputs, -1), bias_O.repeat(4)
        return layer.weight.reshape(outputs, -1) * factor_O[:, None], bias_O

    def _rounded_bias(self, weights_RT: Tensor, bias_R: Tensor) -> Tensor:
        (source,) = self._source
        steps_R = (row_scales(weights_RT) * source.scale).detach()
        return bias_R + ((bias_R / steps_R).round() * steps_R - bias_R).detach()

    def _rounded(self, y: Tensor) -> Tensor:
        rounded: Tensor = self.output(y)
        return rounded

    def _linear(self, x: Tensor, weights_RT: Tensor, bias_R: Tensor) -> Tensor:
        layer = self.layer
        if isinstance(layer, nn.Linear):
            return F.linear(x, weights_RT, bias_R)
        if isinstance(layer, nn.ConvTranspose2d):
            outputs = layer.out_channels
            weights_IO22 = weights_RT.reshape(2, 2, outputs, -1).permute(3, 2, 0, 1)
            return F.conv_transpose2d(x, weights_IO22, bias_R[:outputs], stride=2)
        return F.conv2d(
            x,
            weights_RT.reshape(layer.weight.shape),
            bias_R,
            stride=layer.stride,
            padding=layer.padding,
            groups=layer.groups,
        )


class QuantizedAdd(QuantizedLayer):
    """x + y, with a ReLU or without."""

    def __init__(self, config: QuantizationConfig, *, relu: bool = False) -> None:
        super().__init__()
        self.relu = relu
        self.output = ActivationQuantizer(config, floor=0.0 if relu else None)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        total = x + y
        rounded: Tensor = self.output(F.relu(total) if self.relu else total)
        return rounded


class QuantizedMultiply(QuantizedLayer):
    """x y: a map and its gate."""

    def __init__(self, config: QuantizationConfig) -> None:
        super().__init__()
        self.output = ActivationQuantizer(config)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        rounded: Tensor = self.output(x * y)
        return rounded


class QuantizedMean(QuantizedLayer):
    """The mean over a map, (B, C, H, W) to (B, C, 1, 1)."""

    def __init__(self, config: QuantizationConfig) -> None:
        super().__init__()
        self.output = ActivationQuantizer(config)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        rounded: Tensor = self.output(x_BCHW.mean((2, 3), keepdim=True))
        return rounded


class QuantizedRecurrence(QuantizedLayer):
    """LSTM layers, which stay float: what they read is integers, and so is what they give."""

    def __init__(self, neck: BiLstm, config: QuantizationConfig) -> None:
        super().__init__()
        self.neck = neck
        self.output = ActivationQuantizer(config)

    def forward(self, feature_BC1T: Tensor) -> Tensor:
        rounded_BTC: Tensor = self.output(self.neck(feature_BC1T))
        return rounded_BTC


class QuantizedSigmoid(QuantizedLayer):
    """A table of 256 entries on the device; TFLite fixes its scale."""

    def __init__(self) -> None:
        super().__init__()
        self.output = FixedQuantizer(UNIT)

    def forward(self, x: Tensor) -> Tensor:
        rounded: Tensor = self.output(torch.sigmoid(x))
        return rounded


def set_mode(network: nn.Module, mode: Mode) -> None:
    """Puts every quantizer of a prepared network, and its weights, into a mode."""
    for module in network.modules():
        if isinstance(module, ActivationQuantizer | FixedQuantizer | QuantizedWeights):
            module.mode = mode


def _function_of(module: nn.Module | None) -> tuple[Function | None, float]:
    """The function's name, and six times its slope where it is a gate's."""
    match module:
        case None:
            return None, 1.0
        case nn.ReLU():
            return "relu", 1.0
        case nn.Hardswish():
            return "hard_swish", 1.0
        case HardSigmoid():
            return "hard_sigmoid", 6 * module.slope
    raise ValueError(f"{type(module).__name__} has no integer form")
