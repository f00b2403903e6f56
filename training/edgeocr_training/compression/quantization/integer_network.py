"""Runs a device graph in integers: what training promises of the device, computed without it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
    Repeat,
    Sigmoid,
)
from edgeocr_training.compression.quantization.integer_arithmetic import Int8


def run_integers(graph: DeviceGraph, image_13HW: NDArray[np.float32]) -> dict[str, Int8]:
    """Every tensor of a graph, by name, for one image.

    Args:
        graph: from :func:`~edgeocr_training.compression.quantization.lowering.convert`.
        image_13HW: normalised, as the network takes it.

    Returns:
        int8 maps (1, C, H, W), the output's in its own layout.
    """
    quantizations = {o.name: o.quantization for o in graph.operations}
    tensors: dict[str, Int8] = {}
    for operation in graph.operations:
        if isinstance(operation, Image):
            tensors[operation.name] = integers.quantize(image_13HW, operation.quantization)
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
        case DepthToSpace():
            return integers.depth_to_space(sources[0])
        case Repeat():
            return sources[0].repeat(operation.factor, axis=2).repeat(operation.factor, axis=3)
        case Maximum():
            return integers.maximum(sources[0], operation.kernel)
        case Concatenation():
            return np.concatenate(sources, axis=1)
    raise AssertionError(f"no kernel for {type(operation).__name__}")


def laid_out(map_1CHW: Int8, graph: DeviceGraph) -> Int8:
    """The output of a graph as it is handed over."""
    match graph.layout:
        case "map":
            return map_1CHW
        case "sequence":
            return map_1CHW[:, :, 0].transpose(0, 2, 1)
        case "vector":
            return map_1CHW[:, :, 0, 0]
