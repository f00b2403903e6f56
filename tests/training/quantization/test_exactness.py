"""Parity: the INT8 TFLite that the converter writes, and the integers that training promises.

Tiny forms of the three networks that the product carries, through onnx2tf and the quantizer, on
XNNPACK: no tolerance anywhere, and nothing that could skip these tests.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeocr_conversion.delegation import SignatureReport, delegation_report
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import (
    Model,
    operator_name,
    serialise_model,
    type_name,
    write_model,
)
from edgeocr_conversion.float_tflite import convert_to_float
from edgeocr_conversion.interpreter import plain_interpreter
from edgeocr_conversion.onnx_graph import Graph
from edgeocr_conversion.rewrites import rewrite_for_xnnpack
from edgeocr_conversion.trained_ranges import MOVES, match_tensors, quantize_as_trained
from edgeocr_training.compression.quantization.device_graph import DeviceGraph, Recurrence
from edgeocr_training.compression.quantization.export import export_prepared, table_path
from edgeocr_training.compression.quantization.integer_network import run_integers
from edgeocr_training.compression.quantization.lowering import convert
from edgeocr_training.compression.quantization.range_table import RangeTable

from .conftest import SIZES, Student, images

KINDS = ("det", "fine_det", "rec", "crnn", "cls")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Converted:
    """One network on both sides."""

    student: Student
    graph: DeviceGraph
    original: Path
    """ONNX."""
    floats: Path
    """TFLite."""
    integers: Model
    names: dict[str, str]
    """TFLite tensor to ONNX tensor."""
    report: SignatureReport

    @property
    def table(self) -> RangeTable:
        return RangeTable.from_json(table_path(self.original).read_bytes())


_CONVERTED: dict[str, Converted] = {}


@pytest.fixture(params=KINDS)
def converted(
    request: pytest.FixtureRequest,
    prepared_student: Callable[..., Student],
    tmp_path_factory: pytest.TempPathFactory,
) -> Converted:
    kind = request.param
    if kind not in _CONVERTED:
        folder = tmp_path_factory.mktemp(kind)
        student = prepared_student(kind)
        original = folder / "model.onnx"
        export_prepared(student, original)
        height, width = SIZES[kind]
        graph = Graph.load(original, height=height, width=width)
        rewrite_for_xnnpack(graph)
        floats = convert_to_float(graph, folder / "float.tflite")
        table = RangeTable.from_json(table_path(original).read_bytes())
        integers = quantize_as_trained(floats, original, table)
        write_model(integers, folder / "integers.tflite")
        (report,) = delegation_report(folder / "integers.tflite").signatures
        _CONVERTED[kind] = Converted(
            student=student,
            graph=convert(student),
            original=original,
            floats=floats,
            integers=integers,
            names=dict(match_tensors(floats, original, table).names),
            report=report,
        )
    return _CONVERTED[kind]


def _last(values: NDArray[Any]) -> NDArray[Any]:
    return values.transpose(0, 2, 3, 1) if values.ndim == 4 else values


def _kind_of(converted: Converted) -> str:
    return next(kind for kind, other in _CONVERTED.items() if other is converted)


def test_end_to_end_every_integer_is_the_same(converted: Converted) -> None:
    interpreter = Interpreter(model_content=serialise_model(converted.integers), num_threads=1)
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    shown = images(_kind_of(converted), 4, seed=70)
    for index in range(4):
        image = converted.student.normalise(shown[index : index + 1]).numpy()
        expected = run_integers(converted.graph, image)
        interpreter.reset_all_variables()  # an LSTM goes on where the last line ended
        interpreter.set_tensor(entry["index"], _last(expected["x"]))
        interpreter.invoke()
        actual = interpreter.get_tensor(result["index"])
        wanted = _last(expected[converted.graph.output.name])
        if _kind_of(converted) != "crnn":
            np.testing.assert_array_equal(actual, wanted)
            continue
        # LSTM layers are float, and summed in another order: a value between two integers may
        # become the other one, and a layer behind it pass that on.
        assert np.abs(actual.astype(int) - wanted.astype(int)).max() <= 2
        assert (actual == wanted).mean() >= 0.99


def test_xnnpack_takes_all_of_it_in_one_piece(converted: Converted) -> None:
    report = converted.report
    assert report.transposes == 0
    if _kind_of(converted) == "crnn":
        # All but the LSTM layers, which part it in two.
        assert report.partitions <= 3
        lstms = {"BIDIRECTIONAL_SEQUENCE_LSTM", "RESHAPE"}
        assert set(report.float_operators) <= lstms, report.float_operators
        restored = [operator for operator in report.outside if operator.kind == "DEQUANTIZE"]
        # Both directions of two layers have four matrices for the input and four for the state.
        assert sum(len(operator.output_shape) == 2 for operator in restored) == 2 * 2 * 8
        assert {operator.types for operator in restored} == {("FLOAT16",)}
        assert {operator.reason for operator in restored} == {
            "restores weights once, when the model is loaded"
        }
        return
    assert report.partitions == 1
    assert report.delegated == sum(report.operators.values())
    assert not report.float_operators


def test_every_scale_in_the_file_is_the_trained_one(converted: Converted) -> None:
    table, subgraph = converted.table, converted.integers.subgraphs[0]
    trained = {name: table.activations[match] for name, match in converted.names.items()}
    compared = 0
    for operator in subgraph.operators:
        tensor = subgraph.tensors[operator.outputs[0]]
        kind = operator_name(converted.integers, operator)
        if kind.endswith("LSTM") or kind in ("DEQUANTIZE", "QUANTIZE"):
            continue
        if kind in MOVES:
            if type_name(tensor) == "FLOAT32":
                continue
            source = subgraph.tensors[operator.inputs[0]]
            assert tensor.quantization.scale[0] == source.quantization.scale[0]
            assert tensor.quantization.zeroPoint[0] == source.quantization.zeroPoint[0]
            continue
        expected = trained[tensor.name.decode()]
        assert float(tensor.quantization.scale[0]) == expected.scale
        assert int(tensor.quantization.zeroPoint[0]) == expected.zero_point
        compared += 1
    # All that the table has, but for the image, and for what LSTM layers give: see below.
    recurrences = [o for o in converted.graph.operations if isinstance(o, Recurrence)]
    assert compared == len(table.activations) - 1 - len(recurrences)
    for recurrence in recurrences:
        rounded = next(
            subgraph.tensors[operator.outputs[0]]
            for operator in subgraph.operators
            if operator_name(converted.integers, operator) == "QUANTIZE"
        )
        assert float(rounded.quantization.scale[0]) == recurrence.quantization.scale
        assert int(rounded.quantization.zeroPoint[0]) == recurrence.quantization.zero_point
    layers = 0
    for operator in subgraph.operators:
        if operator_name(converted.integers, operator) in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            match = converted.names[subgraph.tensors[operator.outputs[0]].name.decode()]
            weights = subgraph.tensors[operator.inputs[1]]
            assert tuple(map(float, weights.quantization.scale)) == table.weights[match]
            layers += 1
    assert layers == len(table.weights)


def test_every_operator_is_matched_by_its_values(converted: Converted) -> None:
    """Onto different tensors, each of which has another kernel's values within its tolerance."""
    assert len(set(converted.names.values())) == len(converted.names)
    assert set(converted.names.values()) == set(converted.table.activations)


