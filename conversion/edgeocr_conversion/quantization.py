"""Float TFLite to INT8 TFLite: ranges and integer weights chosen here, written in by
ai-edge-quantizer.

1. The float model runs on calibration data (:mod:`.observation`).
2. Activation ranges minimise the error of what they are read for (:mod:`.ranges`), weights are
   rounded for the layer's output (:mod:`.weight_rounding`).
3. ai-edge-quantizer turns the graph into integers with these ranges injected.
4. Its plainly rounded weights and the biases are replaced by ours, and depth-to-space, which
   it doesn't know, is moved from floats to integers: it only moves values.
5. Scales are raised by a trifle where processors would round differently
   (:mod:`.portable_rounding`).
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgeocr_conversion.constant_additions import round_constants, share_steps
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import (
    Model,
    constant_value,
    operator_name,
    parse_model,
    read_model,
    type_name,
)
from edgeocr_conversion.mixed_precision import token_operators
from edgeocr_conversion.observation import Observation
from edgeocr_conversion.portable_rounding import round_alike
from edgeocr_conversion.ranges import Range, choose_ranges
from edgeocr_conversion.scheme import QuantizationScheme
from edgeocr_conversion.weight_rounding import LAYERS, RoundedWeights, round_weights

MOVES: Final = ("DEPTH_TO_SPACE",)
"""Operators that move values without changing them, and that the quantizer leaves float."""


def quantize(model: Path, observation: Observation, scheme: QuantizationScheme) -> Model:
    """The INT8 form of a float model with one signature.

    Raises:
        ConversionError: ai-edge-quantizer refuses the model.
    """
    ranges = activation_ranges(read_model(model), observation, scheme)
    quantized = quantize_within(model, ranges, observation, scheme)
    round_alike(quantized)
    return quantized


def activation_ranges(
    tree: Model, observation: Observation, scheme: QuantizationScheme
) -> dict[str, Range]:
    """What the integers of every observed activation cover, by tensor name."""
    ranges = choose_ranges(tree, observation.histograms, method=scheme.ranges)
    if scheme.shared_steps:
        ranges = share_steps(tree, ranges)
    for subgraph in tree.subgraphs:
        for operator in subgraph.operators:
            if operator_name(tree, operator) in MOVES:
                source, target = (
                    subgraph.tensors[index].name.decode()
                    for index in (operator.inputs[0], operator.outputs[0])
                )
                if source in ranges:
                    ranges[target] = ranges[source]
    return ranges


def quantize_within(
    model: Path,
    ranges: Mapping[str, Range],
    observation: Observation,
    scheme: QuantizationScheme,
    *,
    floats: frozenset[str] | None = None,
) -> Model:
    """The INT8 form of a float model, with ranges that are known already.

    Args:
        model: TFLite file in floats.
        ranges: of its activations, by name.
        observation: what the rounding of weights rests on.
        scheme: how it becomes integers.
        floats: operators that stay float, by the name of their output tensor; None for those of
            the token part (:mod:`.mixed_precision`).

    Raises:
        ConversionError: ai-edge-quantizer refuses the model.
    """
    tree = read_model(model)
    quantized = _quantize_graph(model, tree, ranges, scheme, floats)
    if scheme.optimal_rounding:
        integers = _integer_weights(quantized)
        covariances = {
            name: value for name, value in observation.covariances.items() if name in integers
        }
        _replace_weights(quantized, tree, round_weights(tree, covariances, ranges))
    if scheme.shared_steps:
        round_constants(quantized, tree)
    _move_integers(quantized)
    return quantized


def _integer_weights(quantized: Model) -> frozenset[str]:
    return frozenset(
        tensor.name.decode()
        for subgraph in quantized.subgraphs
        for operator in subgraph.operators
        if operator_name(quantized, operator) in LAYERS
        for tensor in (subgraph.tensors[operator.inputs[1]],)
        if type_name(tensor) == "INT8"
    )


def _quantize_graph(
    model: Path,
    tree: Model,
    ranges: Mapping[str, Range],
    scheme: QuantizationScheme,
    floats: frozenset[str] | None,
) -> Model:
    # Heavy, and noisy at import.
    from ai_edge_quantizer import (  # type: ignore[import-untyped]
        qtyping,
        quantizer,
        recipe_manager,
    )

    # The input counts as an operator of its own, which turns pixels into integers.
    outputs = [
        subgraph.tensors[index].name.decode()
        for subgraph in tree.subgraphs
        for index in (*subgraph.inputs, *(operator.outputs[0] for operator in subgraph.operators))
    ]
    recipe = recipe_manager.RecipeManager()
    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    products = frozenset[str]()
    if floats is None:
        floats, products = token_operators(tree)
        products -= scheme.float_operators
    spared = floats | products | scheme.float_operators | _first_layers(tree, scheme.float_layers)
    integers = [name for name in outputs if name not in spared]
    for pattern in _patterns(integers):
        recipe.add_static_config(
            regex=pattern,
            operation_name=everything,
            activation_num_bits=8,
            weight_num_bits=8,
        )
    for pattern in _patterns(sorted(products)):
        recipe.add_dynamic_config(regex=pattern, operation_name=everything, num_bits=8)
    statistics = {
        name: {
            "min": np.full((1,) * 4, chosen.low, dtype=np.float32),
            "max": np.full((1,) * 4, chosen.high, dtype=np.float32),
        }
        for name, chosen in ranges.items()
    }
    # It shows progress bars, prints sizes and warns of the memory that it takes; the converter
    # has its own report.
    with (
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            quantized = quantizer.Quantizer(str(model), recipe.get_quantization_recipe()).quantize(
                statistics
            )
        except (RuntimeError, ValueError) as error:
            raise ConversionError(f"{model.name} can't be quantized: {error}") from error
    if quantized.quantized_model is None:
        raise ConversionError(f"{model.name}: the quantizer returned no model")
    return parse_model(bytes(quantized.quantized_model))


def _first_layers(tree: Model, layers: int) -> frozenset[str]:
    """Everything before the layer after the first ``layers``, by output tensor."""
    names: list[str] = []
    seen = 0
    subgraph = tree.subgraphs[0]
    for operator in subgraph.operators:
        seen += operator_name(tree, operator) in LAYERS
        if seen > layers:
            break
        names.append(subgraph.tensors[operator.outputs[0]].name.decode())
    return frozenset(names) if layers else frozenset()


def _patterns(names: Sequence[str], size: int = 50) -> list[str]:
    """Regular expressions that match the operators with these outputs and no others."""
    return [
        "^(" + "|".join(re.escape(name) for name in names[start : start + size]) + ");?$"
        for start in range(0, len(names), size)
    ]


def _replace_weights(quantized: Model, tree: Model, weights: Mapping[str, RoundedWeights]) -> None:
    """Puts integer weights, their scales and the biases that follow from them in."""
    biases = _float_biases(tree)
    for subgraph in quantized.subgraphs:
        for operator in subgraph.operators:
            if operator_name(quantized, operator) not in LAYERS:
                continue
            tensor = subgraph.tensors[operator.inputs[1]]
            name = tensor.name.decode()
            if name not in weights or tensor.quantization is None:
                continue
            if type_name(tensor) != "INT8":
                continue
            chosen = weights[name]
            quantized.buffers[tensor.buffer].data = np.frombuffer(chosen.values.tobytes(), np.uint8)
            tensor.quantization.scale = chosen.scales
            source = subgraph.tensors[operator.inputs[0]].quantization
            if len(operator.inputs) < 3 or operator.inputs[2] < 0:
                continue
            bias = subgraph.tensors[operator.inputs[2]]
            value = constant_value(quantized, bias)
            if value is None or value.dtype != np.int32 or name not in biases:
                continue  # dynamic layers keep a float bias
            scales = chosen.scales.astype(np.float64) * float(source.scale[0])
            steps = np.clip(np.round(biases[name] / scales), -(2**31), 2**31 - 1)
            quantized.buffers[bias.buffer].data = np.frombuffer(
                steps.astype(np.int32).tobytes(), np.uint8
            )
            bias.quantization.scale = scales.astype(np.float32)


def _float_biases(tree: Model) -> dict[str, NDArray[np.float64]]:
    """Float biases by the name of the layer's weight tensor."""
    biases = {}
    for subgraph in tree.subgraphs:
        for operator in subgraph.operators:
            if operator_name(tree, operator) not in LAYERS or len(operator.inputs) < 3:
                continue
            _, weights, bias = operator.inputs[:3]
            value = constant_value(tree, subgraph.tensors[bias]) if bias >= 0 else None
            if value is not None:
                biases[subgraph.tensors[weights].name.decode()] = value.astype(np.float64)
    return biases


