"""A trained network as a TFLite file of one input shape, outside of any bundle."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgeocr_conversion.bundle_conversion import rewritten_graph
from edgeocr_conversion.checkpoints import stage_settings
from edgeocr_conversion.flatbuffer import read_model, write_model
from edgeocr_conversion.float_tflite import convert_to_float
from edgeocr_conversion.sources import Shape
from edgeocr_conversion.trained_ranges import quantize_as_trained
from edgeocr_training.compression.quantization.export import export_prepared, table_path
from edgeocr_training.compression.quantization.preparation import is_prepared
from edgeocr_training.compression.quantization.range_table import RangeTable
from edgeocr_training.models.onnx_export import export_onnx

if TYPE_CHECKING:
    from torch import nn


def write_student_tflite(student: nn.Module, out: Path, *, shape: Shape | None = None) -> int:
    """Writes a network in integers if it was prepared for them, else in floats.

    Args:
        student: detector, classifier or recogniser, in eval mode.
        out: the TFLite file.
        shape: height and width of the input in pixels; None for the first of the usual ones.

    Returns:
        The size of the file in bytes.

    Raises:
        ConversionError: the network cannot be converted.
        QuantizationError: a tensor of a prepared network has no range.
    """
    _, settings = stage_settings(student, () if shape is None else (shape,))
    height, width = settings.shapes[0]
    with tempfile.TemporaryDirectory(prefix="edgeocr-") as temporary:
        onnx, in_floats = Path(temporary) / "model.onnx", Path(temporary) / "float.tflite"
        prepared = is_prepared(student)
        if prepared:
            export_prepared(student, onnx)
        else:
            export_onnx(student, onnx)
        convert_to_float(rewritten_graph(onnx, height, width), in_floats)
        if not prepared:
            return write_model(read_model(in_floats), out)
        ranges = RangeTable.from_json(table_path(onnx).read_bytes())
        return write_model(quantize_as_trained(in_floats, onnx, ranges), out)
