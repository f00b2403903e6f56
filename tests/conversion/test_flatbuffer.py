from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import (
    Model,
    constant_value,
    merge_signatures,
    operator_name,
    parse_model,
    read_model,
    serialise_model,
    split_signatures,
    type_name,
    write_model,
)

TinyModel = Callable[..., Model]


def _run(content: bytes, signature: str | None, seed: int = 0) -> NDArray[Any]:
    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner(signature)
    ((name, details),) = runner.get_input_details().items()
    rng = np.random.default_rng(seed)
    shape = details["shape"]
    if details["dtype"] == np.int8:
        value = rng.integers(-128, 128, shape).astype(np.int8)
    else:
        value = rng.normal(size=shape).astype(np.float32)
    (output,) = runner(**{name: value}).values()
    return np.asarray(output)


@pytest.mark.parametrize("quantized", [False, True])
def test_merged_signatures_compute_what_the_single_files_compute(
    tiny_model: TinyModel, quantized: bool
) -> None:
    models = {f"w{w}": tiny_model(width=w, quantized=quantized) for w in (8, 16, 40)}
    merged = serialise_model(merge_signatures(models))
    for name, model in models.items():
        alone = _run(serialise_model(model), None)
        together = _run(merged, name)
        assert alone.shape == together.shape
        assert alone.tobytes() == together.tobytes()
        assert np.unique(alone).size > 10, "a constant output would prove nothing"


@pytest.mark.parametrize("quantized", [False, True])
def test_a_further_signature_adds_no_constants(tiny_model: TinyModel, quantized: bool) -> None:
    sizes = [
        len(
            serialise_model(
                merge_signatures(
                    {
                        f"w{i:02}": tiny_model(width=8 + 4 * i, quantized=quantized)
                        for i in range(count)
                    }
                )
            )
        )
        for count in range(1, 12)
    ]
    # A graph of 2 operators and 6 tensors needs about 330 bytes: 4 to name each of them, and
    # tables for 3 activations, for a RESHAPE with its shape, and for the signature itself.
    assert np.diff(sizes).max() < 400


def test_splitting_undoes_merging(tiny_model: TinyModel) -> None:
    models = {"a": tiny_model(width=8), "b": tiny_model(width=16)}
    merged = merge_signatures(models)
    parts = split_signatures(merged)
    assert list(parts) == ["a", "b"]
    for name, part in parts.items():
        assert _run(serialise_model(part), name).shape == _run(serialise_model(merged), name).shape
    assert serialise_model(merge_signatures(parts)) == serialise_model(merged)


def test_merging_leaves_the_sources_alone_and_counts_each_constant_once(
    tiny_model: TinyModel,
) -> None:
    models = {"a": tiny_model(width=8), "b": tiny_model(width=16)}
    before = [serialise_model(model) for model in models.values()]
    merged = merge_signatures(models)
    assert [serialise_model(model) for model in models.values()] == before
    # "no data", kernel, bias and the two target shapes
    assert len(merged.buffers) == 5
    assert len(merged.operatorCodes) == 2


def test_models_with_other_weights_keep_them(tiny_model: TinyModel) -> None:
    models = {"a": tiny_model(width=8, seed=1), "b": tiny_model(width=8, seed=2)}
    merged = serialise_model(merge_signatures(models))
    assert not np.array_equal(_run(merged, "a"), _run(merged, "b"))
    assert np.array_equal(_run(merged, "b"), _run(serialise_model(models["b"]), None))


def test_constants_are_aligned_to_16_bytes(tiny_model: TinyModel) -> None:
    raw = serialise_model(
        merge_signatures({"a": tiny_model(width=8), "b": tiny_model(width=16, quantized=True)})
    )
    base = np.frombuffer(raw, np.uint8).__array_interface__["data"][0]
    model = schema.Model.GetRootAs(raw, 0)
    offsets = [
        model.Buffers(i).DataAsNumpy().__array_interface__["data"][0] - base
        for i in range(model.BuffersLength())
        if not model.Buffers(i).DataIsNone()
    ]
    assert len(offsets) >= 6
    assert all(offset % 16 == 0 for offset in offsets)


def test_equal_quantization_parameters_stand_in_the_file_once(tiny_model: TinyModel) -> None:
    raw = serialise_model(merge_signatures({"a": tiny_model(width=8, quantized=True)}))
    scales = np.array([0.01 * (i + 1) for i in range(5)], np.float32)
    twice = serialise_model(
        merge_signatures({name: tiny_model(width=8, quantized=True) for name in "ab"})
    )
    assert raw.count(scales.tobytes()) == twice.count(scales.tobytes()) == 1


def test_names_of_inner_tensors_are_kept_on_request_only(tiny_model: TinyModel) -> None:
    model = tiny_model(width=8)
    short = serialise_model(merge_signatures({"a": model}))
    named = serialise_model(merge_signatures({"a": model}, keep_names=True))
    assert b"convolved" not in short
    assert b"convolved" in named
    assert b"unused" not in named
    assert b"input" in short
    assert b"output" in short


def test_a_file_survives_reading_and_writing(tiny_model: TinyModel, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    model = tiny_model(width=8, quantized=True)
    assert write_model(model, path) == path.stat().st_size
    again = read_model(path)
    assert serialise_model(again) == path.read_bytes()
    assert [operator_name(again, op) for op in again.subgraphs[0].operators] == [
        "CONV_2D",
        "RESHAPE",
    ]
    kernel = again.subgraphs[0].tensors[4]
    assert type_name(kernel) == "INT8"
    value = constant_value(again, kernel)
    assert value is not None
    assert value.dtype == np.int8
    assert value.tobytes() == model.buffers[1].data.tobytes()
    assert constant_value(again, again.subgraphs[0].tensors[6]) is None
    assert [child.name for child in tmp_path.iterdir()] == ["model.tflite"]


def test_constants_behind_the_flatbuffer_are_pulled_in(tiny_model: TinyModel) -> None:
    model = tiny_model(width=8)
    data = np.array(model.buffers[1].data)
    model.buffers[1] = schema.BufferT(offset=4096, size=data.size)
    raw = serialise_model(model).ljust(4096, b"\0") + data.tobytes()
    whole = serialise_model(parse_model(raw))
    assert np.array_equal(_run(whole, None), _run(serialise_model(tiny_model(width=8)), None))
    with pytest.raises(ConversionError, match="cut short"):
        parse_model(raw[:-1])


def test_what_is_no_model_is_refused(tiny_model: TinyModel, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"missing\.tflite cannot be read"):
        read_model(tmp_path / "missing.tflite")
    path = tmp_path / "text.tflite"
    path.write_text("not a model")
    with pytest.raises(ConversionError, match=r"text\.tflite.*no TFLite model"):
        read_model(path)
    raw = serialise_model(tiny_model(width=8))
    for length in (0, 7, 8, 12, 64, len(raw) // 2):
        with pytest.raises(ConversionError):
            parse_model(raw[:length])


def test_only_single_signature_models_are_merged(tiny_model: TinyModel) -> None:
    with pytest.raises(ConversionError, match="no model"):
        merge_signatures({})
    two = merge_signatures({"a": tiny_model(width=8), "b": tiny_model(width=16)})
    with pytest.raises(ConversionError, match="'w8' has 2 subgraphs"):
        merge_signatures({"w8": two})
