"""Parity: the simulation that is trained, and the integers that it promises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from torch import Tensor

from edgeocr_training.compression.quantization.activation_quantizer import (
    QuantizationConfig,
    quantizers,
)
from edgeocr_training.compression.quantization.device_graph import (
    Add,
    Convolution,
    Move,
    Multiply,
    OpenGate,
    Operation,
    Recurrence,
)
from edgeocr_training.compression.quantization.integer_arithmetic import dequantize
from edgeocr_training.compression.quantization.integer_network import (
    integer_student,
    run_integers,
)
from edgeocr_training.compression.quantization.layers import (
    QuantizedLayer,
    QuantizedRecurrence,
    QuantizedWeights,
    set_mode,
)
from edgeocr_training.compression.quantization.lowering import convert
from edgeocr_training.compression.quantization.onnx_writing import onnx_model
from edgeocr_training.compression.quantization.preparation import prepare
from edgeocr_training.compression.quantization.range_table import RangeTable
from edgeocr_training.errors import QuantizationError

from .conftest import SIZES, MakeStudent, Student, images, output_of

MakePrepared = Callable[..., Student]


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("form", ["asymmetric", "symmetric"])
def test_each_layer_is_its_integers_to_one_step(
    kind: str, form: str, prepared_student: MakePrepared
) -> None:
    """Every layer gets the integers' own input, so that no difference adds up.

    Where both differ, float32 sums decided a tie the other way: by one step, and rarely. A
    hard-swish has three operators, whose ties add up.
    """
    config = QuantizationConfig(form=form)  # type: ignore[arg-type]
    student = prepared_student(kind, config)
    graph = convert(student)
    image = student.normalise(images(kind, 1, seed=50))
    tensors = run_integers(graph, image.numpy())
    reals = {o.name: dequantize(tensors[o.name], o.quantization) for o in graph.operations}
    factors = {o.name: _factor(o.name, graph.operations) for o in graph.operations}
    layers = {m.name: m for m in student.modules() if isinstance(m, QuantizedLayer)}
    compared = 0
    for operation in graph.operations[:-1]:
        if isinstance(operation, Move) or operation.name not in layers or not operation.sources:
            continue
        layer = layers[operation.name]
        made = {o.name: o for o in graph.operations}
        first = operation
        while first.name.startswith(operation.name) and any(
            source.startswith(f"{operation.name}.") for source in first.sources
        ):
            first = made[next(s for s in first.sources if s.startswith(f"{operation.name}."))]
        arguments = [
            torch.from_numpy(reals[name] / np.float32(factors[name])) for name in first.sources
        ]
        linear = isinstance(layer, QuantizedWeights) and isinstance(layer.layer, torch.nn.Linear)
        with torch.no_grad():
            simulated = (_of_steps(layer, *arguments) if linear else layer(*arguments)).numpy()
        if isinstance(layer, QuantizedRecurrence):
            simulated = simulated.transpose(0, 2, 1)[:, :, None]
        step = operation.quantization.scale / factors[operation.name]
        difference = np.abs(simulated - reals[operation.name] / factors[operation.name]) / step
        allowed = 2 if isinstance(operation, Multiply) and ".gate" in str(operation.sources) else 1
        assert difference.max() <= allowed + 1e-2, operation.name
        # A device has an LSTM's matrices as float16, which training does not simulate.
        rare = 0.05 if isinstance(layer, QuantizedRecurrence) else 0.01
        assert (difference > 0.5).mean() < rare, operation.name
        compared += 1
    assert compared > 10


def _of_steps(layer: QuantizedLayer, map_BC1T: Tensor) -> Tensor:
    """What a linear layer makes of a sequence, as the map that it is in a device graph."""
    result_BTC: Tensor = layer(map_BC1T[:, :, 0].transpose(1, 2))
    return result_BTC.transpose(1, 2)[:, :, None]


def _factor(name: str, operations: tuple[Operation, ...]) -> float:
    """How many times a layer's value its tensor is; see :mod:`.lowering`."""
    made = {o.name: o for o in operations}

    def factor(tensor: str) -> float:
        operation = made[tensor]
        match operation:
            case OpenGate():
                return 6.0
            case Recurrence():
                return 1.0
            case Multiply():
                return factor(operation.sources[0]) * factor(operation.sources[1])
            case Convolution():
                adders = [o for o in made.values() if isinstance(o, Add) and tensor in o.sources]
                others = [s for o in adders for s in o.sources if s != tensor]
                ahead = [s for s in others if list(made).index(s) < list(made).index(tensor)]
                return factor(ahead[0]) if ahead else 1.0
            case _ if operation.sources:
                return factor(operation.sources[0])
        return 1.0

    return factor(name)


