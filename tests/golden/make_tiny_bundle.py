"""Makes the tiny bundles that the contract tests read with.

    python tests/golden/make_tiny_bundle.py

Real formats, real runtime, and weights that can be worked out on paper. They read a picture
language. A line of text is a red bar; a character is a yellow stripe in one of its four
rows, "a" in the topmost to "d" in the lowest; a space is yellow from top to bottom; a darker
red along the lower edge says which way is up.

- det.tflite: probability = max(0, (red - blue) / 2), pixel by pixel. Holds no size, so it can
  also stand for a model whose input can be resized.
- cls.tflite: compares the red of the upper half with that of the lower half.
- rec.tflite: one convolution, four columns a step: how yellow is each row?
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeocr.bundle import (
    Bundle,
    DetectionModel,
    OrientationModel,
    RecognitionModel,
    Signature,
    Stages,
)

GOLDEN: Final = Path(__file__).parent
CHARSET: Final = ("a", "b", "c", "d", " ")
Precision = Literal["fp32", "int8"]
Array = NDArray[Any]

LINE_HEIGHT: Final = 16
STEP: Final = 4
DET_SHAPES: Final = ((96, 128), (128, 96), (192, 256))
CLS_SHAPES: Final = ((LINE_HEIGHT, 64),)
REC_SHAPES: Final = ((LINE_HEIGHT, 32), (LINE_HEIGHT, 64), (LINE_HEIGHT, 256))

INPUT_SCALE: Final = 1 / 128
"""Pixels enter as (x / 255 - 0.5) / 0.5, so reals are in [-1, 1]."""
BLUE, GREEN, RED = 0, 1, 2
# The versions of the operators that take int8; all take float32 since version 1.
_INT8_VERSIONS: Final = {
    schema.BuiltinOperator.CONV_2D: 3,
    schema.BuiltinOperator.AVERAGE_POOL_2D: 2,
    schema.BuiltinOperator.RESHAPE: 1,
}


@dataclass(slots=True)
class ModelBuilder:
    """A TFLite model of several subgraphs that share their weights."""

    precision: Precision
    model: Any = field(init=False)
    _buffers: dict[bytes, int] = field(default_factory=dict)
    _codes: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.subgraphs, self.model.signatureDefs, self.model.operatorCodes = [], [], []

    def graph(self, name: str) -> GraphBuilder:
        subgraph = schema.SubGraphT()
        subgraph.name = name.encode()
        subgraph.tensors, subgraph.operators = [], []
        self.model.subgraphs.append(subgraph)
        return GraphBuilder(builder=self, subgraph=subgraph)

    def buffer(self, values: Array) -> int:
        content = values.tobytes()
        if content not in self._buffers:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(content, dtype=np.uint8)
            self.model.buffers.append(buffer)
            self._buffers[content] = len(self.model.buffers) - 1
        return self._buffers[content]

    def code(self, operator: int) -> int:
        if operator not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = operator
            code.version = _INT8_VERSIONS[operator] if self.precision == "int8" else 1
            self.model.operatorCodes.append(code)
            self._codes[operator] = len(self.model.operatorCodes) - 1
        return self._codes[operator]

    def content(self) -> bytes:
        builder = flatbuffers.Builder(4096)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


@dataclass(slots=True)
class GraphBuilder:
    builder: ModelBuilder
    subgraph: Any

    @property
    def quantized(self) -> bool:
        return self.builder.precision == "int8"

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        *,
        scale: float | Array,
        zero_point: int = 0,
        values: Array | None = None,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name.encode(), list(shape)
        tensor.buffer = 0 if values is None else self.builder.buffer(values)
        tensor.type = schema.TensorType.FLOAT32
        if values is not None:
            tensor.type = {
                "float32": schema.TensorType.FLOAT32,
                "int32": schema.TensorType.INT32,
                "int8": schema.TensorType.INT8,
            }[values.dtype.name]
        elif self.quantized:
            tensor.type = schema.TensorType.INT8
        if self.quantized and name != "shape":
            quantization = schema.QuantizationParametersT()
            quantization.scale = np.atleast_1d(np.asarray(scale, dtype=np.float32))
            quantization.zeroPoint = np.full(len(quantization.scale), zero_point, dtype=np.int64)
            tensor.quantization = quantization
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def operator(self, code: int, kind: int, options: Any, given: list[int], made: int) -> int:
        operator = schema.OperatorT()
        operator.opcodeIndex = self.builder.code(code)
        operator.inputs, operator.outputs = given, [made]
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        self.subgraph.operators.append(operator)
        return made

    def convolution(
        self,
        given: int,
        weights_OHWI: Array,
        bias_O: Array,
        *,
        stride: tuple[int, int],
        shape: Sequence[int],
        scale: float,
        zero_point: int = 0,
        relu: bool = False,
        input_scale: float = INPUT_SCALE,
    ) -> int:
        """Weights per channel, symmetric; bias in the product of the scales: TFLite's scheme."""
        weight_scale = np.abs(weights_OHWI).max(axis=(1, 2, 3)) / 127
        weight_scale[weight_scale == 0] = 1
        weights, bias = weights_OHWI.astype(np.float32), bias_O.astype(np.float32)
        if self.quantized:
            weights = np.round(weights_OHWI / weight_scale[:, None, None, None]).astype(np.int8)
            bias = np.round(bias_O / (weight_scale * input_scale)).astype(np.int32)
        filter_ = self.tensor("weights", weights.shape, scale=weight_scale, values=weights)
        bias_ = self.tensor("bias", bias.shape, scale=weight_scale * input_scale, values=bias)
        made = self.tensor("convolved", shape, scale=scale, zero_point=zero_point)
        options = schema.Conv2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideH, options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = (
            schema.ActivationFunctionType.RELU if relu else schema.ActivationFunctionType.NONE
        )
        code, kind = schema.BuiltinOperator.CONV_2D, schema.BuiltinOptions.Conv2DOptions
        return self.operator(code, kind, options, [given, filter_, bias_], made)

    def average(self, given: int, size: tuple[int, int], shape: Sequence[int]) -> int:
        made = self.tensor("averaged", shape, scale=INPUT_SCALE)
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.VALID
        options.filterHeight, options.filterWidth = options.strideH, options.strideW = size
        code, kind = schema.BuiltinOperator.AVERAGE_POOL_2D, schema.BuiltinOptions.Pool2DOptions
        return self.operator(code, kind, options, [given], made)

    def reshape(self, given: int, shape: Sequence[int], *, scale: float) -> int:
        sides = self.tensor("shape", [len(shape)], scale=1, values=np.array(shape, dtype=np.int32))
        made = self.tensor("reshaped", shape, scale=scale)
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        code, kind = schema.BuiltinOperator.RESHAPE, schema.BuiltinOptions.ReshapeOptions
        return self.operator(code, kind, options, [given, sides], made)

    def finish(self, key: str, given: int, made: int) -> None:
        self.subgraph.inputs, self.subgraph.outputs = [given], [made]
        signature = schema.SignatureDefT()
        signature.signatureKey = key.encode()
        signature.subgraphIndex = len(self.builder.model.subgraphs) - 1
        for side, name, tensor in (("inputs", "image", given), ("outputs", "scores", made)):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name.encode(), tensor
            setattr(signature, side, [entry])
        self.builder.model.signatureDefs.append(signature)