def _move_integers(quantized: Model) -> None:
    """DEQUANTIZE, a move, QUANTIZE becomes the move alone."""
    for subgraph in quantized.subgraphs:
        producers = {int(o.outputs[0]): o for o in subgraph.operators}
        for operator in list(subgraph.operators):
            if operator_name(quantized, operator) not in MOVES:
                continue
            before = producers.get(int(operator.inputs[0]))
            readers = [o for o in subgraph.operators if operator.outputs[0] in o.inputs]
            if before is None or operator_name(quantized, before) != "DEQUANTIZE":
                continue
            if not readers or any(operator_name(quantized, o) != "QUANTIZE" for o in readers):
                continue
            source = subgraph.tensors[before.inputs[0]]
            target = subgraph.tensors[operator.outputs[0]]
            target.type, target.quantization = source.type, source.quantization
            operator.inputs = before.inputs
            for reader in readers:
                result = int(reader.outputs[0])
                wanted = subgraph.tensors[result].quantization
                same = (
                    wanted.scale[0] == source.quantization.scale[0]
                    and wanted.zeroPoint[0] == source.quantization.zeroPoint[0]
                )
                last = not any(result in other.inputs for other in subgraph.operators)
                if not same and not last:
                    continue  # it stays, as a requantization of integers
                _read_instead(quantized, subgraph, result, int(operator.outputs[0]))
                subgraph.operators = [o for o in subgraph.operators if o is not reader]
        read = {int(index) for o in subgraph.operators for index in o.inputs}
        read |= {int(index) for index in subgraph.outputs}
        subgraph.operators = [
            o
            for o in subgraph.operators
            if operator_name(quantized, o) != "DEQUANTIZE" or int(o.outputs[0]) in read
        ]


def _read_instead(model: Model, subgraph: Any, old: int, new: int) -> None:
    """Whatever reads one tensor, or gives it back as the result, takes another."""
    for operator in subgraph.operators:
        operator.inputs = np.where(operator.inputs == old, new, operator.inputs).astype(np.int32)
    subgraph.outputs = np.where(subgraph.outputs == old, new, subgraph.outputs).astype(np.int32)
    for signature in model.signatureDefs:
        for entry in signature.outputs:
            if entry.tensorIndex == old:
                entry.tensorIndex = new