def test_a_range_that_is_missing_is_named(converted: Converted) -> None:
    table = converted.table
    activations = dict(table.activations)
    lost = next(name for name in list(activations)[2:] if name in table.weights)
    del activations[lost]
    with pytest.raises(ConversionError, match=r"is no tensor that model\.onnx has a trained range"):
        match_tensors(
            converted.floats,
            converted.original,
            RangeTable(activations=activations, weights=table.weights),
        )


def test_weights_that_were_not_trained_are_named(converted: Converted) -> None:
    table = converted.table
    lost = next(iter(table.weights))
    weights = {name: scales for name, scales in table.weights.items() if name != lost}
    with pytest.raises(ConversionError, match=r"the weights of .* have no trained scales"):
        quantize_as_trained(
            converted.floats,
            converted.original,
            RangeTable(activations=table.activations, weights=weights),
        )


def test_without_xnnpack_it_reads_the_same(converted: Converted) -> None:
    """TFLite's own kernels round otherwise in places; the result is the same to a few steps."""
    interpreter = plain_interpreter(serialise_model(converted.integers))
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    shown = images(_kind_of(converted), 1, seed=70)
    image = converted.student.normalise(shown).numpy()
    expected = run_integers(copy.copy(converted.graph), image)
    interpreter.set_tensor(entry["index"], _last(expected["x"]))
    interpreter.invoke()
    difference = interpreter.get_tensor(result["index"]).astype(int) - _last(
        expected[converted.graph.output.name]
    ).astype(int)
    assert np.abs(difference).mean() < 6