def signature_name(height: int, width: int) -> str:
    return f"h{height}w{width}"


def detector(precision: Precision) -> bytes:
    weights = np.zeros((1, 1, 1, 3))
    weights[0, 0, 0, RED], weights[0, 0, 0, BLUE] = 0.5, -0.5
    builder = ModelBuilder(precision)
    for height, width in DET_SHAPES:
        graph = builder.graph(signature_name(height, width))
        image = graph.tensor("image", [1, height, width, 3], scale=INPUT_SCALE)
        scores = graph.convolution(
            image,
            weights,
            np.zeros(1),
            stride=(1, 1),
            shape=[1, height, width, 1],
            scale=1 / 256,
            zero_point=-128,
            relu=True,
        )
        graph.finish(signature_name(height, width), image, scores)
    return builder.content()


def classifier(precision: Precision) -> bytes:
    """Logits: 60 times how much redder the upper half is, and the negative of that."""
    weights = np.zeros((2, 2, 1, 3))
    weights[0, 0, 0, RED] = weights[1, 1, 0, RED] = 60
    weights[0, 1, 0, RED] = weights[1, 0, 0, RED] = -60
    builder = ModelBuilder(precision)
    for height, width in CLS_SHAPES:
        graph = builder.graph(signature_name(height, width))
        image = graph.tensor("image", [1, height, width, 3], scale=INPUT_SCALE)
        halves = graph.average(image, (height // 2, width), [1, 2, 1, 3])
        logits = graph.convolution(
            halves, weights, np.zeros(2), stride=(1, 1), shape=[1, 1, 1, 2], scale=0.25
        )
        graph.finish(
            signature_name(height, width), image, graph.reshape(logits, [1, 2], scale=0.25)
        )
    return builder.content()


def recogniser(precision: Precision) -> bytes:
    """Logits: blank 0; a character ±4 by its own row, less by the others; a space 8 at most.

    Only where all rows are yellow is it a space, and the edge of one is no character.
    """
    classes = len(CHARSET) + 1
    band = LINE_HEIGHT // 4
    weights, bias = np.zeros((classes, LINE_HEIGHT, STEP, 3)), np.zeros(classes)
    for row in range(4):
        rows = slice(row * band, (row + 1) * band)
        weights[1 + row, :, :, GREEN] = -2 / (band * STEP)
        weights[1 + row, rows, :, GREEN] = 4 / (band * STEP)
        weights[1 + row, ..., BLUE] = -weights[1 + row, ..., GREEN]
        bias[1 + row] = -4
    weights[5, :, :, GREEN], weights[5, :, :, BLUE] = 8 / (band * STEP), -8 / (band * STEP)
    bias[5] = -56
    builder = ModelBuilder(precision)
    for height, width in REC_SHAPES:
        steps = width // STEP
        graph = builder.graph(signature_name(height, width))
        image = graph.tensor("image", [1, height, width, 3], scale=INPUT_SCALE)
        logits = graph.convolution(
            image,
            weights,
            bias,
            stride=(height, STEP),
            shape=[1, 1, steps, classes],
            scale=0.25,
        )
        made = graph.reshape(logits, [1, steps, classes], scale=0.25)
        graph.finish(signature_name(height, width), image, made)
    return builder.content()


def make_bundle(folder: Path, precision: Precision) -> None:
    """Writes the bundle into a folder that exists."""
    contents = {
        "det.tflite": detector(precision),
        "cls.tflite": classifier(precision),
        "rec.tflite": recogniser(precision),
        "charset.txt": "".join(f"{entry}\n" for entry in CHARSET).encode(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)

    def model(name: str, shapes: Sequence[tuple[int, int]]) -> dict[str, Any]:
        return {
            "file": name,
            "bytes": len(contents[name]),
            "sha256": hashlib.sha256(contents[name]).hexdigest(),
            "channel_order": "BGR",
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "signatures": tuple(
                Signature(name=signature_name(height, width), height=height, width=width)
                for height, width in shapes
            ),
        }

    stages = Stages(
        det=DetectionModel(
            **model("det.tflite", DET_SHAPES),
            limit_side=256,
            limit_type="max",
            max_side=256,
            threshold=0.3,
            box_threshold=0.5,
            unclip_ratio=0.1,
            max_candidates=1000,
            dilation=False,
            score_mode="fast",
        ),
        cls=OrientationModel(**model("cls.tflite", CLS_SHAPES), threshold=0.9, outputs="logits"),
        rec=RecognitionModel(
            **model("rec.tflite", REC_SHAPES),
            outputs="logits",
            charset_file="charset.txt",
            charset_sha256=hashlib.sha256(contents["charset.txt"]).hexdigest(),
            classes=len(CHARSET) + 1,
            min_score=0.5,
        ),
    )
    bundle = Bundle(
        name="tiny",
        version="1",
        licence="Apache-2.0",
        precision=precision,
        stages=stages,
        origin={"weights": "worked out by hand in make_tiny_bundle.py"},
        tools={},
        quantization={} if precision == "fp32" else {"scheme": "weights per channel, symmetric"},
    )
    bundle.write_manifest(folder)


def main() -> int:
    """Writes both bundles beside this file."""
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    for precision in precisions:
        folder = GOLDEN / f"tiny-{precision}"
        folder.mkdir(exist_ok=True)
        make_bundle(folder, precision)
        print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
