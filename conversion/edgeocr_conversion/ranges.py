"""Activation ranges: what every tensor holds on calibration data, and what to keep of it.

Values are counted by their float16 bit pattern: one pass over the data, no guess of the bins
beforehand, and a resolution (11 bits) beyond that of any INT8 scale. A range is then chosen to
minimise the mean squared error of what the tensor is read for:

* where it feeds a sigmoid, a hard-swish, a swish or a GELU alone, the error of the function's
  value counts, not that of the argument. Everything below -3 gives 0 in a hard-swish, so that
  half of such a tensor's range is usually free. The logits of a text map reach from -160 to 100
  in PP-OCRv4; a map made from as much knows 12 probabilities, and none around its threshold;
* otherwise the error of the tensor itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgeocr_conversion.flatbuffer import Model, constant_value, operator_name
from edgeocr_conversion.scheme import Method

_PATTERNS: Final = 1 << 16
_VALUES: Final = np.arange(_PATTERNS, dtype=np.uint16).view(np.float16).astype(np.float64)
_MAX_DISTINCT: Final = 4096
_LEVELS: Final = 255
_SHRINK: Final = np.concatenate([np.linspace(1.0, 0.3, 29), np.geomspace(0.27, 0.01, 24)])
"""Fractions of the observed extreme that are tried, 1 first."""
_MIN_SCALE: Final = 1e-5
"""A tensor that is always zero would get a scale of 4e-12, with which XNNPACK makes no
runtime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What INT8 can represent of a tensor; contains 0."""

    low: float
    high: float


class Histogram:
    """Counts of a tensor's values over all samples."""

    def __init__(self) -> None:
        self.counts = np.zeros(_PATTERNS, dtype=np.int64)

    def add(self, values: NDArray[np.float32]) -> None:
        limit = np.float32(np.finfo(np.float16).max)
        halves = np.clip(values, -limit, limit).astype(np.float16)
        self.counts += np.bincount(halves.view(np.uint16).reshape(-1), minlength=_PATTERNS)

    def values(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distinct values in ascending order and their counts, at most some 8,000.

        Patterns of neighbouring values are taken together by eights where there are more: 8 of
        the 11 bits are left, with the extremes kept as they are.
        """
        seen = np.flatnonzero(self.counts)
        seen = seen[np.isfinite(_VALUES[seen])]
        values: NDArray[np.float64] = _VALUES[seen]
        counts: NDArray[np.float64] = self.counts[seen].astype(np.float64)
        order = np.argsort(values)
        values, counts = values[order], counts[order]
        if len(values) <= _MAX_DISTINCT:
            return values, counts
        # The extremes stand alone: an outlier must not count for those beside it too.
        group = np.concatenate([[0], 1 + np.arange(len(values) - 2) // 8, [len(values)]])
        _, group = np.unique(group, return_inverse=True)
        total: NDArray[np.float64] = np.bincount(group, weights=counts).astype(np.float64)
        return np.bincount(group, weights=counts * values) / total, total


def choose_ranges(
    model: Model, histograms: Mapping[str, Histogram], *, method: Method
) -> dict[str, Range]:
    """The range of every observed activation of a float model, by tensor name."""
    functions = _functions_of_readers(model)
    return {
        name: choose_range(histogram, method=method, function=functions.get(name))
        for name, histogram in histograms.items()
    }


def choose_range(
    histogram: Histogram,
    *,
    method: Method,
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> Range:
    """The range that loses least of the counted values.

    Args:
        histogram: of the tensor.
        method: "minmax" keeps every value; "mse" minimises
            ``sum n_i (f(q(v_i)) - f(v_i))^2`` over both ends of the range, one end at a time.
        function: f, what the tensor is read for; the identity where None.
    """
    values, counts = histogram.values()
    if len(values) == 0:
        return Range(low=0.0, high=_MIN_SCALE * _LEVELS)
    low, high = min(float(values[0]), 0.0), max(float(values[-1]), 0.0)
    if method == "mse":
        apply = function or (lambda x: x)
        wanted = apply(values)

        def loss(low: float, high: float) -> float:
            scale = max((high - low) / _LEVELS, _MIN_SCALE)
            zero_point = np.round(-low / scale)
            steps = np.clip(np.round(values / scale) + zero_point, 0, _LEVELS)
            return float(counts @ (apply((steps - zero_point) * scale) - wanted) ** 2)

        for _ in range(2):
            if high > 0:
                high = min((float(high * s) for s in _SHRINK), key=lambda end: loss(low, end))
            if low < 0:
                low = min((float(low * s) for s in _SHRINK), key=lambda end: loss(end, high))
    if high - low < _MIN_SCALE * _LEVELS:
        high = low + _MIN_SCALE * _LEVELS
    return Range(low=low, high=high)


def _hard_swish(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x * np.clip(x + 3, 0, 6)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))))


def _swish(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x * _sigmoid(x)


def _gelu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # By its tanh form (Hendrycks and Gimpel 2016, 1606.08415), within 5e-4 of the exact one.
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return np.asarray(0.5 * x * (1 + np.tanh(inner)))


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {"GELU": _gelu, "LOGISTIC": _sigmoid}


def _functions_of_readers(model: Model) -> dict[str, Callable[..., Any]]:
    """Tensors read by a sigmoid, a hard-swish, a swish or a GELU and nothing else."""
    found: dict[str, Callable[..., Any]] = {}
    for subgraph in model.subgraphs:
        readers: dict[int, list[Any]] = {}
        for operator in subgraph.operators:
            for index in {int(i) for i in operator.inputs if i >= 0}:
                readers.setdefault(index, []).append(operator)
        for index, operators in readers.items():
            name = subgraph.tensors[index].name.decode()
            if len(operators) == 1:
                function = _FUNCTIONS.get(operator_name(model, operators[0]))
                if function is not None:
                    found[name] = function
            if len(operators) != 2:
                continue
            product = next((o for o in operators if operator_name(model, o) == "MUL"), None)
            gate = next((o for o in operators if o is not product), None)
            if product is None or gate is None or int(gate.outputs[0]) not in product.inputs:
                continue
            if operator_name(model, gate) == "LOGISTIC":
                found[name] = _swish
            elif operator_name(model, gate) == "ADD" and _adds_three(model, subgraph, gate):
                found[name] = _hard_swish
    return found


def _adds_three(model: Model, subgraph: Any, operator: Any) -> bool:
    fused_relu6 = 3  # ActivationFunctionType.RELU6
    for index in operator.inputs:
        value = constant_value(model, subgraph.tensors[index])
        if value is not None and value.size == 1 and float(value.reshape(-1)[0]) == 3.0:
            return int(operator.builtinOptions.fusedActivationFunction) == fused_relu6
    return False
