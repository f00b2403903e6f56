"""A small view of an ONNX graph that passes can rewrite.

Constants are NumPy arrays by name, nodes know nothing of each other; producers and consumers
are looked up, so a pass never has to keep an index in order.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgeocr_conversion.errors import ConversionError

Array = NDArray[Any]

OPSET: Final = 20
"""Of every graph once it is loaded: the first with GELU."""


@dataclass(slots=True)
class Graph:
    """Nodes in topological order, constants by name, one image input, one output."""

    nodes: list[onnx.NodeProto]
    constants: dict[str, Array]
    input_name: str
    input_shape: tuple[int, int, int, int]
    """(1, 3, height, width)."""
    output_name: str
    _serial: int = field(default=0)

    @classmethod
    def load(cls, path: Path, *, height: int, width: int) -> Graph:
        """Reads an ONNX file, freezes its input to (1, 3, height, width) and simplifies it.

        The file itself is not touched.

        Raises:
            ConversionError: not an ONNX model with one image input, or not simplifiable.
        """
        import onnxsim  # type: ignore[import-untyped]

        try:
            model = onnx.load(str(path))
        except Exception as error:
            raise ConversionError(f"{path} is not an ONNX model: {error}") from error
        names = {initializer.name for initializer in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in names]
        if len(inputs) != 1 or len(model.graph.output) != 1:
            raise ConversionError(
                f"{path} has {len(inputs)} inputs and {len(model.graph.output)} outputs; "
                "a stage's model has one image input and one output"
            )
        shape = (1, 3, height, width)
        try:
            model, _ = onnxsim.simplify(model, overwrite_input_shapes={inputs[0].name: shape})
        except Exception as error:
            raise ConversionError(
                f"{path} can't be simplified at {height}x{width}: {error}; "
                "is this shape one that the model takes?"
            ) from error
        try:
            model = onnx.version_converter.convert_version(model, OPSET)
        except Exception as error:
            raise ConversionError(
                f"{path} can't be brought to ONNX opset {OPSET}: {error}"
            ) from error
        graph = model.graph
        constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        nodes = []
        for node in graph.node:
            if node.op_type == "Constant":
                constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            else:
                nodes.append(node)
        loaded = cls(
            nodes=nodes,
            constants=constants,
            input_name=graph.input[0].name,
            input_shape=shape,
            output_name=graph.output[0].name,
        )
        try:
            onnx.shape_inference.infer_shapes(loaded.to_model(), strict_mode=True)
        except Exception as error:
            raise ConversionError(
                f"{path} doesn't take images of {height}x{width}: {error}"
            ) from error
        return loaded

    def save(self, path: Path) -> None:
        """Writes the graph as an ONNX file; beside first, then renamed."""
        model = onnx.shape_inference.infer_shapes(self.to_model(), strict_mode=True)
        onnx.checker.check_model(model)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            onnx.save(model, str(temporary))
            shutil.move(temporary, path)

    def to_model(self, *, extra_outputs: Sequence[str] = ()) -> onnx.ModelProto:
        """The graph as a model, with further tensors as outputs."""
        used = {name for node in self.nodes for name in node.input}
        graph = helper.make_graph(
            self.nodes,
            "edgeocr",
            [
                helper.make_tensor_value_info(
                    self.input_name, onnx.TensorProto.FLOAT, list(self.input_shape)
                )
            ],
            [
                helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
                for name in (self.output_name, *extra_outputs)
            ],
            [
                numpy_helper.from_array(np.ascontiguousarray(array), name)
                for name, array in self.constants.items()
                if name in used
            ],
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9
        )

    # Looking around

    def producer(self, name: str) -> onnx.NodeProto | None:
        return next((node for node in self.nodes if name in node.output), None)

    def consumers(self, name: str) -> list[onnx.NodeProto]:
        return [node for node in self.nodes if name in node.input]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor.

        Raises:
            ConversionError: it can't be told from the graph.
        """
        graph = onnx.shape_inference.infer_shapes(self.to_model()).graph
        for value in (*graph.input, *graph.value_info, *graph.output):
            kind = value.type.tensor_type
            sizes = kind.shape.dim if value.name == name and kind.HasField("shape") else None
            if sizes is not None and all(size.HasField("dim_value") for size in sizes):
                return tuple(int(size.dim_value) for size in sizes)
        raise ConversionError(f"can't tell the shape of tensor {name!r}")

    def sole_consumer(self, name: str) -> onnx.NodeProto | None:
        """The one node that reads the tensor; None if there are several or it is the output."""
        consumers = self.consumers(name)
        return consumers[0] if len(consumers) == 1 and name != self.output_name else None

    def of_type(self, *op_types: str) -> Iterator[onnx.NodeProto]:
        """Over a copy, so that a pass may change the graph while it walks."""
        return iter([node for node in self.nodes if node.op_type in op_types])

    def scalar(self, name: str) -> float | None:
        """The value of a constant with one element, else None."""
        array = self.constants.get(name)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def split_constant(self, node: onnx.NodeProto) -> tuple[str, str] | None:
        """(tensor, constant) names of a binary node with exactly one constant input."""
        if len(node.input) != 2:
            return None
        first, second = node.input
        if (first in self.constants) == (second in self.constants):
            return None
        return (second, first) if first in self.constants else (first, second)

    # Changing

    def constant(self, array: Array, hint: str) -> str:
        """Adds a constant under a fresh name and returns the name."""
        self._serial += 1
        name = f"{hint}_{self._serial}"
        self.constants[name] = array
        return name

    def name(self, hint: str) -> str:
        """A fresh tensor name."""
        self._serial += 1
        return f"{hint}_{self._serial}"

    def replace(self, node: onnx.NodeProto, *new: onnx.NodeProto) -> None:
        """Puts ``new`` where ``node`` stood."""
        index = next(i for i, other in enumerate(self.nodes) if other is node)
        self.nodes[index : index + 1] = new

    def bypass(self, node: onnx.NodeProto, name: str) -> None:
        """Removes a node with one output: its readers read ``name`` instead."""
        output = node.output[0]
        self.replace(node)
        if output == self.output_name:
            producer = self.producer(name)
            if producer is None or len(self.consumers(name)) > 0:
                self.nodes.append(helper.make_node("Identity", [name], [output]))
                return
            producer.output[0] = output
            return
        for consumer in self.consumers(output):
            for index, other in enumerate(consumer.input):
                if other == output:
                    consumer.input[index] = name

    def sort(self) -> None:
        """Restores the topological order after nodes were moved."""
        ready = set(self.constants) | {self.input_name, ""}
        pending, ordered = list(self.nodes), []
        while pending:
            progress = [node for node in pending if all(name in ready for name in node.input)]
            if not progress:
                raise ConversionError("the rewritten graph has a cycle or a dangling input")
            for node in progress:
                ready.update(node.output)
                ordered.append(node)
            chosen = {id(node) for node in progress}
            pending = [node for node in pending if id(node) not in chosen]
        self.nodes = ordered

    def drop_unused(self) -> None:
        """Removes nodes whose outputs nobody reads."""
        while True:
            read = {name for node in self.nodes for name in node.input} | {self.output_name}
            kept = [node for node in self.nodes if any(name in read for name in node.output)]
            if len(kept) == len(self.nodes):
                return
            self.nodes = kept


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """The value of a node's attribute, or ``default``."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default
