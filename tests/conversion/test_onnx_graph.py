from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.onnx_graph import OPSET, Graph, attribute

MakeGraph = Callable[..., Graph]
RunGraph = Callable[[Graph, NDArray[np.float32]], NDArray[np.float32]]

node = helper.make_node


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
    *,
    inputs: tuple[str, ...] = ("x",),
    outputs: tuple[str, ...] = ("y",),
) -> Path:
    graph = helper.make_graph(
        nodes,
        "user",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "height", "width"])
            for name in inputs
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "c", "h", "w"])
            for name in outputs
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8),
        str(path),
    )
    return path


@pytest.fixture
def convolution(tmp_path: Path) -> Path:
    """A convolution of an image of any size, with batch normalisation in its constants."""
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    return _save(
        tmp_path / "model.onnx",
        [
            node("Constant", [], ["w"], value=numpy_helper.from_array(weights)),
            node("Conv", ["x", "w"], ["a"], strides=[2, 2]),
            node("Shape", ["a"], ["shape"]),
            node("Reshape", ["a", "shape"], ["y"]),
        ],
        {},
    )


def test_a_file_is_loaded_at_a_size_and_left_alone(convolution: Path, run_graph: RunGraph) -> None:
    before = convolution.read_bytes()
    graph = Graph.load(convolution, height=9, width=11)
    assert convolution.read_bytes() == before
    assert graph.input_shape == (1, 3, 9, 11)
    # The shape is a constant of the size now, so that the reshape to it is nothing.
    assert [each.op_type for each in graph.nodes] == ["Conv"]
    assert graph.shape("y") == (1, 4, 4, 5)
    assert run_graph(graph, np.zeros((1, 3, 9, 11), np.float32)).shape == (1, 4, 4, 5)
    assert graph.to_model().opset_import[0].version == OPSET


def test_a_saved_graph_is_a_whole_and_valid_model(convolution: Path, tmp_path: Path) -> None:
    graph = Graph.load(convolution, height=9, width=11)
    folder = tmp_path / "out"
    folder.mkdir()
    graph.save(folder / "saved.onnx")
    onnx.checker.check_model(str(folder / "saved.onnx"), full_check=True)
    assert [path.name for path in folder.iterdir()] == ["saved.onnx"]
    again = Graph.load(folder / "saved.onnx", height=9, width=11)
    assert [each.op_type for each in again.nodes] == ["Conv"]


def test_what_is_no_stage_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no protobuf")
    with pytest.raises(ConversionError, match=r"model\.onnx is not an ONNX model"):
        Graph.load(path, height=8, width=8)
    _save(path, [node("Add", ["x", "z"], ["y"])], {}, inputs=("x", "z"))
    with pytest.raises(ConversionError, match="has 2 inputs and 1 outputs"):
        Graph.load(path, height=8, width=8)
    _save(path, [node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["z"])], {}, outputs=("y", "z"))
    with pytest.raises(ConversionError, match="has 1 inputs and 2 outputs"):
        Graph.load(path, height=8, width=8)


def test_a_size_that_the_model_does_not_take_is_named(tmp_path: Path) -> None:
    row = np.ones((1, 3, 8, 10), np.float32)
    path = _save(tmp_path / "model.onnx", [node("Add", ["x", "row"], ["y"])], {"row": row})
    assert Graph.load(path, height=8, width=10).shape("y") == (1, 3, 8, 10)
    with pytest.raises(ConversionError, match="doesn't take images of 8x7"):
        Graph.load(path, height=8, width=7)


def test_constants_split_from_tensors(make_graph: MakeGraph) -> None:
    both = node("Add", ["c", "d"], ["b"])
    first = node("Mul", ["c", "x"], ["m"])
    second = node("Add", ["m", "b"], ["y"])
    constants = {"c": np.array([2], np.float32), "d": np.array([1, 2], np.float32)}
    graph = make_graph([both, first, second], constants)
    assert graph.split_constant(both) is None
    assert graph.split_constant(first) == ("x", "c")
    assert graph.split_constant(second) is None
    assert graph.scalar("c") == 2
    assert graph.scalar("d") is None
    assert graph.scalar("x") is None


def test_the_output_counts_as_a_reader(make_graph: MakeGraph) -> None:
    nodes = [node("Relu", ["x"], ["y"]), node("Neg", ["y"], ["unread"])]
    graph = make_graph(nodes, {})
    assert graph.sole_consumer("x") is nodes[0]
    assert graph.sole_consumer("y") is None
    graph.drop_unused()
    assert graph.nodes == nodes[:1]


def test_nodes_are_sorted_by_what_they_read(make_graph: MakeGraph) -> None:
    chain = [node("Relu", ["x"], ["a"]), node("Neg", ["a"], ["b"]), node("Abs", ["b"], ["y"])]
    graph = make_graph(chain[::-1], {})
    graph.sort()
    assert graph.nodes == chain
    graph.nodes.remove(chain[1])
    with pytest.raises(ConversionError, match="cycle or a dangling input"):
        graph.sort()


def test_a_shape_that_depends_on_values_is_not_told(make_graph: MakeGraph) -> None:
    nodes = [node("NonZero", ["x"], ["places"]), node("Cast", ["places"], ["y"], to=1)]
    with pytest.raises(ConversionError, match="can't tell the shape of tensor 'places'"):
        make_graph(nodes, {}).shape("places")


def test_attributes_have_defaults() -> None:
    convolution = node("Conv", ["x", "w"], ["y"], strides=[2, 1])
    assert list(attribute(convolution, "strides", [1, 1])) == [2, 1]
    assert attribute(convolution, "group", 1) == 1
