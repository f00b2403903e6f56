"""A student in integers as two files for a converter: float ONNX, and the table of its ranges."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn

from edgeocr.whole_files import write_whole
from edgeocr_training.compression.quantization.deployed import Deployed
from edgeocr_training.compression.quantization.device_graph import DeviceGraph, Recurrence
from edgeocr_training.compression.quantization.layers import QuantizedRecurrence, set_mode
from edgeocr_training.compression.quantization.lowering import convert
from edgeocr_training.compression.quantization.onnx_writing import onnx_model
from edgeocr_training.compression.quantization.range_table import RangeTable
from edgeocr_training.errors import ExportError
from edgeocr_training.models.classifier import Classifier
from edgeocr_training.models.detector import SIZE_MULTIPLE
from edgeocr_training.models.recogniser import Recogniser
from edgeocr_training.models.text_line import LINE_HEIGHT

_PARITY: Final = 1e-4
"""Largest difference between PyTorch and ONNX Runtime, in probability or of the largest logit."""


def table_path(onnx_path: Path) -> Path:
    """Of the table beside an ONNX file."""
    return onnx_path.with_suffix(".ranges.json")


def export_prepared(student: nn.Module, path: Path) -> None:
    """Writes the float form of a prepared student, and its ranges beside it.

    The ONNX file takes images of every size that the student takes; its tensors have the names of
    the table.

    Args:
        student: prepared, with all of its ranges; left as it is.
        path: of the ONNX file; see :func:`table_path` for the other one.

    Raises:
        QuantizationError: the student is not prepared, or a tensor has no range.
        ExportError: a file can't be written, or ONNX Runtime computes something else.
    """
    if not path.parent.is_dir():
        raise ExportError(f"can't write {path}: there is no folder {path.parent}")
    graph = convert(student)
    content = onnx_model(graph).SerializeToString()
    _check_parity(student, graph, content, path)
    try:
        write_whole(table_path(path), RangeTable.of(graph).to_json().encode())
        write_whole(path, content)
    except OSError as error:
        raise ExportError(f"can't write {path}: {error}") from error


def _check_parity(student: nn.Module, graph: DeviceGraph, content: bytes, path: Path) -> None:
    import onnxruntime  # type: ignore[import-untyped]

    network = _with_stored_matrices(Deployed(copy.deepcopy(student).cpu().eval()), graph)
    set_mode(network, "float")
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, *_some_shape(student)))
    image = image.astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)).numpy()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (actual,) = session.run(None, {session.get_inputs()[0].name: image})
    difference = float(np.abs(actual - expected).max())
    if not difference <= _PARITY * max(1.0, float(np.abs(expected).max())):
        raise ExportError(
            f"ONNX Runtime computes something else than {path.name} was trained to, different by "
            f"{difference:.2g}; nothing was written"
        )


@torch.no_grad()
def _with_stored_matrices(network: nn.Module, graph: DeviceGraph) -> nn.Module:
    """Gives LSTM layers the float16 values that a device keeps: rounding them is no error."""
    stored = {o.name: o for o in graph.operations if isinstance(o, Recurrence)}
    for module in network.modules():
        if isinstance(module, QuantizedRecurrence):
            operation = stored[module.name]
            lstm = copy.deepcopy(operation.lstm)
            for suffix in ("", "_reverse") if lstm.bidirectional else ("",):
                getattr(lstm, f"weight_ih_l0{suffix}").mul_(operation.input_factor)
            module.neck.lstm = lstm
    return network


def _some_shape(student: nn.Module) -> tuple[int, int]:
    match student:
        case Classifier():
            return student.height, student.width
        case Recogniser():
            return LINE_HEIGHT, 2 * LINE_HEIGHT
        case _:
            return 2 * SIZE_MULTIPLE, 3 * SIZE_MULTIPLE
