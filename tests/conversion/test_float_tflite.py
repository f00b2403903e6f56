"""ONNX graphs through onnx2tf, held against ONNX Runtime."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import helper

from edgeocr.runtime import Network
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import Model, constant_value, serialise_model
from edgeocr_conversion.float_tflite import (
    INSTALL_COMMAND,
    Freedom,
    _free_sizes,
    convert_resizable,
    convert_to_float,
)
from edgeocr_conversion.interpreter import plain_interpreter
from edgeocr_conversion.onnx_graph import Graph

MakeGraph = Callable[..., Graph]
MakeTflite = Callable[..., Model]
RunGraph = Callable[[Graph, NDArray[np.float32]], NDArray[np.float32]]

node = helper.make_node


def _weights(*shape: int) -> NDArray[np.float32]:
    values = np.random.default_rng(1).normal(size=shape)
    return np.asarray(values / np.sqrt(np.prod(shape[1:])), np.float32)


def _run(path: Path, image_BHWC: NDArray[np.float32]) -> NDArray[np.float32]:
    """The output at the image's size, to which the model is resized."""
    interpreter = plain_interpreter(path, threads=1)
    entry = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(entry, image_BHWC.shape, strict=False)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry, image_BHWC)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def _image(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=(1, height, width, 3)).astype(np.float32)


