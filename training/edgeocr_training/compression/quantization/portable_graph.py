"""A graph's products and means get scales with which every processor computes the same integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from edgeocr_training.compression.quantization.device_graph import (
    Concatenation,
    Convolution,
    DepthToSpace,
    Maximum,
    Mean,
    Move,
    Multiply,
    Operation,
    Repeat,
)
from edgeocr_training.compression.quantization.portable_scales import (
    portable_mean,
    portable_product,
)

_Size: TypeAlias = tuple[int, int]
"""Rows and columns of a map."""


def with_portable_scales(
    operations: Sequence[Operation], image: _Size | None
) -> tuple[Operation, ...]:
    """The operations, of which only scales are others.

    Args:
        operations: each behind its sources.
        image: rows and columns of the image; None where it has many sizes, so that nobody knows
            how many integers there are to a mean: means keep their scales then.
    """
    joined = set[str]().union(
        *(_moved_into(operations, o) for o in operations if isinstance(o, Concatenation))
    )
    made: dict[str, Operation] = {}
    sizes: dict[str, _Size | None] = {}
    for operation in operations:
        sources = [made[name].quantization for name in operation.sources]
        size = image if not operation.sources else sizes[operation.sources[0]]
        result = operation.quantization
        # What is joined has one scale, which can't be raised for one part alone.
        if isinstance(operation, Multiply) and operation.name not in joined:
            first, second = sources
            result = portable_product(first, second, result)
        elif isinstance(operation, Mean) and size is not None:
            result = portable_mean(size[0] * size[1], sources[0], result)
        elif isinstance(operation, Move):
            result = sources[0]
        made[operation.name] = replace(operation, quantization=result)
        sizes[operation.name] = _size_of(operation, size)
    return tuple(made.values())


def _moved_into(operations: Sequence[Operation], join: Operation) -> set[str]:
    """What reaches a concatenation by moves alone."""
    by_name = {o.name: o for o in operations}
    found: set[str] = set()
    waiting = list(join.sources)
    while waiting:
        name = waiting.pop()
        found.add(name)
        if isinstance(by_name[name], Move):
            waiting.extend(by_name[name].sources)
    return found


def _size_of(operation: Operation, size: _Size | None) -> _Size | None:
    """Of the result, whose (first) source has ``size``."""
    if size is None:
        return None
    match operation:
        case Convolution():
            kernel = operation.weights_OIHW.shape[2:]
            rows, columns = (
                (length + 2 * padding - extent) // stride + 1
                for length, padding, extent, stride in zip(
                    size, operation.padding, kernel, operation.stride, strict=True
                )
            )
            return rows, columns
        case Maximum():
            return size[0] // operation.kernel[0], size[1] // operation.kernel[1]
        case DepthToSpace():
            return 2 * size[0], 2 * size[1]
        case Repeat():
            return operation.factor * size[0], operation.factor * size[1]
        case Mean():
            return 1, 1
    return size
