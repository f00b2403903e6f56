from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

from edgeocr_conversion.delegation import delegation_report, operator_macs, operator_times
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import Model, merge_signatures, write_model

TinyModel = Callable[..., Model]


def _with_clip(model: Model) -> Model:
    """The tiny model with a clip to [0, 1], which XNNPACK lacks, in place of its reshape."""
    code = schema.BuiltinOperator.RELU_0_TO_1
    model.operatorCodes[1] = schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=127)
    clip = model.subgraphs[0].operators[1]
    clip.inputs = np.array([5], np.int32)
    clip.builtinOptionsType = 0
    clip.builtinOptions = None
    model.subgraphs[0].tensors[1].shape = model.subgraphs[0].tensors[5].shape
    return model


@pytest.mark.parametrize("quantized", [False, True])
def test_a_graph_that_xnnpack_takes_whole(
    tiny_model: TinyModel, tmp_path: Path, quantized: bool
) -> None:
    path = tmp_path / "model.tflite"
    models = {f"w{w}": tiny_model(width=w, quantized=quantized) for w in (8, 16)}
    write_model(merge_signatures(models), path)
    report = delegation_report(path)
    assert report.bytes == path.stat().st_size
    assert [signature.name for signature in report.signatures] == ["w8", "w16"]
    for signature, width in zip(report.signatures, (8, 16), strict=True):
        assert signature.input_shape == (1, 4, width, 3)
        assert signature.operators == {"CONV_2D": 1, "RESHAPE": 1}
        assert signature.delegated == 2
        assert signature.partitions == 1
        assert signature.outside == ()
        assert signature.float_operators == {}
        assert signature.macs == 4 * width * 5 * 3


def test_what_stays_outside_is_named_with_its_reason(tiny_model: TinyModel, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    write_model(_with_clip(tiny_model(width=8)), path)
    report = delegation_report(path)
    (signature,) = report.signatures
    assert signature.delegated == 1
    (clip,) = signature.outside
    assert (clip.kind, clip.index, clip.output_shape) == ("RELU_0_TO_1", 1, (1, 4, 8, 5))
    assert clip.reason == "XNNPACK has no such operator"
    assert "1 RELU_0_TO_1 (FLOAT32) -> 1x4x8x5: XNNPACK has no such operator" in report.to_text()
    entry = report.to_dict()["signatures"][0]
    assert entry["outside"] == [
        {"kind": "RELU_0_TO_1", "types": ["FLOAT32"], "reason": clip.reason, "count": 1}
    ]


def test_a_float_operator_in_a_quantized_model_is_counted(
    tiny_model: TinyModel, tmp_path: Path
) -> None:
    model = tiny_model(width=8, quantized=True)
    subgraph = model.subgraphs[0]
    for code, kinds in (
        (schema.BuiltinOperator.DEQUANTIZE, 2),
        (schema.BuiltinOperator.RELU, 1),
    ):
        model.operatorCodes.append(
            schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=kinds)
        )
    shape = subgraph.tensors[1].shape
    for name in (b"real", b"positive"):
        subgraph.tensors.append(schema.TensorT(name=name, type=0, shape=shape, buffer=0))
    for code_index, source in ((2, 1), (3, 7)):
        subgraph.operators.append(
            schema.OperatorT(
                opcodeIndex=code_index,
                inputs=np.array([source], np.int32),
                outputs=np.array([7 if source == 1 else 8], np.int32),
            )
        )
    subgraph.outputs = np.array([8], np.int32)
    model.signatureDefs[0].outputs[0].tensorIndex = 8
    path = tmp_path / "model.tflite"
    write_model(model, path)
    (signature,) = delegation_report(path).signatures
    assert signature.float_operators == {"RELU": 1}


def test_macs_of_a_transposed_convolution() -> None:
    def tensor(*shape: int) -> object:
        return schema.TensorT(shape=np.array(shape, np.int32))

    code = schema.BuiltinOperator.TRANSPOSE_CONV
    model = schema.ModelT(
        operatorCodes=[schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code)],
        subgraphs=[
            # output shape, kernel (filters, height, width, channels), input, output
            schema.SubGraphT(
                tensors=[tensor(4), tensor(6, 2, 2, 8), tensor(1, 5, 7, 8), tensor(1, 10, 14, 6)]
            )
        ],
    )
    operator = schema.OperatorT(opcodeIndex=0, inputs=[0, 1, 2], outputs=[3])
    # Stride 2 and a 2x2 kernel: every output value comes from one input pixel of 8 channels.
    assert operator_macs(model, operator) == 10 * 14 * 6 * 8


def test_every_operator_is_timed_alone(tiny_model: TinyModel, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    write_model(merge_signatures({"w8": _with_clip(tiny_model(width=8))}), path)
    times = {entry.kind: entry for entry in operator_times(path, signature="w8", runs=2)}
    assert set(times) == {"CONV_2D", "RELU_0_TO_1"}
    assert times["CONV_2D"].delegated
    assert not times["RELU_0_TO_1"].delegated
    with pytest.raises(ConversionError, match="no signature 'w9'; it has w8"):
        operator_times(path, signature="w9")