def test_a_detector_like_graph_takes_any_size(
    make_graph: MakeGraph, run_graph: RunGraph, tmp_path: Path
) -> None:
    def graph(height: int, width: int) -> Graph:
        nodes: list[onnx.NodeProto] = [
            node("Conv", ["x", "w", "b"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
            node("Concat", ["a", "a", "a", "a"], ["copies"], axis=1),
            node("DepthToSpace", ["copies"], ["c"], blocksize=2, mode="DCR"),
            node("Sigmoid", ["c"], ["y"]),
        ]
        constants: dict[str, NDArray[Any]] = {"w": _weights(4, 3, 3, 3), "b": _weights(4)}
        return make_graph(nodes, constants, height=height, width=width)

    path = tmp_path / "model.tflite"
    freedom = convert_resizable(graph(8, 16), path, wider=graph(8, 24), taller=graph(16, 16))
    assert freedom == Freedom(height=True, width=True)
    for height, width in ((8, 16), (20, 12)):
        image = _image(height, width)
        image_BCHW = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
        expected = run_graph(graph(height, width), image_BCHW).transpose(0, 2, 3, 1)
        np.testing.assert_allclose(_run(path, image), expected, atol=1e-5)


def test_a_recogniser_like_graph_takes_any_width(
    make_graph: MakeGraph, run_graph: RunGraph, tmp_path: Path
) -> None:
    """Its reshape to time steps holds the width; the height is in the kernel."""

    def graph(width: int) -> Graph:
        nodes = [
            node("Conv", ["x", "w", "b"], ["a"], strides=[8, 4]),
            node("Reshape", ["a", "shape"], ["rows"]),
            node("Transpose", ["rows"], ["y"], perm=[0, 2, 1]),
        ]
        constants: dict[str, NDArray[Any]] = {
            "w": _weights(5, 3, 8, 4),
            "b": _weights(5),
            "shape": np.array([1, 5, width // 4], np.int64),
        }
        return make_graph(nodes, constants, height=8, width=width)

    path = tmp_path / "model.tflite"
    freedom = convert_resizable(graph(32), path, wider=graph(48), taller=None)
    assert freedom == Freedom(height=False, width=True)
    for width in (32, 20):
        image = _image(8, width)
        image_BCHW = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
        np.testing.assert_allclose(
            _run(path, image), run_graph(graph(width), image_BCHW), atol=1e-5
        )


def test_a_constant_of_the_size_of_the_map_holds_it_fast(
    make_graph: MakeGraph, tmp_path: Path
) -> None:
    def graph(width: int) -> Graph:
        nodes = [node("Mul", ["x", "row"], ["a"]), node("Conv", ["a", "w"], ["y"])]
        row = np.linspace(1, 2, width, dtype=np.float32).reshape(1, 1, 1, width)
        return make_graph(nodes, {"w": _weights(4, 3, 1, 1), "row": row}, width=width)

    path = tmp_path / "model.tflite"
    freedom = convert_resizable(graph(16), path, wider=graph(24), taller=None)
    assert freedom == Freedom(height=False, width=False)
    assert _run(path, _image(8, 16)).shape == (1, 8, 16, 4)


def test_a_transpose_that_onnx2tf_drops_is_missed(make_graph: MakeGraph, tmp_path: Path) -> None:
    """Columns first in ONNX, channels first in what onnx2tf writes."""
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Squeeze", ["a", "axis"], ["b"]),
        node("Transpose", ["b"], ["y"], perm=[0, 2, 1]),
    ]
    constants: dict[str, NDArray[Any]] = {"w": _weights(4, 3, 8, 1), "axis": np.array([2])}
    graph = make_graph(nodes, constants, width=16)
    with pytest.raises(ConversionError, match=r"shape \(1, 4, 16\) of one that is \(1, 16, 4\)"):
        convert_to_float(graph, tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []


def test_what_onnx2tf_says_when_it_fails_is_passed_on(
    make_graph: MakeGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken" / "onnx2tf"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('a library is missing')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    graph = make_graph([node("Relu", ["x"], ["y"])], {})
    with pytest.raises(ConversionError, match=r"it said:\n(.|\n)*a library is missing"):
        convert_to_float(graph, tmp_path / "model.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def test_without_onnx2tf_the_command_that_installs_it_is_named(
    make_graph: MakeGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx2tf", None)
    graph = make_graph([node("Relu", ["x"], ["y"])], {})
    with pytest.raises(ConversionError, match="onnx2tf is not installed") as caught:
        convert_to_float(graph, tmp_path / "model.tflite")
    assert INSTALL_COMMAND in str(caught.value)


# Sizes of hand-made models -------------------------------------------------------------------


def _reshaped(make_tflite: MakeTflite, width: int, *shape: int) -> Model:
    target = np.array(shape, np.int32)
    options = schema.ReshapeOptionsT(newShape=target)
    tensors = {"x": (1, 4, width, 3), "shape": target, "y": shape}
    return make_tflite(tensors, [("RESHAPE", ["x", "shape"], "y", options)])


def test_one_size_of_a_reshape_is_freed(make_tflite: MakeTflite) -> None:
    model = _reshaped(make_tflite, 8, 1, 32, 3)
    assert _free_sizes(model, _reshaped(make_tflite, 12, 1, 48, 3))
    subgraph = model.subgraphs[0]
    value = constant_value(model, subgraph.tensors[subgraph.operators[0].inputs[1]])
    np.testing.assert_array_equal(value, [1, -1, 3])
    np.testing.assert_array_equal(subgraph.operators[0].builtinOptions.newShape, [1, -1, 3])
    # The height can be freed on top: it is in the same place.
    assert _free_sizes(model, _reshaped(make_tflite, 8, 1, 64, 3))


def _pooled(make_tflite: MakeTflite, filter_width: int) -> Model:
    options = schema.Pool2DOptionsT(filterHeight=4, filterWidth=filter_width, strideH=4, strideW=1)
    tensors = {"x": (1, 4, filter_width, 3), "y": (1, 1, 1, 3)}
    return make_tflite(tensors, [("AVERAGE_POOL_2D", ["x"], "y", options)])


def _joined(make_tflite: MakeTflite, count: int) -> Model:
    tensors = {"x": (1, 4, 8, 3), "y": (1, 4, 8, 3 * count)}
    options = schema.ConcatenationOptionsT(axis=3)
    return make_tflite(tensors, [("CONCATENATION", ["x"] * count, "y", options)])


def _scaled(make_tflite: MakeTflite, kind: str, factor: float) -> Model:
    tensors = {"x": (1, 4, 8, 3), "c": np.array([factor], np.float32), "y": (1, 4, 8, 3)}
    return make_tflite(tensors, [(kind, ["x", "c"], "y", None)])


def test_any_other_difference_holds_the_size(make_tflite: MakeTflite) -> None:
    pairs = {
        "two sizes of a shape": (
            _reshaped(make_tflite, 8, 1, 4, 8, 3),
            _reshaped(make_tflite, 12, 1, 2, 24, 3),
        ),
        "another number of axes": (
            _reshaped(make_tflite, 8, 1, 32, 3),
            _reshaped(make_tflite, 12, 1, 4, 12, 3),
        ),
        "a pool over the whole map": (_pooled(make_tflite, 8), _pooled(make_tflite, 12)),
        "more inputs": (_joined(make_tflite, 2), _joined(make_tflite, 3)),
        "another constant": (_scaled(make_tflite, "MUL", 2), _scaled(make_tflite, "MUL", 3)),
        "another operator": (_scaled(make_tflite, "MUL", 2), _scaled(make_tflite, "ADD", 2)),
        "more operators": (
            _scaled(make_tflite, "MUL", 2),
            make_tflite({"x": (1, 4, 8, 3), "y": (1, 4, 8, 3)}, []),
        ),
    }
    for why, (model, other) in pairs.items():
        before = serialise_model(model)
        assert not _free_sizes(model, other), why
        assert serialise_model(model) == before, why


def test_an_lstm_begins_every_run_anew(
    make_graph: MakeGraph, run_graph: RunGraph, tmp_path: Path
) -> None:
    """TFLite keeps an LSTM's state from run to run; the SDK's network forgets it."""
    rng = np.random.default_rng(5)
    steps, units = 8, 4
    graph = make_graph(
        [
            node("Squeeze", ["x", "height"], ["columns"]),
            node("Transpose", ["columns"], ["steps"], perm=[2, 0, 1]),
            node(
                "LSTM",
                ["steps", "w", "r", "b"],
                ["states"],
                hidden_size=units,
                direction="bidirectional",
            ),
            node("Transpose", ["states"], ["joined"], perm=[0, 2, 1, 3]),
            node("Reshape", ["joined", "shape"], ["flat"]),
            node("Gemm", ["flat", "head"], ["y"]),
        ],
        {
            "height": np.array([2]),
            "w": rng.normal(size=(2, 4 * units, 3)).astype(np.float32),
            "r": rng.normal(size=(2, 4 * units, units)).astype(np.float32),
            "b": rng.normal(size=(2, 8 * units)).astype(np.float32),
            "shape": np.array([steps, 2 * units]),
            "head": rng.normal(size=(2 * units, 3)).astype(np.float32),
        },
        height=1,
        width=steps,
    )
    path = convert_to_float(graph, tmp_path / "lstm.tflite")
    network = Network(path, source="lstm", threads=1, live_signatures=1)
    for seed in (1, 2, 1):
        image = np.random.default_rng(seed).normal(size=(1, 1, steps, 3)).astype(np.float32)
        expected = run_graph(graph, np.ascontiguousarray(image.transpose(0, 3, 1, 2)))
        actual = network.run("serving_default", image)
        # Two implementations of exp and tanh in float32.
        np.testing.assert_allclose(actual, expected, atol=1e-4)
