"""One run over the calibration data: what activations hold, and how layers' inputs correlate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edgeocr_conversion.flatbuffer import operator_name, read_model, tensor_shape
from edgeocr_conversion.interpreter import plain_interpreter
from edgeocr_conversion.ranges import Histogram
from edgeocr_conversion.weight_rounding import LAYERS

Sample = NDArray[np.float32]
"""(1, height, width, 3), as the network takes it."""

_PATCHES_PER_SAMPLE: Final = 500
"""Positions of a layer's input that are looked at per sample; more change nothing but time."""
_VALUES_PER_SAMPLE: Final = 200_000
"""Of a map, about, that are counted per sample: every so many pixels of a large one."""
_CHUNK_BYTES: Final = 8_000_000
"""Patches are gathered up to this size before they are multiplied: one product of many rows is
much cheaper than many products of few."""
_MAX_INPUTS: Final = 4_096
"""Layers with more inputs per output are left to plain rounding, as are dilated ones and those
whose channels fall into groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a float model did on calibration data."""

    histograms: Mapping[str, Histogram]
    """Of every activation, by tensor name."""
    covariances: Mapping[str, NDArray[np.float64]]
    """H = E[x x^T] of every layer's input patches, by the name of the layer's weight tensor.
    (inputs, inputs) for convolutions and matrix products; (channels, taps, taps) for depthwise
    convolutions, whose channels don't mix."""


def observe(model: Path, samples: Iterable[Sample]) -> Observation:
    """Runs a float model on samples, without a delegate, which would keep its inside to itself.

    Samples may differ in height and width where the model can be resized.
    """
    tree = read_model(model)
    operators = tree.subgraphs[0].operators
    tensors = tree.subgraphs[0].tensors
    interpreter = plain_interpreter(model)
    entry = int(interpreter.get_input_details()[0]["index"])
    histograms: dict[str, Histogram] = {}
    moments: dict[str, _SecondMoment] = {}
    generator = np.random.default_rng(0)
    shape: tuple[int, ...] | None = None
    activations = {int(index) for operator in operators for index in operator.outputs} | {entry}
    for sample in samples:
        if sample.shape != shape:
            shape = sample.shape
            interpreter.resize_tensor_input(entry, shape)
            interpreter.allocate_tensors()
        interpreter.reset_all_variables()  # TFLite's LSTM goes on where the last sample ended
        interpreter.set_tensor(entry, sample)
        interpreter.invoke()
        for index in sorted(activations):
            if tensors[index].type == 0:  # TensorType.FLOAT32
                values = _thinned(interpreter.get_tensor(index))
                histograms.setdefault(tensors[index].name.decode(), Histogram()).add(values)
        for operator in operators:
            kind = operator_name(tree, operator)
            if kind not in LAYERS:
                continue
            weights = tensors[operator.inputs[1]]
            patches = _patches(
                interpreter.get_tensor(int(operator.inputs[0])),
                kind,
                tensor_shape(weights),
                operator.builtinOptions,
                generator,
            )
            if patches is not None:
                moments.setdefault(weights.name.decode(), _SecondMoment()).add(patches)
    return Observation(
        histograms=histograms,
        covariances={name: moment.value() for name, moment in moments.items()},
    )


class _SecondMoment:
    """E[x x^T] of rows that come in portions."""

    def __init__(self) -> None:
        self._sum: NDArray[np.float64] | None = None
        self._rows = 0
        self._pending: list[NDArray[np.float32]] = []

    def add(self, patches: NDArray[np.float32]) -> None:
        """(n, inputs), or (channels, n, taps) for one matrix per channel."""
        self._pending.append(patches)
        if sum(portion.nbytes for portion in self._pending) > _CHUNK_BYTES:
            self._flush()

    def value(self) -> NDArray[np.float64]:
        self._flush()
        assert self._sum is not None  # never made without a first portion
        return self._sum / self._rows

    def _flush(self) -> None:
        if not self._pending:
            return
        rows = np.concatenate(self._pending, axis=-2)
        product = np.matmul(rows.swapaxes(-1, -2), rows).astype(np.float64)
        self._sum = product if self._sum is None else self._sum + product
        self._rows += rows.shape[-2]
        self._pending = []


def _thinned(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every so many pixels of a map that is larger than needed for a histogram."""
    if values.ndim != 4 or values.size <= _VALUES_PER_SAMPLE:
        return values
    step = int(np.ceil(np.sqrt(values.size / _VALUES_PER_SAMPLE)))
    return values[:, ::step, ::step]


def _patches(
    source: NDArray[np.float32],
    kind: str,
    weight_shape: tuple[int, ...],
    options: Any,
    generator: np.random.Generator,
) -> NDArray[np.float32] | None:
    """Some input patches of a layer: (n, inputs), or (channels, n, taps) if depthwise.

    None where the layer is left to plain rounding.
    """
    if kind == "FULLY_CONNECTED":
        inputs = weight_shape[1]
        if inputs > _MAX_INPUTS:
            return None
        flat = source.reshape(-1, inputs)
        wanted = min(len(flat), _PATCHES_PER_SAMPLE)
        return flat[generator.choice(len(flat), size=wanted, replace=False)]
    _, height, width, last = weight_shape
    if kind == "CONV_2D" and (height * width * last > _MAX_INPUTS or last != source.shape[3]):
        return None  # too many, or in groups
    if (options.dilationHFactor, options.dilationWFactor) != (1, 1):
        return None
    strides = (int(options.strideH), int(options.strideW))
    if options.padding == 0:  # Padding.SAME
        pads = []
        for size, kernel, stride in zip(source.shape[1:3], (height, width), strides, strict=True):
            missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads.append((missing // 2, missing - missing // 2))
        source = np.pad(source, ((0, 0), pads[0], pads[1], (0, 0)))
    # (rows, columns, channels, height, width)
    windows: NDArray[np.float32] = sliding_window_view(
        source,
        (1, height, width, 1),
        axis=(0, 1, 2, 3),  # type: ignore[call-overload]
    )[0, :: strides[0], :: strides[1], :, 0, :, :, 0]
    rows, columns = windows.shape[:2]
    wanted = min(rows * columns, _PATCHES_PER_SAMPLE)
    chosen = generator.choice(rows * columns, size=wanted, replace=False)
    picked = windows[chosen // columns, chosen % columns]
    if kind == "DEPTHWISE_CONV_2D":
        return np.ascontiguousarray(
            picked.reshape(wanted, picked.shape[1], height * width).transpose(1, 0, 2)
        )
    return np.asarray(picked.transpose(0, 2, 3, 1).reshape(wanted, -1))
