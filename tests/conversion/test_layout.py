"""Islands in channels-first order are taken back, and the model computes what it did."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeocr_conversion.flatbuffer import Model, operator_name, serialise_model
from edgeocr_conversion.interpreter import plain_interpreter
from edgeocr_conversion.layout import restore_channels_last

MakeTflite = Callable[..., Model]
Operators = list[tuple[str, list[str], str, Any]]

LAST, FIRST = (1, 4, 5, 3), (1, 3, 4, 5)
FLAT_LAST, FLAT_FIRST = (1, 1, 1, 3), (1, 3, 1, 1)


def _run(model: Model, image: NDArray[np.float32]) -> NDArray[np.float32]:
    interpreter = plain_interpreter(serialise_model(model), threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def _restored(model: Model) -> list[str]:
    """Kinds of the operators that are left, once the outputs are found to be the same."""
    image = np.random.default_rng(0).normal(size=LAST).astype(np.float32)
    expected = _run(model, image)
    restored = copy.deepcopy(model)
    restore_channels_last(restored)
    actual = _run(restored, image)
    assert actual.shape == expected.shape
    # Nothing but the order of a mean's sum changes.
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    return [operator_name(restored, operator) for operator in restored.subgraphs[0].operators]


def _island(*inside: tuple[str, list[str], str, Any], before: Operators | None = None) -> Operators:
    """Operators on the channels-first "a", that end in the channels-first "z"."""
    entry = "c" if before else "x"
    return [
        *(before or []),
        ("TRANSPOSE", [entry, "to_first"], "a", None),
        *inside,
        ("TRANSPOSE", ["z", "to_last"], "y", None),
    ]


def _tensors(**others: Any) -> dict[str, Any]:
    return {
        "x": LAST,
        "to_first": np.array([0, 3, 1, 2], np.int32),
        "to_last": np.array([0, 2, 3, 1], np.int32),
        "a": FIRST,
        "z": FIRST,
        "y": LAST,
        **others,
    }


def _convolution() -> tuple[dict[str, Any], Operators]:
    weights = np.random.default_rng(1).normal(size=(3, 1, 1, 3)).astype(np.float32)
    options = schema.Conv2DOptionsT(strideH=1, strideW=1)
    tensors = {"w": weights, "b": np.ones(3, np.float32), "c": LAST}
    return tensors, [("CONV_2D", ["x", "w", "b"], "c", options)]


def test_pointwise_operators_don_t_need_another_order(make_tflite: MakeTflite) -> None:
    two = np.array([2], np.float32)
    operators = _island(
        ("LOGISTIC", ["a"], "b", None), ("MUL", ["b", "two"], "z", schema.MulOptionsT())
    )
    model = make_tflite(_tensors(two=two, b=FIRST), operators)
    assert _restored(model) == ["LOGISTIC", "MUL"]


def test_a_relu_that_was_cut_off_joins_its_convolution(make_tflite: MakeTflite) -> None:
    tensors, convolution = _convolution()
    model = make_tflite(
        _tensors(**tensors), _island(("RELU", ["a"], "z", None), before=convolution)
    )
    assert _restored(model) == ["CONV_2D"]


def test_a_relu_stays_where_another_reads_the_convolution(make_tflite: MakeTflite) -> None:
    tensors, convolution = _convolution()
    operators = _island(("RELU", ["a"], "z", None), before=convolution)
    operators[-1] = ("TRANSPOSE", ["z", "to_last"], "d", None)
    operators.append(("ADD", ["c", "d"], "y", schema.AddOptionsT()))
    model = make_tflite(_tensors(**tensors, d=LAST), operators)
    assert _restored(model) == ["CONV_2D", "RELU", "ADD"]


def test_a_squeeze_excite_block_comes_back_whole(make_tflite: MakeTflite) -> None:
    """Mean, flip, convolution, flip back, gate: as onnx2tf leaves it behind a ReLU."""
    tensors, convolution = _convolution()
    flips = {"last": np.array(FLAT_LAST, np.int32), "first": np.array(FLAT_FIRST, np.int32)}
    inside: Operators = [
        ("RELU", ["a"], "r", None),
        ("MEAN", ["r", "axes"], "m", schema.ReducerOptionsT(keepDims=True)),
        ("RESHAPE", ["m", "last"], "ml", schema.ReshapeOptionsT(newShape=flips["last"])),
        ("CONV_2D", ["ml", "w", "b"], "s", schema.Conv2DOptionsT(strideH=1, strideW=1)),
        ("RESHAPE", ["s", "first"], "sf", schema.ReshapeOptionsT(newShape=flips["first"])),
        ("LOGISTIC", ["sf"], "g", None),
        ("MUL", ["r", "g"], "z", schema.MulOptionsT()),
    ]
    others = {
        "r": FIRST,
        "axes": np.array([2, 3], np.int32),
        "m": FLAT_FIRST,
        "ml": FLAT_LAST,
        "s": FLAT_LAST,
        "sf": FLAT_FIRST,
        "g": FLAT_FIRST,
    }
    model = make_tflite(
        _tensors(**tensors, **flips, **others), _island(*inside, before=convolution)
    )
    kinds = _restored(model)
    assert "TRANSPOSE" not in kinds
    assert "RELU" not in kinds


@pytest.mark.parametrize(
    ("inside", "others"),
    [
        ([("SOFTMAX", ["a"], "z", schema.SoftmaxOptionsT(beta=1.0))], {}),
        (
            [("MUL", ["a", "row"], "z", schema.MulOptionsT())],
            {"row": np.linspace(1, 2, 5, dtype=np.float32)},
        ),
    ],
    ids=["softmax", "row"],
)
def test_what_depends_on_the_order_keeps_it(
    make_tflite: MakeTflite, inside: Operators, others: dict[str, Any]
) -> None:
    """A softmax over the columns; a factor for each column."""
    model = make_tflite(_tensors(**others), _island(*inside))
    assert _restored(model) == ["TRANSPOSE", inside[0][0], "TRANSPOSE"]
