"""Float TFLite to INT8 TFLite with the scales that were trained, tensor by tensor.

Training names its scales by the tensors of its ONNX file (:class:`RangeTable`); onnx2tf gives
tensors other names and may change what they mean. So every operator of the TFLite graph is
matched with the ONNX tensor that is made of the same tensors and, on an image of noise, has the
same values. Nothing is taken on trust: an operator without a match is an error.

LSTM layers stay float, and with them what moves values from one to the next and behind the last.

ai-edge-quantizer then turns the graph into integers, and its scales, integer weights and biases
are replaced by those that follow from training, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import (
    Model,
    constant_value,
    is_constant,
    operator_name,
    read_model,
    tensor_shape,
    type_name,
)
from edgeocr_conversion.half_precision import to_half_precision
from edgeocr_conversion.interpreter import plain_interpreter
from edgeocr_conversion.observation import Observation
from edgeocr_conversion.quantization import quantize_within
from edgeocr_conversion.ranges import Range
from edgeocr_conversion.scheme import QuantizationScheme
from edgeocr_training.compression.quantization.affine import (
    CONSTANT_3,
    HIGHEST,
    AffineQuantization,
)
from edgeocr_training.compression.quantization.range_table import RangeTable

MOVES: Final = frozenset(
    {"CONCATENATION", "DEPTH_TO_SPACE", "MAX_POOL_2D", "PAD", "RESHAPE", "SQUEEZE", "TRANSPOSE"}
)
"""Operators whose result has the scale of what they read."""
_RECURRENT: Final = frozenset({"BIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"})
_ROUNDINGS: Final = frozenset({"DEQUANTIZE", "QUANTIZE"})
_LAYERS: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_TOLERANCE: Final = 1e-3
"""Of a tensor's largest magnitude: kernels sum in other orders. Other tensors are off by more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """What the tensors of a TFLite graph are in the ONNX file that it was converted from."""

    names: Mapping[str, str]
    """ONNX tensor of the image and of every operator's result that is not only moved, by TFLite
    name."""
    recurrent: frozenset[str]
    """TFLite tensors that LSTM layers make, up to the one that is in ``names``."""


def quantize_as_trained(model: Path, original: Path, table: RangeTable) -> Model:
    """The INT8 form of a float model with one signature; LSTM layers get weights of float16.

    Args:
        model: float TFLite file that was converted from ``original``.
        original: ONNX file that the table is of.
        table: scales and zero points.

    Raises:
        ConversionError: a tensor of the model has no counterpart in the table or in the ONNX
            file, or the quantizer leaves an operator float.
    """
    tree = read_model(model)
    matching = match_tensors(model, original, table)
    names = matching.names
    quantizations = _quantizations(tree, matching, table)
    ranges = {name: Range(low=q.low, high=q.high) for name, q in quantizations.items()}
    nothing = Observation(histograms={}, covariances={})
    quantized = quantize_within(
        model,
        ranges,
        nothing,
        QuantizationScheme(optimal_rounding=False),
        floats=matching.recurrent,
    )
    _check_integers(quantized, matching.recurrent)
    _put_scales(quantized, quantizations)
    _put_weights(quantized, tree, names, table)
    # LSTM layers alone have float weights, and these were rounded when the table was made.
    return to_half_precision(quantized, exact_only=True) if matching.recurrent else quantized


def match_tensors(model: Path, original: Path, table: RangeTable) -> Matching:
    """Finds every operator's tensor in the ONNX file.

    Raises:
        ConversionError: an operator has no counterpart.
    """
    tree = read_model(model)
    subgraph = tree.subgraphs[0]
    entry = int(subgraph.inputs[0])
    shape_1HW3 = tensor_shape(subgraph.tensors[entry])
    noise_1HW3 = np.random.default_rng(0).uniform(-1, 1, shape_1HW3).astype(np.float32)
    graph = onnx.load(str(original))
    expected = _onnx_tensors(graph, noise_1HW3.transpose(0, 3, 1, 2), list(table.activations))
    ancestors = _ancestors(graph, frozenset(table.activations))

    interpreter = plain_interpreter(model)
    interpreter.allocate_tensors()
    interpreter.set_tensor(int(interpreter.get_input_details()[0]["index"]), noise_1HW3)
    interpreter.invoke()

    image = graph.graph.input[0].name
    sources = {entry: frozenset({image})}
    names = {subgraph.tensors[entry].name.decode(): image}
    inside: set[int] = set()  # What LSTM layers made, until it is known.
    recurrent: set[str] = set()
    for operator in subgraph.operators:
        kind = operator_name(tree, operator)
        result = int(operator.outputs[0])
        made = [int(index) for index in operator.outputs]
        read = frozenset[str]().union(
            *(sources[int(i)] for i in operator.inputs if int(i) in sources)
        )
        stays_float = kind in _RECURRENT or not inside.isdisjoint(map(int, operator.inputs))
        if kind in MOVES and not stays_float:
            sources.update(dict.fromkeys(made, read))
            continue
        name = subgraph.tensors[result].name.decode()
        actual = interpreter.get_tensor(result)
        matches = [
            candidate
            for candidate in expected
            if ancestors.get(candidate) == read and _same(actual, expected[candidate])
        ]
        if stays_float:
            recurrent |= {subgraph.tensors[index].name.decode() for index in made}
            if not matches and kind in _RECURRENT | MOVES:
                inside.update(made)
                sources.update(dict.fromkeys(made, read))
                continue
        # A tensor that is dead on both sides equals others that are: they are made in one order.
        free = [candidate for candidate in matches if candidate not in names.values()]
        if not free:
            raise ConversionError(
                f"{name} ({operator_name(tree, operator)} of {', '.join(sorted(read))}) is no "
                f"tensor that {original.name} has a trained range for: the converter made another "
                "operator of what was trained"
            )
        names[name] = free[0]
        sources[result] = frozenset({free[0]})
    return Matching(names=names, recurrent=frozenset(recurrent))


