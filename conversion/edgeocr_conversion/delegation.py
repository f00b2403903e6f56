"""What XNNPACK makes of a model: the operators it takes, those it leaves, and why.

A model is fast where XNNPACK takes it whole. Every operator that it leaves cuts the graph into
one more partition, and runs on slower kernels; in an INT8 model, an operator that stayed float
costs conversions on both of its sides as well. The report names them all.
"""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import (
    Model,
    is_constant,
    merge_signatures,
    operator_name,
    read_model,
    serialise_model,
    split_signatures,
    tensor_shape,
    type_name,
)

_CONVERSIONS: Final = ("QUANTIZE", "DEQUANTIZE")
_ABSENT: Final = frozenset(
    {
        "RESIZE_NEAREST_NEIGHBOR",
        "RELU_0_TO_1",
        "LSTM",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "GATHER",
        "CAST",
        "POW",
        "PACK",
        "TILE",
        "ARG_MAX",
        "REVERSE_V2",
    }
)
_FLOAT_ONLY: Final = frozenset(
    {
        "HARD_SWISH",
        "AVERAGE_POOL_2D",
        "BATCH_MATMUL",
        "RELU",
        "RELU6",
        "SOFTMAX",
        "SQRT",
        "RSQRT",
        "DIV",
        "SQUARED_DIFFERENCE",
        "EXP",
        "GELU",
    }
)
# Ranges of the ratio of scales that XNNPACK's integer kernels can multiply by.
_ADD_RATIO: Final = (2.0**-10, 2.0**8)
_MUL_RATIO: Final = (2.0**-16, 2.0**8)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideOperator:
    """An operator that XNNPACK did not take."""

    kind: str
    index: int
    """Position in the subgraph."""
    types: tuple[str, ...]
    """Element types of its inputs, constants included."""
    output_shape: tuple[int, ...]
    reason: str
    """Empty where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureReport:
    """One signature of a model on XNNPACK."""

    name: str
    input_shape: tuple[int, ...]
    operators: Mapping[str, int]
    """Number of operators by kind, most frequent first."""
    float_operators: Mapping[str, int]
    """In a quantized model: those whose result is float32 or float16, conversions apart."""
    delegated: int
    """Operators that XNNPACK took."""
    partitions: int
    """Pieces into which XNNPACK's share falls: 1 is a graph taken whole."""
    outside: tuple[OutsideOperator, ...]
    macs: int
    """Multiply-accumulates of one run."""

    @property
    def transposes(self) -> int:
        return self.operators.get("TRANSPOSE", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationReport:
    """All signatures of one .tflite file on XNNPACK."""

    file: str
    bytes: int
    signatures: tuple[SignatureReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, with the operators outside of XNNPACK counted by kind, types and reason."""
        report = asdict(self)
        for entry, signature in zip(report["signatures"], self.signatures, strict=True):
            entry["input_shape"] = list(signature.input_shape)
            entry["transposes"] = signature.transposes
            entry["outside"] = [
                {"kind": kind, "types": list(types), "reason": reason, "count": count}
                for (kind, types, reason), count in _outside_by_kind(signature).items()
            ]
        report["signatures"] = list(report["signatures"])
        return report

    def to_text(self) -> str:
        """A table for the eye: a row for each signature, then what stays outside."""
        rows = [("signature", "input", "ops", "XNNPACK", "parts", "float", "transp", "MMACs")]
        rows += [
            (
                signature.name,
                "x".join(map(str, signature.input_shape)),
                str(sum(signature.operators.values())),
                str(signature.delegated),
                str(signature.partitions),
                str(sum(signature.float_operators.values())),
                str(signature.transposes),
                f"{signature.macs / 1e6:.1f}",
            )
            for signature in self.signatures
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.file}: {self.bytes:,} bytes"]
        lines += [
            "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        ]
        # The signatures of one file differ in shape only: their leftovers are listed once.
        listed: set[tuple[Any, ...]] = set()
        for signature in self.signatures:
            for key, count in _outside_by_kind(signature).items():
                if key not in listed:
                    listed.add(key)
                    kind, types, reason = key
                    shape = next(
                        op.output_shape
                        for op in signature.outside
                        if (op.kind, op.types, op.reason) == key
                    )
                    size = "x".join(map(str, shape))
                    lines.append(
                        f"  outside: {count} {kind} ({', '.join(types)}) -> {size}: "
                        f"{reason or 'reason not known'}"
                    )
        return "\n".join(lines)


def _outside_by_kind(signature: SignatureReport) -> Counter[tuple[str, tuple[str, ...], str]]:
    return Counter((op.kind, op.types, op.reason) for op in signature.outside)


def delegation_report(path: Path) -> DelegationReport:
    """Prepare every signature of the model in ``path`` and report what XNNPACK took.

    Raises:
        ConversionError: the file is no TFLite model, or the runtime refuses it.
    """
    path = Path(path)
    parts = split_signatures(read_model(path))
    return DelegationReport(
        file=path.name,
        bytes=path.stat().st_size,
        signatures=tuple(_signature_report(name, model) for name, model in parts.items()),
    )


def _signature_report(name: str, model: Model) -> SignatureReport:
    subgraph = model.subgraphs[0]
    operators = subgraph.operators or []
    kinds = [operator_name(model, operator) for operator in operators]
    try:
        interpreter = Interpreter(model_content=serialise_model(model), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ConversionError(f"the runtime refuses signature {name!r}: {error}") from error
    partitions = [op for op in interpreter._get_ops_details() if op["op_name"] == "DELEGATE"]
    taken: set[int] = set()
    for partition in partitions:
        taken |= _inside(subgraph, partition["inputs"], partition["outputs"])

    quantized = any(
        type_name(subgraph.tensors[index]) in ("INT8", "UINT8", "INT16")
        for operator in operators
        for index in operator.outputs
    )
    float_operators: Counter[str] = Counter()
    if quantized:
        for kind, operator in zip(kinds, operators, strict=True):
            results = {type_name(subgraph.tensors[index]) for index in operator.outputs}
            if kind not in _CONVERSIONS and results & {"FLOAT32", "FLOAT16"}:
                float_operators[kind] += 1
    return SignatureReport(
        name=name,
        input_shape=tensor_shape(subgraph.tensors[subgraph.inputs[0]]),
        operators=dict(Counter(kinds).most_common()),
        float_operators=dict(float_operators.most_common()),
        delegated=len(taken),
        partitions=len(partitions),
        outside=tuple(
            _outside(model, index) for index in range(len(operators)) if index not in taken
        ),
        macs=sum(operator_macs(model, operator) for operator in operators),
    )


def _inside(subgraph: Any, inputs: Any, outputs: Any) -> set[int]:
    """Positions of the operators between the tensors of one partition.

    The runtime tells only where a partition begins and ends; walking back from its results to
    its inputs meets every operator in it.
    """
    producer = {
        int(tensor): position
        for position, operator in enumerate(subgraph.operators)
        for tensor in operator.outputs
    }
    border = {int(tensor) for tensor in inputs}
    inside: set[int] = set()
    open_tensors = [int(tensor) for tensor in outputs]
    while open_tensors:
        tensor = open_tensors.pop()
        position = producer.get(tensor)
        if position is None or position in inside or tensor in border:
            continue
        inside.add(position)
        open_tensors += [int(i) for i in subgraph.operators[position].inputs if i >= 0]
    return inside


def _outside(model: Model, position: int) -> OutsideOperator:
    subgraph = model.subgraphs[0]
    operator = subgraph.operators[position]
    inputs = [subgraph.tensors[index] for index in operator.inputs if index >= 0]
    return OutsideOperator(
        kind=operator_name(model, operator),
        index=position,
        types=tuple(type_name(tensor) for tensor in inputs),
        output_shape=tensor_shape(subgraph.tensors[operator.outputs[0]]),
        reason=_reason(model, operator),
    )


def _reason(model: Model, operator: Any) -> str:
    """Why XNNPACK leaves an operator, as far as its documented limits explain it."""
    tensors = model.subgraphs[0].tensors
    kind = operator_name(model, operator)
    if kind in _ABSENT or kind.startswith("CUSTOM:"):
        return "XNNPACK has no such operator"
    if kind == "DEQUANTIZE" and is_constant(model, tensors[operator.inputs[0]]):
        return "restores weights once, when the model is loaded"
    output = tensors[operator.outputs[0]]
    integer = type_name(output) in ("INT8", "UINT8")
    if integer and kind in _FLOAT_ONLY:
        return "XNNPACK has it for float only"
    if type_name(output) == "INT16":
        return "XNNPACK has no 16-bit activations"
    if integer and kind in ("ADD", "SUB", "MUL"):
        scales = [float(tensors[index].quantization.scale[0]) for index in operator.inputs]
        result = float(output.quantization.scale[0])
        ratios = [np.prod(scales) / result] if kind == "MUL" else [s / result for s in scales]
        low, high = _MUL_RATIO if kind == "MUL" else _ADD_RATIO
        if not all(low <= ratio < high for ratio in ratios):
            return f"a ratio of scales is outside of XNNPACK's [{low:.2g}, {high:g})"
    return ""


def operator_macs(model: Model, operator: Any) -> int:
    """Multiply-accumulates of one operator of the first subgraph; 0 where it multiplies none."""
    tensors = model.subgraphs[0].tensors
    kind = operator_name(model, operator)

    def size(index: int) -> int:
        return int(np.prod(tensor_shape(tensors[index]), dtype=np.int64))

    inputs = [int(index) for index in operator.inputs]
    output = int(operator.outputs[0])
    if kind == "CONV_2D":
        return size(output) * size(inputs[1]) // tensor_shape(tensors[inputs[1]])[0]
    if kind == "DEPTHWISE_CONV_2D":
        _, kernel_height, kernel_width, _ = tensor_shape(tensors[inputs[1]])
        return size(output) * kernel_height * kernel_width
    if kind == "TRANSPOSE_CONV":  # every input value meets the kernel once for each filter
        return size(inputs[2]) * size(inputs[1]) // tensor_shape(tensors[inputs[1]])[3]
    if kind == "FULLY_CONNECTED":
        return size(output) * tensor_shape(tensors[inputs[1]])[1]
    if kind == "BATCH_MATMUL":
        options = operator.builtinOptions
        return size(output) * tensor_shape(tensors[inputs[0]])[-2 if options.adjX else -1]
    if kind.endswith("SEQUENCE_LSTM"):  # every weight matrix once for each step
        steps_first = tensor_shape(tensors[inputs[0]])
        kept = [i for i in inputs[1:] if i >= 0 and not tensors[i].isVariable]
        matrices = [i for i in kept if len(tensor_shape(tensors[i])) == 2]
        return steps_first[0] * steps_first[1] * sum(map(size, matrices))
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """How long one operator takes when it runs alone."""

    kind: str
    index: int
    output_shape: tuple[int, ...]
    delegated: bool
    milliseconds: float
    """Median of the runs."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"output_shape": list(self.output_shape)}

    def to_text(self) -> str:
        shape = "x".join(map(str, self.output_shape))
        where = "XNNPACK" if self.delegated else "outside"
        return f"{self.milliseconds:8.3f} ms  {where}  {self.kind} #{self.index} -> {shape}"


def operator_times(
    path: Path, *, signature: str | None = None, threads: int = 1, runs: int = 5
) -> list[OperatorTime]:
    """Time every operator of a signature as a model of its own, slowest first.

    The sum is larger than the time of the whole graph: a slice pays for its own start, and
    hands its data over in another layout than XNNPACK uses within a partition. Operators that
    work on constants only are left out.

    Args:
        path: a .tflite file.
        signature: its name; the first one where it is None.
        threads: of the interpreter.
        runs: whose median is taken, after one that warms up.

    Raises:
        ConversionError: the file is no TFLite model or has no such signature.
    """
    parts = split_signatures(read_model(Path(path)))
    name = next(iter(parts)) if signature is None else signature
    if name not in parts:
        raise ConversionError(f"{path} has no signature {name!r}; it has {', '.join(parts)}")
    model = parts[name]
    times = []
    for position, piece in _slices(model):
        interpreter = Interpreter(model_content=serialise_model(piece), num_threads=threads)
        interpreter.allocate_tensors()
        for details in interpreter.get_input_details():
            rng = np.random.default_rng(position)
            shape, kind = details["shape"], details["dtype"]
            value = (
                rng.integers(-100, 100, shape)
                if np.issubdtype(kind, np.integer)
                else rng.standard_normal(shape)
            )
            interpreter.set_tensor(details["index"], value.astype(kind))
        interpreter.invoke()
        samples = []
        for _ in range(runs):
            start = time.perf_counter()
            interpreter.invoke()
            samples.append((time.perf_counter() - start) * 1e3)
        operator = model.subgraphs[0].operators[position]
        times.append(
            OperatorTime(
                kind=operator_name(model, operator),
                index=position,
                output_shape=tensor_shape(model.subgraphs[0].tensors[operator.outputs[0]]),
                delegated=any(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details()),
                milliseconds=float(np.median(samples)),
            )
        )
    return sorted(times, key=lambda entry: -entry.milliseconds)


def _slices(model: Model) -> Iterator[tuple[int, Model]]:
    """Each operator with an activation among its inputs, as a model of one operator."""
    subgraph = model.subgraphs[0]
    for position, operator in enumerate(subgraph.operators):
        activations = [
            index
            for index in dict.fromkeys(map(int, operator.inputs))
            if index >= 0 and not is_constant(model, subgraph.tensors[index])
        ]
        if activations:
            yield position, _slice(model, operator, activations)


def _slice(model: Model, operator: Any, activations: list[int]) -> Model:
    single = copy.copy(model)
    single.subgraphs = [
        schema.SubGraphT(
            tensors=model.subgraphs[0].tensors,
            inputs=np.array(activations, np.int32),
            outputs=operator.outputs,
            operators=[operator],
        )
    ]
    single.signatureDefs = [schema.SignatureDefT()]
    # Merging one model leaves the operator's own tensors and constants only.
    return merge_signatures({"operator": single})
