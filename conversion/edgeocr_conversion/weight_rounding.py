"""Rounds weights so that the layer's output, not the weight, errs least.

Rounding every weight to its nearest step is optimal for white inputs only. Activations of a
trained network are strongly correlated, so an error made in one weight can mostly be taken
back in those that are rounded after it. This is GPTQ (Frantar et al. 2022, 2210.17323, eq. 2
and 3): with H = E[x x^T] over calibration data, column j of the weights is rounded, and what
that costs is spread over the columns that are still free,

    e_j = (w_j - q_j) / U_jj,     w_k -= e_j U_jk  for k > j,     H^-1 = U^T U.

Activations are themselves quantized on the device: their rounding noise, scale^2 / 12 on every
input, is added to the diagonal of H. It also keeps H invertible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeocr_conversion.flatbuffer import Model, constant_value, operator_name
from edgeocr_conversion.ranges import Range

LAYERS: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundedWeights:
    """Integer weights of one layer."""

    values: NDArray[np.int8]
    """In the layout of the layer's own weight tensor."""
    scales: NDArray[np.float32]
    """(outputs,): a weight is ``values * scale`` of its output channel."""


def round_weights(
    model: Model,
    covariances: Mapping[str, NDArray[np.float64]],
    ranges: Mapping[str, Range],
) -> dict[str, RoundedWeights]:
    """Integer weights of every layer of a float model, by the name of its weight tensor.

    Layers that read the same tensor with the same weights but for a factor per output, as a
    split gate leaves them (:mod:`.equalisation`), get the same integers: the file holds them
    once.
    """
    rounded: dict[str, RoundedWeights] = {}
    twins: dict[tuple[int, str, tuple[int, ...]], list[tuple[NDArray[np.float64], str]]] = {}
    subgraph = model.subgraphs[0]
    for operator in subgraph.operators:
        kind = operator_name(model, operator)
        if kind not in LAYERS:
            continue
        tensor = subgraph.tensors[operator.inputs[1]]
        weights = constant_value(model, tensor)
        name = tensor.name.decode()
        if weights is None or name not in covariances or name in rounded:
            continue
        rows = _rows(weights, kind)
        alike = twins.setdefault((int(operator.inputs[0]), kind, weights.shape), [])
        twin = next((other for twin, other in alike if _same_rows(rows, twin)), None)
        if twin is not None:
            rounded[name] = RoundedWeights(values=rounded[twin].values, scales=_scales(rows))
            continue
        alike.append((rows, name))
        source = ranges.get(subgraph.tensors[operator.inputs[0]].name.decode())
        noise = ((source.high - source.low) / 255) ** 2 / 12 if source is not None else 0.0
        rounded[name] = (
            _round_depthwise(weights, covariances[name], noise)
            if kind == "DEPTHWISE_CONV_2D"
            else _round_dense(weights, covariances[name], noise)
        )
    return rounded


def _rows(weights: NDArray[np.float32], kind: str) -> NDArray[np.float64]:
    """(outputs, taps): a layer's weights, one row per output channel."""
    if kind == "DEPTHWISE_CONV_2D":
        return weights.reshape(-1, weights.shape[3]).T.astype(np.float64)
    return weights.reshape(weights.shape[0], -1).astype(np.float64)


def _same_rows(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Whether all weights agree once every row is scaled to 1."""
    one, other = (
        rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-30)
        for rows in (first, second)
    )
    return bool(np.allclose(one, other, rtol=0, atol=1e-5))


def _scales(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    largest = np.abs(rows).max(axis=1)
    return np.asarray(np.maximum(largest / 127, 1e-8), dtype=np.float32)


def _round_dense(
    weights: NDArray[np.float32], covariance: NDArray[np.float64], noise: float
) -> RoundedWeights:
    rows = _rows(weights, "CONV_2D")
    scales = _scales(rows)
    steps = gptq(rows, scales, covariance, noise)
    return RoundedWeights(values=steps.reshape(weights.shape), scales=scales)


def _round_depthwise(
    weights_1HWC: NDArray[np.float32], covariances_CTT: NDArray[np.float64], noise: float
) -> RoundedWeights:
    channels = weights_1HWC.shape[3]
    rows = _rows(weights_1HWC, "DEPTHWISE_CONV_2D")
    scales = _scales(rows)
    multiplier = channels // len(covariances_CTT)  # outputs of each input channel
    steps = np.concatenate(
        [
            gptq(rows[c : c + 1], scales[c : c + 1], covariances_CTT[c // multiplier], noise)
            for c in range(channels)
        ]
    )
    return RoundedWeights(values=steps.T.reshape(weights_1HWC.shape), scales=scales)


def gptq(
    weights: NDArray[np.float64],
    scales: NDArray[np.float32],
    covariance: NDArray[np.float64],
    noise: float,
) -> NDArray[np.int8]:
    """Rounds (outputs, inputs) weights to steps of their row's scale.

    Args:
        weights: float weights.
        scales: (outputs,) step of every row.
        covariance: (inputs, inputs) H = E[x x^T].
        noise: variance of the rounding noise of the inputs.

    Returns:
        (outputs, inputs) int8 in [-127, 127].
    """
    inputs = weights.shape[1]
    step = scales.astype(np.float64)[:, None]
    damping = noise + 1e-4 * float(np.trace(covariance)) / inputs + 1e-12
    hessian = covariance + damping * np.eye(inputs)
    # The inputs that matter most first, while there are still others to correct with.
    order = np.argsort(-np.diag(hessian))
    left = weights[:, order].copy()
    inverse = np.linalg.inv(hessian[np.ix_(order, order)])
    upper = np.linalg.cholesky((inverse + inverse.T) / 2).T
    rounded = np.zeros_like(left)
    for j in range(inputs):
        column = np.clip(np.round(left[:, j : j + 1] / step), -127, 127)
        rounded[:, j : j + 1] = column
        error = (left[:, j : j + 1] - column * step) / upper[j, j]
        left[:, j + 1 :] -= error * upper[j : j + 1, j + 1 :]
    restored = np.empty_like(rounded)
    restored[:, order] = rounded
    return restored.astype(np.int8)
