"""What undoes itself behind an LSTM is taken out, and the model computes what it did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeocr_conversion import float_tflite
from edgeocr_conversion.flatbuffer import operator_name, read_model, write_model
from edgeocr_conversion.float_tflite import convert_to_float
from edgeocr_conversion.interpreter import plain_interpreter
from edgeocr_conversion.lstm_directions import keep_directions_together
from edgeocr_conversion.onnx_graph import Graph

STEPS, CHANNELS, HIDDEN, LAYERS = 6, 3, 5, 2


def _model(tmp_path: Path, *, apart: bool) -> Path:
    """LSTM layers in both directions over (1, C, 1, T); with ``apart`` the second direction
    alone goes on to the output.
    """
    rng = np.random.default_rng(0)
    constants: dict[str, NDArray[np.generic]] = {
        "as_steps": np.array([-1, 1, CHANNELS], np.int64),
        "together": np.array([0, 0, 2 * HIDDEN], np.int64),
        "as_line": np.array([1, -1, HIDDEN if apart else 2 * HIDDEN], np.int64),
        "first": np.array(1, np.int64),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["columns"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["columns", "as_steps"], ["0"]),
    ]
    for layer in range(LAYERS):
        inputs = 2 * HIDDEN if layer else CHANNELS
        shapes = {"w": (2, 4 * HIDDEN, inputs), "r": (2, 4 * HIDDEN, HIDDEN), "b": (2, 8 * HIDDEN)}
        for key, shape in shapes.items():
            constants[f"{key}{layer}"] = rng.normal(size=shape).astype(np.float32)
        nodes.append(
            helper.make_node(
                "LSTM",
                [str(layer), *(f"{key}{layer}" for key in shapes)],
                [f"both{layer}"],
                hidden_size=HIDDEN,
                direction="bidirectional",
            )
        )
        if apart and layer == LAYERS - 1:
            nodes.append(helper.make_node("Gather", [f"both{layer}", "first"], ["side"], axis=1))
            nodes.append(helper.make_node("Reshape", ["side", "as_line"], ["y"]))
            break
        nodes += [
            helper.make_node("Transpose", [f"both{layer}"], [f"side{layer}"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", [f"side{layer}", "together"], [str(layer + 1)]),
        ]
    else:
        nodes.append(helper.make_node("Reshape", [str(LAYERS), "as_line"], ["y"]))
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "lstm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, 1, STEPS])],
        [
            helper.make_tensor_value_info(
                "y", TensorProto.FLOAT, [1, STEPS, HIDDEN if apart else 2 * HIDDEN]
            )
        ],
        [numpy_helper.from_array(a, name) for name, a in constants.items() if name in read],
    )
    path = tmp_path / "lstm.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, str(path))
    return path


def _kinds(path: Path) -> list[str]:
    model = read_model(path)
    return [operator_name(model, operator) for operator in model.subgraphs[0].operators]


def _output(path: Path, x_11TC: NDArray[np.float32]) -> NDArray[np.float32]:
    interpreter = plain_interpreter(path, threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x_11TC)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


@pytest.mark.parametrize("apart", [False, True])
def test_only_reshapes_are_left_between_lstms(
    apart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = Graph.load(_model(tmp_path, apart=apart), height=1, width=STEPS)
    monkeypatch.setattr(float_tflite, "keep_directions_together", lambda model: None)
    whole = convert_to_float(graph, tmp_path / "whole.tflite")
    model = read_model(whole)
    keep_directions_together(model)
    kept = tmp_path / "kept.tflite"
    write_model(model, kept)
    x_11TC = np.random.default_rng(1).normal(size=(1, 1, STEPS, CHANNELS)).astype(np.float32)
    np.testing.assert_array_equal(_output(kept, x_11TC), _output(whole, x_11TC))
    assert _kinds(whole).count("SPLIT") == LAYERS
    # One direction alone is still taken apart from the other.
    assert _kinds(kept).count("SPLIT") == int(apart)
    assert _kinds(kept).count("BIDIRECTIONAL_SEQUENCE_LSTM") == LAYERS
    if not apart:
        assert set(_kinds(kept)) == {"BIDIRECTIONAL_SEQUENCE_LSTM", "RESHAPE"}