def _onnx_tensors(
    model: onnx.ModelProto, image_13HW: NDArray[np.float32], names: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    import onnxruntime  # type: ignore[import-untyped]

    made = {name for node in model.graph.node for name in node.output}
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    present = {value.name for value in model.graph.output}
    wanted = [name for name in names if name in made]
    for name in wanted:
        if name not in present:
            extended.graph.output.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            )
    options = onnxruntime.SessionOptions()
    # Layouts and fusions of its own would only change the last bits.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        extended.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    values = session.run(wanted, {model.graph.input[0].name: image_13HW})
    return dict(zip(wanted, values, strict=True))


def _ancestors(model: onnx.ModelProto, named: frozenset[str]) -> dict[str, frozenset[str]]:
    """What each tensor of the table is made of: the nearest other ones on every way to it."""
    constants = {item.name for item in model.graph.initializer}
    made_of: dict[str, frozenset[str]] = {}
    image = model.graph.input[0].name
    nearest = {image: frozenset({image})}
    for node in model.graph.node:
        above = frozenset[str]().union(
            *(nearest[name] for name in node.input if name and name not in constants)
        )
        output = node.output[0]
        if output in named:
            made_of[output] = above
        nearest[output] = frozenset({output}) if output in named else above
    return made_of


def _same(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    """Whether a TFLite tensor has the values of an ONNX map, channels last."""
    if expected.ndim == 4:
        expected = expected.transpose(0, 2, 3, 1)
    if actual.size != expected.size:
        return False
    difference = np.abs(actual.reshape(-1) - expected.reshape(-1)).max()
    return bool(difference <= _TOLERANCE * np.abs(expected).max() + np.finfo(np.float32).tiny)


def _quantizations(
    tree: Model, matching: Matching, table: RangeTable
) -> dict[str, AffineQuantization]:
    """Of every activation of the TFLite model, by its name there; moved ones included."""
    found = {name: table.activations[match] for name, match in matching.names.items()}
    for subgraph in tree.subgraphs:
        for operator in subgraph.operators:
            results = [subgraph.tensors[index].name.decode() for index in operator.outputs]
            if operator_name(tree, operator) not in MOVES or results[0] in matching.recurrent:
                continue
            read = {
                found[name]
                for index in operator.inputs
                if index >= 0 and (name := subgraph.tensors[index].name.decode()) in found
            }
            if len(read) != 1:
                raise ConversionError(
                    f"{results[0]} joins tensors of {len(read)} different scales, which training "
                    "should have made one"
                )
            found.update(dict.fromkeys(results, read.pop()))
    return found


def _check_integers(quantized: Model, recurrent: frozenset[str]) -> None:
    for subgraph in quantized.subgraphs:
        for operator in subgraph.operators:
            result = subgraph.tensors[operator.outputs[0]]
            float_allowed = recurrent and (
                result.name.decode() in recurrent
                or operator_name(quantized, operator) in _ROUNDINGS
            )
            if type_name(result) != "INT8" and not float_allowed:
                raise ConversionError(
                    f"{result.name.decode()} ({operator_name(quantized, operator)}) is "
                    f"{type_name(result)}: the quantizer has no integer form of it"
                )


def _put_scales(quantized: Model, quantizations: Mapping[str, AffineQuantization]) -> None:
    for subgraph in quantized.subgraphs:
        for tensor in subgraph.tensors:
            if is_constant(quantized, tensor) or type_name(tensor) != "INT8":
                continue
            name = tensor.name.decode()
            known = next((quantizations[n] for n in _spellings(name) if n in quantizations), None)
            if known is None:
                raise ConversionError(f"{name} has no trained range: the quantizer added it")
            tensor.quantization.scale = np.array([known.scale], np.float32)
            tensor.quantization.zeroPoint = np.array([known.zero_point], np.int64)


def _spellings(name: str) -> Iterator[str]:
    """A tensor's name, and without what the quantizer puts behind it."""
    yield name
    yield name.removesuffix("_quantized")


def _put_weights(
    quantized: Model, tree: Model, names: Mapping[str, str], table: RangeTable
) -> None:
    """Integer weights and biases of every layer, and the constants of additions."""
    floats = _float_layers(tree)
    constants = {
        tensor.name.decode(): constant_value(tree, tensor)
        for subgraph in tree.subgraphs
        for tensor in subgraph.tensors
    }
    for subgraph in quantized.subgraphs:
        for operator in subgraph.operators:
            kind = operator_name(quantized, operator)
            result = subgraph.tensors[operator.outputs[0]].name.decode()
            if kind in _LAYERS:
                match = names[next(n for n in _spellings(result) if n in names)]
                if match not in table.weights:
                    raise ConversionError(f"the weights of {result} have no trained scales")
                weights, bias = floats[next(n for n in _spellings(result) if n in floats)]
                _put_layer(quantized, subgraph, operator, weights, bias, table.weights[match])
            elif kind in ("ADD", "MUL"):
                for index in operator.inputs:
                    tensor = subgraph.tensors[index]
                    if is_constant(quantized, tensor):
                        _put_constant(quantized, tensor, constants.get(tensor.name.decode()))


def _float_layers(
    tree: Model,
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
    """Weights and bias of every layer, by the name of its result."""
    found = {}
    for subgraph in tree.subgraphs:
        for operator in subgraph.operators:
            if operator_name(tree, operator) not in _LAYERS:
                continue
            values = [
                constant_value(tree, subgraph.tensors[index]) for index in operator.inputs[1:]
            ]
            assert values[0] is not None
            found[subgraph.tensors[operator.outputs[0]].name.decode()] = (
                values[0],
                values[1] if len(values) > 1 else None,
            )
    return found


def _put_layer(
    quantized: Model,
    subgraph: Any,
    operator: Any,
    weights: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    trained: Sequence[float],
) -> None:
    tensor = subgraph.tensors[operator.inputs[1]]
    name = tensor.name.decode()
    depthwise = operator_name(quantized, operator) == "DEPTHWISE_CONV_2D"
    scales = np.array(trained, np.float32)
    if len(scales) != weights.shape[3 if depthwise else 0]:
        raise ConversionError(
            f"{name} has {weights.shape[3 if depthwise else 0]} outputs, trained were {len(scales)}"
        )
    spread = scales if depthwise else scales.reshape(-1, *([1] * (weights.ndim - 1)))
    steps = np.clip(np.rint(weights.astype(np.float64) / spread), -HIGHEST, HIGHEST).astype(np.int8)
    _put_data(quantized, tensor, steps)
    tensor.quantization.scale = scales
    tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    tensor.quantization.quantizedDimension = 3 if depthwise else 0
    if bias is None or len(operator.inputs) < 3 or operator.inputs[2] < 0:
        raise ConversionError(f"the layer of {name} has no bias to hold the trained one")
    source = np.float32(subgraph.tensors[operator.inputs[0]].quantization.scale[0])
    target = subgraph.tensors[operator.inputs[2]]
    exact = np.rint(bias.astype(np.float64) / (scales.astype(np.float64) * float(source)))
    _put_data(quantized, target, np.clip(exact, -(2**31), 2**31 - 1).astype(np.int32))
    target.quantization.scale = source * scales
    target.quantization.zeroPoint = np.zeros(len(scales), np.int64)


def _put_constant(quantized: Model, tensor: Any, original: NDArray[np.float32] | None) -> None:
    """That of relu6(x + 3); every other one went into weights."""
    if original is None or original.size != 1 or float(original.reshape(-1)[0]) != 3:
        raise ConversionError(f"{tensor.name.decode()} is no constant that training knows of")
    steps = np.full(tensor_shape(tensor), HIGHEST, np.int8)
    _put_data(quantized, tensor, steps)
    tensor.quantization.scale = np.array([CONSTANT_3.scale], np.float32)
    tensor.quantization.zeroPoint = np.array([CONSTANT_3.zero_point], np.int64)


def _put_data(quantized: Model, tensor: Any, values: NDArray[Any]) -> None:
    quantized.buffers[tensor.buffer].data = np.frombuffer(
        np.ascontiguousarray(values).tobytes(), np.uint8
    )
