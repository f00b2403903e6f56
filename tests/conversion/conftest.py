"""Tiny models: TFLite made from the schema alone, and the golden tiny bundle's as ONNX."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeocr_conversion.flatbuffer import Model, constant_value, operator_name, read_model
from edgeocr_conversion.onnx_graph import Graph
from edgeocr_conversion.rendered_text import TextImage

TinyModel: TypeAlias = Callable[..., Model]
MakeGraph: TypeAlias = Callable[..., Graph]
RunGraph: TypeAlias = Callable[[Graph, NDArray[np.float32]], NDArray[np.float32]]

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


@pytest.fixture(scope="session")
def make_tflite() -> Callable[..., Model]:
    """Makes a float TFLite model from its tensors and operators.

    ``make_tflite({"x": (1, 4, 4, 3), "w": weights, "y": (1, 4, 4, 5)},
    [("CONV_2D", ["x", "w"], "y", options)])``: shapes are activations, arrays constants, an
    empty name stands for an input that is not given. "x" goes in, "y" comes out.
    """

    def make(
        tensors: dict[str, Any],
        operators: list[tuple[str, list[str], str, Any]],
    ) -> Model:
        types = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}
        buffers, listed = [schema.BufferT()], []
        for name, value in tensors.items():
            constant = isinstance(value, np.ndarray)
            if constant:
                buffers.append(schema.BufferT(data=np.frombuffer(value.tobytes(), np.uint8)))
            listed.append(
                schema.TensorT(
                    name=name.encode(),
                    type=types[value.dtype.name] if constant else schema.TensorType.FLOAT32,
                    shape=np.array(value.shape if constant else value, np.int32),
                    buffer=len(buffers) - 1 if constant else 0,
                )
            )
        index = {name: i for i, name in enumerate(tensors)} | {"": -1}
        kinds = list(dict.fromkeys(kind for kind, *_ in operators))
        codes = [getattr(schema.BuiltinOperator, kind) for kind in kinds]
        return schema.ModelT(
            version=3,
            operatorCodes=[
                schema.OperatorCodeT(
                    builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=1
                )
                for code in codes
            ],
            buffers=buffers,
            subgraphs=[
                schema.SubGraphT(
                    name=b"main",
                    tensors=listed,
                    inputs=np.array([index["x"]], np.int32),
                    outputs=np.array([index["y"]], np.int32),
                    operators=[
                        schema.OperatorT(
                            opcodeIndex=kinds.index(kind),
                            inputs=np.array([index[name] for name in inputs], np.int32),
                            outputs=np.array([index[output]], np.int32),
                            builtinOptionsType=0
                            if options is None
                            else getattr(
                                schema.BuiltinOptions, type(options).__name__.removesuffix("T")
                            ),
                            builtinOptions=options,
                        )
                        for kind, inputs, output, options in operators
                    ],
                )
            ],
            signatureDefs=[
                schema.SignatureDefT(
                    inputs=[schema.TensorMapT(name=b"x", tensorIndex=index["x"])],
                    outputs=[schema.TensorMapT(name=b"y", tensorIndex=index["y"])],
                    signatureKey=b"serving_default",
                    subgraphIndex=0,
                )
            ],
        )

    return make


@pytest.fixture(scope="session")
def make_graph() -> MakeGraph:
    """Makes a graph from x to y: ``make_graph(nodes, {name: constant}, height=8, width=8)``."""

    def make(
        nodes: list[onnx.NodeProto],
        constants: dict[str, NDArray[Any]],
        *,
        height: int = 8,
        width: int = 8,
    ) -> Graph:
        return Graph(
            nodes=list(nodes),
            constants=dict(constants),
            input_name="x",
            input_shape=(1, 3, height, width),
            output_name="y",
        )

    return make


@pytest.fixture(scope="session")
def run_graph() -> RunGraph:
    """Runs a graph in ONNX Runtime on an image (1, 3, height, width)."""

    def run(graph: Graph, image_BCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        session = onnxruntime.InferenceSession(
            graph.to_model().SerializeToString(), providers=["CPUExecutionProvider"]
        )
        (output,) = session.run(None, {graph.input_name: image_BCHW})
        return np.asarray(output, np.float32)

    return run


GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture(scope="session")
def tiny_bundle() -> Callable[[str], Path]:
    """Folder of the tiny bundle of a precision, "fp32" or "int8"; see make_tiny_bundle.py."""
    return lambda precision: GOLDEN / f"tiny-{precision}"


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The networks of the tiny bundle as ONNX files for any shape, by stage.

    The classifier and the recogniser end in a softmax, as the official models do.
    """
    folder = tmp_path_factory.mktemp("onnx")
    nodes: dict[str, tuple[list[onnx.NodeProto], list[int | str]]] = {
        "det": (
            [
                helper.make_node("Conv", ["x", "weights", "bias"], ["convolved"]),
                helper.make_node("Relu", ["convolved"], ["y"]),
            ],
            [1, 1, "height", "width"],
        ),
        "cls": (
            [
                helper.make_node(
                    "AveragePool", ["x"], ["halves"], kernel_shape=[8, 64], strides=[8, 64]
                ),
                helper.make_node("Conv", ["halves", "weights", "bias"], ["convolved"]),
                helper.make_node("Flatten", ["convolved"], ["logits"]),
                helper.make_node("Softmax", ["logits"], ["y"], axis=1),
            ],
            [1, 2],
        ),
        "rec": (
            [
                helper.make_node("Conv", ["x", "weights"], ["convolved"], strides=[16, 4]),
                helper.make_node("Squeeze", ["convolved"], ["rows"], axes=[2]),
                helper.make_node("Transpose", ["rows"], ["steps"], perm=[0, 2, 1]),
                helper.make_node("Add", ["steps", "bias"], ["logits"]),
                helper.make_node("Softmax", ["logits"], ["y"], axis=2),
            ],
            [1, "steps", 6],
        ),
    }
    paths = {}
    for stage, (operators, output_shape) in nodes.items():
        weights_OHWI, bias_O = _weights(GOLDEN / f"tiny-fp32/{stage}.tflite")
        image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "height", "width"])
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, output_shape)
        graph = helper.make_graph(
            operators,
            stage,
            [image],
            [output],
            [
                numpy_helper.from_array(weights_OHWI.transpose(0, 3, 1, 2).copy(), "weights"),
                numpy_helper.from_array(bias_O, "bias"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
        if stage == "rec":
            helper.set_model_props(model, {"character": "a\nb\nc\nd"})
        onnx.checker.check_model(model)
        paths[stage] = folder / f"{stage}.onnx"
        onnx.save(model, str(paths[stage]))
    return paths


def _weights(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    model = read_model(path)
    subgraph = model.subgraphs[0]
    (convolution,) = [op for op in subgraph.operators if operator_name(model, op) == "CONV_2D"]
    weights, bias = (
        constant_value(model, subgraph.tensors[index]) for index in convolution.inputs[1:]
    )
    assert weights is not None
    assert bias is not None
    return weights, bias


@pytest.fixture(scope="session")
def pages() -> list[TextImage]:
    """Pages in the picture language: bars of red with a yellow stripe for each character."""
    rng = np.random.default_rng(11)
    return [_page(rng) for _ in range(8)]


def _page(rng: np.random.Generator) -> TextImage:
    pixels = np.full((160, 220, 3), 255, np.uint8)
    pixels[..., 2] = rng.integers(0, 60)
    quads, texts = [], []
    for top in (12, 60, 108):
        text = "".join(rng.choice(list("abcd"), int(rng.integers(2, 6))))
        left, height, stripe = int(rng.integers(5, 30)), 32, 16
        width = stripe * (2 * len(text) + 1)
        line = pixels[top : top + height, left : left + width]
        line[:] = (0, 0, 255)
        for i, character in enumerate(text):
            row = "abcd".index(character) * height // 4
            line[row : row + height // 4, stripe * (2 * i + 1) : stripe * (2 * i + 2), 1] = 255
        line[-height // 8 :, :, 2] = 160
        corners = [[0, 0], [width, 0], [width, height], [0, height]]
        quads.append(np.array(corners, np.float32) + np.array([left, top], np.float32))
        texts.append(text)
    return TextImage(pixels=pixels, quads=np.stack(quads), texts=tuple(texts))
