"""Tiny TFLite models, made from the schema alone."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeocr_conversion.flatbuffer import Model

TinyModel: TypeAlias = Callable[..., Model]

CHANNELS = 3
FILTERS = 5


def _quantization(scales: list[float]) -> Any:
    return schema.QuantizationParametersT(
        min=np.full(len(scales), -1, np.float32),
        max=np.full(len(scales), 1, np.float32),
        scale=np.array(scales, np.float32),
        zeroPoint=np.zeros(len(scales), np.int64),
    )


def _tiny_model(*, width: int, quantized: bool = False, seed: int = 7) -> Model:
    """(1, 4, width, 3) -> 1x1 convolution -> reshape -> (1, 4 * width, 5)."""
    rng = np.random.default_rng(seed)
    types = schema.TensorType
    activation = types.INT8 if quantized else types.FLOAT32
    kernel: NDArray[Any]
    bias: NDArray[Any]
    if quantized:
        kernel = rng.integers(-127, 128, (FILTERS, 1, 1, CHANNELS)).astype(np.int8)
        bias = rng.integers(-1000, 1000, FILTERS).astype(np.int32)
    else:
        kernel = rng.normal(size=(FILTERS, 1, 1, CHANNELS)).astype(np.float32)
        bias = rng.normal(size=FILTERS).astype(np.float32)
    shape = np.array([1, 4 * width, FILTERS], np.int32)
    buffers = [schema.BufferT()] + [
        schema.BufferT(data=np.frombuffer(value.tobytes(), np.uint8))
        for value in (kernel, bias, shape)
    ]
    kernel_scales = [0.01 * (i + 1) for i in range(FILTERS)]

    def tensor(name: str, kind: int, size: tuple[int, ...], buffer: int, scales: Any) -> Any:
        return schema.TensorT(
            name=name.encode(),
            type=kind,
            shape=np.array(size, np.int32),
            buffer=buffer,
            quantization=_quantization(scales) if quantized and scales else None,
        )

    bias_type = types.INT32 if quantized else types.FLOAT32
    tensors = [
        tensor("unused", activation, (1,), 0, None),
        tensor("output", activation, tuple(shape.tolist()), 0, [0.05]),
        tensor("shape", types.INT32, (3,), 3, None),
        tensor("bias", bias_type, bias.shape, 2, [0.02 * scale for scale in kernel_scales]),
        tensor("kernel", activation, kernel.shape, 1, kernel_scales),
        tensor("convolved", activation, (1, 4, width, FILTERS), 0, [0.05]),
        tensor("input", activation, (1, 4, width, CHANNELS), 0, [0.02]),
    ]
    operators = [
        schema.OperatorT(
            opcodeIndex=0,
            inputs=np.array([6, 4, 3], np.int32),
            outputs=np.array([5], np.int32),
            builtinOptionsType=schema.BuiltinOptions.Conv2DOptions,
            builtinOptions=schema.Conv2DOptionsT(strideW=1, strideH=1),
        ),
        schema.OperatorT(
            opcodeIndex=1,
            inputs=np.array([5, 2], np.int32),
            outputs=np.array([1], np.int32),
            builtinOptionsType=schema.BuiltinOptions.ReshapeOptions,
            builtinOptions=schema.ReshapeOptionsT(newShape=shape),
        ),
    ]
    codes = [
        schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=version)
        for code, version in (
            (schema.BuiltinOperator.CONV_2D, 3 if quantized else 1),
            (schema.BuiltinOperator.RESHAPE, 1),
        )
    ]
    return schema.ModelT(
        version=3,
        description=b"tiny",
        operatorCodes=codes,
        buffers=buffers,
        subgraphs=[
            schema.SubGraphT(
                name=b"main",
                tensors=tensors,
                inputs=np.array([6], np.int32),
                outputs=np.array([1], np.int32),
                operators=operators,
            )
        ],
        signatureDefs=[
            schema.SignatureDefT(
                inputs=[schema.TensorMapT(name=b"x", tensorIndex=6)],
                outputs=[schema.TensorMapT(name=b"y", tensorIndex=1)],
                signatureKey=b"serving_default",
                subgraphIndex=0,
            )
        ],
    )


@pytest.fixture
def tiny_model() -> TinyModel:
    """Makes a tiny model: ``tiny_model(width=8, quantized=True, seed=1)``."""
    return _tiny_model