@pytest.mark.parametrize("kind", ["det", "pp_det", "fine_det", "rec"])
def test_the_whole_is_near(kind: str, prepared_student: MakePrepared) -> None:
    """Ties that float32 decides otherwise spread; nearly all of an output is equal all the same."""
    student = prepared_student(kind)
    graph = convert(student)
    image = student.normalise(images(kind, 1, seed=50))
    with torch.no_grad():
        simulated = output_of(student, image).numpy()
    output = graph.output
    integers = dequantize(run_integers(graph, image.numpy())[output.name], output.quantization)
    assert integers.shape == simulated.shape
    assert (np.abs(integers - simulated) < 0.5 * output.quantization.scale).mean() > 0.9


@pytest.mark.parametrize("kind", SIZES)
def test_a_student_in_integers_is_measured_like_any_other(
    kind: str, prepared_student: MakePrepared
) -> None:
    student = prepared_student(kind)
    integers = integer_student(student)
    image = student.normalise(images(kind, 2, seed=50))
    graph = convert(student)
    together = output_of(integers, image)
    for index in range(2):
        alone = run_integers(graph, image[index : index + 1].numpy())[graph.output.name]
        expected = dequantize(alone, graph.output.quantization)
        np.testing.assert_array_equal(together[index].numpy(), expected[0])


@pytest.mark.parametrize("kind", SIZES)
def test_the_float_onnx_is_the_network_without_rounding(
    kind: str, prepared_student: MakePrepared
) -> None:
    """A hard-swish is six times its value there, and the weights that read it a sixth."""
    student = prepared_student(kind)
    graph = convert(student)
    session = onnxruntime.InferenceSession(
        onnx_model(graph).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    image = student.normalise(images(kind, 1, seed=50))
    (actual,) = session.run([graph.output_name], {"x": image.numpy()})
    set_mode(student, "float")
    with torch.no_grad():
        expected = output_of(student, image).numpy()
    # Sums in another order.
    assert np.abs(actual - expected).max() <= 1e-4 * max(1.0, float(np.abs(expected).max()))


def test_a_table_of_ranges_comes_back_exactly(prepared_student: MakePrepared) -> None:
    table = RangeTable.of(convert(prepared_student("rec")))
    assert RangeTable.from_json(table.to_json()) == table


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", "no table of ranges"),
        ("no JSON", "no table of ranges"),
        ('{"schema": 9}', "schema 9; this edgeocr reads 1"),
        (
            '{"schema": 1, "weights": {}, "activations": {"x": {"scale": 0, "zero_point": 0}}}',
            "the range of x is none",
        ),
        ('{"schema": 1, "activations": {}, "weights": {"y": [0.1, 0.0]}}', "the weights of y"),
    ],
)
def test_a_table_that_is_none(text: str, fault: str) -> None:
    with pytest.raises(QuantizationError, match=fault):
        RangeTable.from_json(text)


def test_a_network_that_was_not_prepared(float_student: MakeStudent) -> None:
    with pytest.raises(QuantizationError, match="this Detector is not prepared: train it by"):
        convert(float_student("det"))


def test_a_range_that_is_missing_is_named(float_student: MakeStudent) -> None:
    student = prepare(float_student("det"), QuantizationConfig())
    with pytest.raises(QuantizationError, match=r"^backbone\.stem\.conv\.output has no range"):
        convert(student)


def test_a_dead_branch_gets_the_smallest_scale_that_can_be_added(
    prepared_student: MakePrepared,
) -> None:
    student = prepared_student("det")
    name, quantizer = next(
        (name, q) for name, q in quantizers(student) if name.endswith("project.conv.output")
    )
    quantizer.set_range(0.0, 0.0)
    graph = convert(student)
    dead = name.removesuffix(".output").replace("probability_branch.", "")
    operation = next(o for o in graph.operations if o.name == dead)
    adder = next(o for o in graph.operations if isinstance(o, Add) and dead in o.sources)
    assert 2.0**-10 <= operation.quantization.scale / adder.quantization.scale < 2.0**-9


def test_a_range_out_of_all_proportion_is_named(prepared_student: MakePrepared) -> None:
    student = prepared_student("det")
    quantizer = next(q for name, q in quantizers(student) if name.endswith("add.output"))
    quantizer.set_range(-1e-9, 1e-9)
    with pytest.raises(QuantizationError, match=r"^backbone\.add: a ratio of scales is "):
        convert(student)
