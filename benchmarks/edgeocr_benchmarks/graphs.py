"""What a network has to compute at one input shape: operators, multiplications, delegation.

LiteRT's interpreter lists the operators of a model's first subgraph, their shapes once memory
is allocated, and the partitions that XNNPACK made of them. A signature that is another subgraph
is put in the first one's place. Where the runtime is an older package without LiteRT's schema,
nothing is told.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from edgeocr.bundle import Bundle
from edgeocr.runtime import runtime
from edgeocr_benchmarks.device_results import Graph, OperatorCount

Shapes = Mapping[int, Sequence[int]]

_MULTIPLYING: Final = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "TRANSPOSE_CONV",
    "FULLY_CONNECTED",
    "BATCH_MATMUL",
)
"""An LSTM, which multiplies too, is one operator with a matrix for every gate: not counted."""


def graph(bundle: Bundle, stage: Literal["det", "cls", "rec"], shape: str) -> Graph | None:
    """The network of a stage at one of its input shapes; None where the runtime can't tell.

    Args:
        bundle: an opened bundle.
        stage: which of its networks.
        shape: HEIGHTxWIDTH of the input.
    """
    height, width = map(int, shape.split("x"))
    model = getattr(bundle.stages, stage)
    # A shape that no signature has is one of those that the graph can be resized to.
    named = [s.name for s in model.signatures if (s.height, s.width) == (height, width)]
    content = bundle.read_model(model)
    try:
        single = _single_subgraph(content, named[0] if named else model.signatures[0].name)
        delegated = _allocated(single, height, width, delegates=True)._get_ops_details()
        # Within a partition the delegate keeps the shapes to itself.
        plain = _allocated(single, height, width, delegates=False)
    except (ImportError, AttributeError, StopIteration):
        return None
    operators = plain._get_ops_details()
    partitions = [operator for operator in delegated if operator["op_name"] == "DELEGATE"]
    shapes = {detail["index"]: detail["shape"] for detail in plain.get_tensor_details()}
    taken: set[int] = set()
    for partition in partitions:
        taken |= _inside(operators, partition)
    kinds: dict[str, list[int]] = {}
    for i, operator in enumerate(operators):
        kinds.setdefault(operator["op_name"], []).append(i)
    counts = tuple(
        OperatorCount(
            kind=kind,
            count=len(indices),
            delegated=sum(i in taken for i in indices),
            macs=sum(operator_macs(operators[i], shapes) for i in indices),
        )
        for kind, indices in kinds.items()
    )
    return Graph(
        stage=stage,
        shape=shape,
        partitions=len(partitions),
        operators=tuple(sorted(counts, key=lambda count: (-count.macs, -count.count, count.kind))),
    )


def _allocated(model: bytes, height: int, width: int, *, delegates: bool) -> Any:
    """An interpreter of the runtime, ready to run at that input shape."""
    package = importlib.import_module(runtime().interpreter.__module__)
    resolver = package.OpResolverType
    interpreter = runtime().interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=resolver.AUTO
        if delegates
        else resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    (given,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(given["index"], [1, height, width, 3])
    interpreter.allocate_tensors()
    return interpreter


def operator_macs(operator: Mapping[str, Any], shapes: Shapes) -> int:
    """Multiply-accumulates of one operator; 0 where it multiplies no matrices.

    Args:
        operator: as the interpreter lists it: op_name, inputs, outputs.
        shapes: of tensors, by index.
    """
    kind, inputs = operator["op_name"], operator["inputs"]
    if kind not in _MULTIPLYING:
        return 0
    output = [int(side) for side in shapes[int(operator["outputs"][0])]]
    results = math.prod(output)
    weights = [int(side) for side in shapes[int(inputs[1])]]
    if kind == "BATCH_MATMUL":  # every value of the first matrix meets a row of the second
        return math.prod(map(int, shapes[int(inputs[0])])) * output[-1]
    if kind == "CONV_2D":  # (out, kernel height, kernel width, in)
        return results * math.prod(weights[1:])
    if kind == "DEPTHWISE_CONV_2D":  # (1, kernel height, kernel width, out)
        return results * weights[1] * weights[2]
    if kind == "FULLY_CONNECTED":  # (out, in)
        return results * weights[1]
    # (out, kernel height, kernel width, in): every input value meets the kernel once a filter.
    return math.prod(map(int, shapes[int(inputs[2])])) * math.prod(weights[:3])


def _inside(operators: Sequence[Mapping[str, Any]], partition: Mapping[str, Any]) -> set[int]:
    """Positions of the operators that a partition stands for.

    Only where it begins and ends is told; walking back from its results meets all of them.
    """
    producer = {
        int(tensor): i for i, operator in enumerate(operators) for tensor in operator["outputs"]
    }
    border = {int(tensor) for tensor in partition["inputs"]}
    inside: set[int] = set()
    waiting = [int(tensor) for tensor in partition["outputs"]]
    while waiting:
        tensor = waiting.pop()
        position = producer.get(tensor)
        if position is None or position in inside or tensor in border:
            continue
        inside.add(position)
        waiting += [int(i) for i in operators[position]["inputs"] if i >= 0]
    return inside


def _single_subgraph(content: Path | bytes, signature: str) -> bytes:
    """The model with the subgraph of one signature as its first and only one."""
    # Both come with LiteRT, and neither has types.
    flatbuffers = importlib.import_module("flatbuffers")
    schema = importlib.import_module("ai_edge_litert.schema_py_generated")

    data = content.read_bytes() if isinstance(content, Path) else content
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    index = next(
        definition.subgraphIndex
        for definition in model.signatureDefs
        if definition.signatureKey.decode() == signature
    )
    model.subgraphs = [model.subgraphs[index]]
    model.signatureDefs = []
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    packed: bytearray = builder.Output()
    return bytes(packed)


def total_macs(graphs: Sequence[Graph]) -> Mapping[str, int]:
    """Multiply-accumulates of one run by "STAGE SHAPE", as PageSamples.shapes has its keys."""
    return {
        f"{graph.stage} {graph.shape}": sum(operator.macs for operator in graph.operators)
        for graph in graphs
    }
