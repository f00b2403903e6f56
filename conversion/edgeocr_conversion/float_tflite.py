"""ONNX to float TFLite by onnx2tf, and the sizes in the result set free.

onnx2tf runs as a program of its own: it overwrites its input, prints a lot, and leaves memory
behind. It sees a copy.
"""

from __future__ import annotations

import copy
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import (
    Model,
    constant_value,
    operator_name,
    read_model,
    serialise_model,
    tensor_shape,
    write_model,
)
from edgeocr_conversion.interpreter import run_once
from edgeocr_conversion.layout import restore_channels_last
from edgeocr_conversion.lstm_directions import keep_directions_together
from edgeocr_conversion.onnx_graph import Graph

ONNX2TF: Final = "onnx2tf==2.6.9"
INSTALL_COMMAND: Final = f"pip install --no-deps --ignore-requires-python {ONNX2TF}"
_TIMEOUT_S: Final = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Freedom:
    """Whether an interpreter may be resized to another input size before allocation."""

    height: bool = False
    width: bool = False


def convert_to_float(graph: Graph, path: Path) -> Path:
    """Converts a graph to a TFLite file with one signature.

    Raises:
        ConversionError: onnx2tf is missing, fails, or gives another output shape.
    """
    write_model(_converted(graph), path)
    return path


def convert_resizable(graph: Graph, path: Path, *, wider: Graph, taller: Graph | None) -> Freedom:
    """Converts a graph, and frees its sides where nothing but reshapes hold their size.

    Args:
        graph: rewritten, at the size that the model is written for.
        path: the TFLite file to write.
        wider: the same graph at another width.
        taller: the same graph at another height; None: the height stays.

    Raises:
        ConversionError: onnx2tf is missing, fails, or gives another output shape.
    """
    model = _converted(graph)
    width = _freed(model, _converted(wider))
    height = taller is not None and _freed(model, _converted(taller))
    write_model(model, path)
    return Freedom(height=height, width=width)


def _freed(model: Model, other: Model) -> bool:
    """Frees what differs between a model at two sizes, if that computes what it should."""
    free = copy.deepcopy(model)
    if not _free_sizes(free, other) or not _computes_alike(free, other):
        return False
    model.__dict__.update(free.__dict__)
    return True


def _computes_alike(free: Model, other: Model) -> bool:
    """Whether a freed model, resized to the input of the other, equals it on noise."""
    subgraph = other.subgraphs[0]
    shape = tensor_shape(subgraph.tensors[subgraph.inputs[0]])
    noise = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    expected = run_once(serialise_model(other), noise)
    try:
        actual = run_once(serialise_model(free), noise)
    except (RuntimeError, ValueError):
        return False  # it can't be resized at all
    # Kernels may sum in another order; a wrong result is off by orders of magnitude more.
    return actual.shape == expected.shape and np.allclose(
        actual, expected, atol=1e-3 * max(1.0, float(np.abs(expected).max()))
    )


def _converted(graph: Graph) -> Model:
    if importlib.util.find_spec("onnx2tf") is None:
        raise ConversionError(
            "onnx2tf is not installed. It declares another LiteRT than the quantizer does, so "
            f"no resolver takes both; this works: {INSTALL_COMMAND}"
        )
    with tempfile.TemporaryDirectory(prefix="edgeocr-") as folder:
        source, output = Path(folder) / "model.onnx", Path(folder) / "tflite"
        graph.save(source)
        # onnx2tf calls onnxsim by name, wherever this Python keeps its programs.
        environment = os.environ | {
            "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
        }
        command = [sys.executable, "-m", "onnx2tf", "-i", str(source), "-o", str(output)]
        try:
            result = subprocess.run(
                [*command, "-tb", "flatbuffer_direct", "-n"],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                env=environment,
                cwd=folder,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ConversionError(f"onnx2tf did not end within {_TIMEOUT_S} s") from error
        written = output / "model_float32.tflite"
        if result.returncode != 0 or not written.is_file():
            tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-8:])
            raise ConversionError(f"onnx2tf could not convert the model; it said:\n{tail}")
        model = read_model(written)
        restore_channels_last(model)
        keep_directions_together(model)
        _check_output(model, graph)
        return model


def _check_output(model: Model, graph: Graph) -> None:
    """onnx2tf drops a transpose at the end of some graphs: what remains is another output."""
    shape = graph.shape(graph.output_name)
    # Maps have their channels last in TFLite; everything else keeps its order.
    expected = (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else shape
    subgraph = model.subgraphs[0]
    actual = tensor_shape(subgraph.tensors[subgraph.outputs[0]])
    if actual != expected:
        raise ConversionError(
            f"onnx2tf made an output of shape {actual} of one that is {shape} in ONNX and must "
            f"become {expected}"
        )


def _free_sizes(model: Model, other: Model) -> bool:
    """Puts -1 wherever a reshape's shape differs from that of the same model at another size.

    Returns:
        False, with the model as it was, where anything else differs: then the size is in it.
    """
    subgraph, twin = model.subgraphs[0], other.subgraphs[0]
    if len(subgraph.operators) != len(twin.operators):
        return False
    freed: list[tuple[int, NDArray[np.int32]]] = []
    for operator, counterpart in zip(subgraph.operators, twin.operators, strict=True):
        kind = operator_name(model, operator)
        if kind != operator_name(other, counterpart):
            return False
        if len(operator.inputs) != len(counterpart.inputs):
            return False
        if kind != "RESHAPE" and _options(operator) != _options(counterpart):
            return False
        for index, counterindex in zip(operator.inputs, counterpart.inputs, strict=True):
            if index < 0:
                continue
            tensor, match = subgraph.tensors[index], twin.tensors[counterindex]
            value, expected = constant_value(model, tensor), constant_value(other, match)
            if value is None or expected is None:
                continue
            if tensor_shape(tensor) == tensor_shape(match) and np.array_equal(value, expected):
                continue
            is_shape = kind == "RESHAPE" and index == operator.inputs[1]
            if not is_shape or value.shape != expected.shape:
                return False
            differs = (value != expected) | (value == -1)
            if differs.sum() != 1:
                return False
            freed.append((int(index), np.where(differs, -1, value).astype(np.int32)))
    for index, value in freed:
        tensor = subgraph.tensors[index]
        model.buffers[tensor.buffer].data = np.frombuffer(value.tobytes(), np.uint8)
    for operator in subgraph.operators:
        if operator_name(model, operator) == "RESHAPE" and operator.builtinOptions is not None:
            value = constant_value(model, subgraph.tensors[operator.inputs[1]])
            if value is not None:
                operator.builtinOptions.newShape = value
    return True


def _options(operator: Any) -> dict[str, Any]:
    """What an operator is told beside its inputs, as plain values."""
    options = {} if operator.builtinOptions is None else vars(operator.builtinOptions)
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in options.items()
    }
