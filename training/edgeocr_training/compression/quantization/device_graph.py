"""What a device computes: integer operators, one for each of XNNPACK's, and what they mean.

A graph is the result of :func:`~edgeocr_training.compression.quantization.lowering.convert`. It
is computed in integers by :mod:`.integer_network`, and written as float ONNX, for any converter,
by :mod:`.onnx_writing`. Maps are (1, C, H, W) throughout; a line's sequence is a map of one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeocr_training.compression.quantization.affine import HIGHEST, AffineQuantization
from edgeocr_training.errors import QuantizationError

if TYPE_CHECKING:
    # The converter reads tables of ranges without PyTorch.
    from torch import nn

Layout: TypeAlias = Literal["map", "sequence", "vector"]
"""Of the output: (1, C, H, W), (1, T, C) of a map with one row, or (1, C) of a single pixel."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """One operator and the tensor that it makes."""

    name: str
    """Of the tensor."""
    sources: tuple[str, ...]
    quantization: AffineQuantization


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Image(Operation):
    """The input, (1, 3, H, W)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolution(Operation):
    """A dense or depthwise convolution, padded by zeros, with a bias and maybe a ReLU."""

    weights_OIHW: NDArray[np.float32]
    """I is 1 in a depthwise one."""
    bias_O: NDArray[np.float32]
    weight_scales_O: NDArray[np.float32]
    stride: tuple[int, int]
    padding: tuple[int, int]
    """Rows above and below, columns on both sides."""
    depthwise: bool
    relu: bool

    @property
    def integer_weights_OIHW(self) -> NDArray[np.int8]:
        """Multiples of each output's scale, in [-127, 127]."""
        steps = self.weights_OIHW.astype(np.float64) / self.weight_scales_O[:, None, None, None]
        return np.clip(np.rint(steps), -HIGHEST, HIGHEST).astype(np.int8)

    def bias_scales_O(self, source: AffineQuantization) -> NDArray[np.float32]:
        """Of the biases, and of the sums that they begin: the scales of both factors multiplied."""
        return np.float32(source.scale) * self.weight_scales_O

    def integer_bias_O(self, source: AffineQuantization) -> NDArray[np.int32]:
        """Multiples of :meth:`bias_scales_O`."""
        scales = self.weight_scales_O.astype(np.float64) * source.scale
        steps = np.rint(self.bias_O.astype(np.float64) / scales)
        return np.clip(steps, -(2**31), 2**31 - 1).astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Add(Operation):
    """The sum of two tensors of one shape."""

    relu: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenGate(Operation):
    """relu6(x + 3)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Multiply(Operation):
    """The product of two tensors, one of which may be (1, C, 1, 1)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mean(Operation):
    """Over a map, to (1, C, 1, 1)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sigmoid(Operation):
    """1 / (1 + exp(-x))."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recurrence(Operation):
    """LSTM layers over the columns of a map of one row, in floats: (1, C, 1, T) to (1, D, 1, T)."""

    lstm: nn.LSTM
    """On the CPU, batch first; the values of its matrices are those of float16."""
    input_factor: float
    """The map is so many times what the trained layers read, whose matrices are divided by it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Move(Operation):
    """Values go elsewhere and stay as they are, scale and all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepthToSpace(Move):
    """(1, 4 C, H, W) to (1, C, 2 H, 2 W): channel (2 i + j) C + c goes to the pixel (i, j)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Repeat(Move):
    """Every pixel ``factor`` times in both directions."""

    factor: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Maximum(Move):
    """Over windows of ``kernel`` that touch each other."""

    kernel: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Concatenation(Move):
    """Of channels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceGraph:
    """Operators in the order in which they are computed."""

    operations: tuple[Operation, ...]
    """The image first, the output last."""
    layout: Layout
    """Of the output."""
    output_name: str
    """As ONNX has it: "probability" or "logits"."""

    @property
    def image(self) -> Operation:
        return self.operations[0]

    @property
    def output(self) -> Operation:
        return self.operations[-1]


ADD_RATIOS = (2.0**-10, 2.0**8)
MULTIPLY_RATIOS = (2.0**-16, 2.0**8)
LAYER_RATIOS = (2.0**-32, 2.0**8)
"""What XNNPACK's integer kernels can multiply by: least, and first that is too large."""


def check_scales(graph: DeviceGraph) -> None:
    """Sees that XNNPACK takes every operator.

    Raises:
        QuantizationError: a scale is out of proportion to those beside it; names the tensor.
    """
    quantizations = {o.name: o.quantization for o in graph.operations}
    for operation in graph.operations:
        sources = [quantizations[name].scale for name in operation.sources]
        ratios: Sequence[float]
        match operation:
            case Convolution():
                ratios = [
                    float(sources[0] * scale / operation.quantization.scale)
                    for scale in operation.weight_scales_O
                ]
                limits = LAYER_RATIOS
            case Add() | OpenGate():
                ratios = [scale / operation.quantization.scale for scale in sources]
                limits = ADD_RATIOS
            case Multiply():
                ratios = [float(np.prod(sources)) / operation.quantization.scale]
                limits = MULTIPLY_RATIOS
            case Concatenation():
                if any(quantizations[name] != operation.quantization for name in operation.sources):
                    raise QuantizationError(f"{operation.name} joins tensors of different scales")
                continue
            case _:
                continue
        for ratio in ratios:
            if not limits[0] <= ratio < limits[1]:
                raise QuantizationError(
                    f"{operation.name}: a ratio of scales is {ratio:.3g}, outside of XNNPACK's "
                    f"[{limits[0]:.3g}, {limits[1]:g}); its range or that of what it reads is out "
                    "of proportion: calibrate with images like those to be read"
                )
