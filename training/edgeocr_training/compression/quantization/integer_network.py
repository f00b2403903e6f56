"""Runs a device graph in integers: what training promises of the device, computed without it."""

from __future__ import annotations

import copy
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeocr_training.compression.quantization import integer_arithmetic as integers
from edgeocr_training.compression.quantization.affine import AffineQuantization
from edgeocr_training.compression.quantization.device_graph import (
    Add,
    Concatenation,
    Convolution,
    DepthToSpace,
    DeviceGraph,
    Image,
    Maximum,
    Mean,
    Multiply,
    OpenGate,
    Operation,
    Recurrence,
    Repeat,
    Sigmoid,
)
from edgeocr_training.compression.quantization.integer_arithmetic import Int8
from edgeocr_training.compression.quantization.lowering import convert
from edgeocr_training.models.classifier import Classifier
from edgeocr_training.models.detector import Detector
from edgeocr_training.models.recogniser import Recogniser

Student = TypeVar("Student", bound=nn.Module)


def run_integers(graph: DeviceGraph, image_B3HW: NDArray[np.float32]) -> dict[str, Int8]:
    """Every tensor of a graph, by name.

    Args:
        graph: from :func:`~edgeocr_training.compression.quantization.lowering.convert`.
        image_B3HW: normalised, as the network takes it.

    Returns:
        int8 maps (B, C, H, W), the output's in its own layout.
    """
    quantizations = {o.name: o.quantization for o in graph.operations}
    tensors: dict[str, Int8] = {}
    for operation in graph.operations:
        if isinstance(operation, Image):
            tensors[operation.name] = integers.quantize(image_B3HW, operation.quantization)
            continue
        sources = [tensors[name] for name in operation.sources]
        tensors[operation.name] = run_operation(
            operation, sources, [quantizations[name] for name in operation.sources]
        )
    output = graph.output.name
    tensors[output] = laid_out(tensors[output], graph)
    return tensors


def run_operation(
    operation: Operation, sources: list[Int8], scales: list[AffineQuantization]
) -> Int8:
    """The tensor that an operation makes of its sources, which have these scales."""
    result = operation.quantization
    match operation:
        case Convolution():
            return integers.convolve(sources[0], scales[0], operation)
        case Add():
            lowest = result.zero_point if operation.relu else -128
            return integers.add(sources[0], scales[0], sources[1], scales[1], result, low=lowest)
        case OpenGate():
            return integers.open_gate(sources[0], scales[0], result)
        case Multiply():
            return integers.multiply(sources[0], scales[0], sources[1], scales[1], result)
        case Mean():
            return integers.mean(sources[0], scales[0], result)
        case Sigmoid():
            return integers.sigmoid(sources[0], scales[0], result)
        case Recurrence():
            return integers.recur(sources[0], scales[0], operation)
        case DepthToSpace():
            return integers.depth_to_space(sources[0])
        case Repeat():
            return sources[0].repeat(operation.factor, axis=2).repeat(operation.factor, axis=3)
        case Maximum():
            return integers.maximum(sources[0], operation.kernel)
        case Concatenation():
            return np.concatenate(sources, axis=1)
    raise AssertionError(f"no kernel for {type(operation).__name__}")


def laid_out(map_BCHW: Int8, graph: DeviceGraph) -> Int8:
    """The output of a graph as it is handed over."""
    match graph.layout:
        case "map":
            return map_BCHW
        case "sequence":
            return map_BCHW[:, :, 0].transpose(0, 2, 1)
        case "vector":
            return map_BCHW[:, :, 0, 0]


class IntegerNetwork(nn.Module):
    """Image (B, 3, H, W) to the output's reals, computed on the CPU in integers."""

    def __init__(self, graph: DeviceGraph) -> None:
        super().__init__()
        self._graph = graph

    def forward(self, image_B3HW: Tensor) -> Tensor:
        tensors = run_integers(self._graph, image_B3HW.detach().float().cpu().numpy())
        output = self._graph.output
        reals = integers.dequantize(tensors[output.name], output.quantization)
        return torch.from_numpy(np.ascontiguousarray(reals)).to(image_B3HW.device)


def integer_student(student: Student) -> Student:
    """A student that gives what the device will, bit for bit, to whoever measures it.

    Args:
        student: prepared, with all of its ranges; left as it is.

    Raises:
        QuantizationError: the student is not prepared, or a tensor has no range.
    """
    network = IntegerNetwork(convert(student))
    shell = copy.deepcopy(student)
    shell.backbone = nn.Identity()
    match shell:
        case Detector():
            shell.neck = nn.Identity()  # type: ignore[assignment]
            shell.head.probability_branch = network
            shell.head.threshold_branch = nn.Identity()
        case Recogniser():
            shell.neck = nn.Identity()  # type: ignore[assignment]
            shell.head = _LogitsAlone(network)  # type: ignore[assignment]
        case Classifier():
            shell.pool = nn.Sequential()
            shell.classes = network  # type: ignore[assignment]
    return shell.eval()


class _LogitsAlone(nn.Module):
    """A recogniser's head without the features, which no device hands over."""

    def __init__(self, network: IntegerNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        logits_BTK: Tensor = self.network(image_B3HW)
        return logits_BTK.new_zeros(*logits_BTK.shape[:2], 0), logits_BTK
