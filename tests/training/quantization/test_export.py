"""That a file is written where ONNX Runtime computes what was trained, and not elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from edgeocr_training.compression.quantization import export
from edgeocr_training.compression.quantization.export import export_prepared, table_path
from edgeocr_training.compression.quantization.lowering import convert
from edgeocr_training.compression.quantization.onnx_writing import onnx_model
from edgeocr_training.errors import ExportError

from .conftest import Student


def test_an_lstm_that_reacts_to_its_matrices_float16_is_written(
    prepared_student: Callable[..., Student], tmp_path: Path
) -> None:
    student = prepared_student("crnn")
    with torch.no_grad():
        for module in student.modules():
            if isinstance(module, nn.LSTM):
                for name, matrix in module.named_parameters():
                    if name.startswith("weight"):
                        matrix.mul_(12)
    export_prepared(student, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").is_file()
    assert table_path(tmp_path / "model.onnx").is_file()


@pytest.mark.parametrize("kind", ["crnn", "rec", "cls", "det"])
def test_a_file_that_computes_something_else_is_not_written(
    kind: str,
    prepared_student: Callable[..., Student],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    student = prepared_student(kind)
    other = prepared_student(kind)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.05)
    monkeypatch.setattr(export, "onnx_model", lambda graph: onnx_model(convert(other)))
    with pytest.raises(ExportError, match=r"computes something else than model\.onnx"):
        export_prepared(student, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
