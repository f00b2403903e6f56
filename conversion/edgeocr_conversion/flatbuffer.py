"""TFLite files as object trees: read, written, and merged into one file of many signatures.

The trees are those of the schema's own object API (``ModelT``, ``SubGraphT``, ``TensorT`` ...).
Two things are added here that a small multi-signature file needs:

* Writing shares everything that is equal. A flatbuffer is a graph of offsets, so equal
  vectors, strings and tables need to stand in the file once; the generated code writes each
  of them again. For a model whose signatures differ in their shapes only, all weights,
  quantization parameters, operator options and operators are then common.
* Constants are aligned to 16 bytes, as the schema demands and the generated code forgets:
  kernels read them from the mapped file.
"""

from __future__ import annotations

import copy
import os
import struct
import tempfile
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeocr_conversion.errors import ConversionError

Model: TypeAlias = Any
"""A ``schema.ModelT``: the generated schema module carries no types."""

_IDENTIFIER: Final = b"TFL3"
_CONSTANT_ALIGNMENT: Final = 16
_FORMAT_VERSION: Final = 3

_BUILTIN_NAMES: Final[dict[int, str]] = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}
_TYPE_NAMES: Final[dict[int, str]] = {
    code: name for name, code in vars(schema.TensorType).items() if not name.startswith("_")
}
_NUMPY_TYPES: Final[dict[int, Any]] = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.BOOL: np.bool_,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT8: np.int8,
}


def read_model(path: Path) -> Model:
    """The model in ``path`` as an object tree that holds all of its constants.

    Raises:
        ConversionError: the file cannot be read or is no TFLite model.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise ConversionError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return parse_model(raw)
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from error


def parse_model(raw: bytes) -> Model:
    """The model in ``raw`` as an object tree; its arrays are views of ``raw``.

    Large models carry constants after the flatbuffer, by offset and size from the start of
    the file; these are pulled into the tree, so that it can be written again as a whole.

    Raises:
        ConversionError: ``raw`` is no TFLite model, is cut short, or keeps its constants in
            other files.
    """
    if raw[4:8] != _IDENTIFIER:
        raise ConversionError("this is no TFLite model: the file identifier TFL3 is missing")
    try:
        model = schema.ModelT.InitFromPackedBuf(raw, 0)
    except (struct.error, IndexError, TypeError, ValueError, OverflowError) as error:
        raise ConversionError(f"this TFLite model is cut short or damaged ({error})") from error
    if not model.subgraphs or not model.buffers or model.operatorCodes is None:
        raise ConversionError("this TFLite model is damaged: it has no graph")
    if model.externalBuffers:
        raise ConversionError("this TFLite model keeps its constants in other files")
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 mean "inside": the format's own convention
            buffer.data = _section(raw, buffer.offset, buffer.size)
            buffer.offset = buffer.size = 0
    for subgraph in model.subgraphs:
        for operator in subgraph.operators or ():
            if operator.largeCustomOptionsOffset > 1:
                operator.customOptions = _section(
                    raw, operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize
                )
                operator.largeCustomOptionsOffset = operator.largeCustomOptionsSize = 0
    return model


def _section(raw: bytes, offset: int, size: int) -> NDArray[np.uint8]:
    if offset + size > len(raw):
        raise ConversionError("this TFLite model is cut short: constants are missing at its end")
    return np.frombuffer(raw, np.uint8, count=size, offset=offset)


def serialise_model(model: Model) -> bytes:
    """``model`` as the bytes of a .tflite file: equal parts shared, constants aligned."""
    builder = _SharingBuilder(1 << 20)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def write_model(model: Model, path: Path) -> int:
    """Write ``model`` to ``path`` in one step and return the size in bytes."""
    data = serialise_model(model)
    path = Path(path)
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(beside).chmod(0o644)  # mkstemp keeps the file to its owner; a model is shared
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return len(data)


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """A flatbuffer builder that writes equal vectors, strings and tables once.

    Every finished part is looked up by its content, in which other parts stand as their
    offsets: those are shared already, so equal offsets mean equal parts. Where the content is
    known, the part just written is taken back and the offset of the first one is returned.
    """

    def __init__(self, initial_size: int) -> None:
        super().__init__(initial_size)
        self._known: dict[Hashable, int] = {}
        self._start = 0  # offset before the open part, to which a known part is taken back
        self._padded = 0  # the same after the padding that aligns the open vector
        self._alignment = 1
        self._references: list[int] = []  # offsets held by the open vector
        self._fields: list[Hashable] = []  # fields of the open table

    def _shared(self, content: Hashable, offset: int) -> int:
        first = self._known.setdefault(content, offset)
        if first != offset:
            self.head = len(self.Bytes) - self._start
        return first

    # Vectors and strings.

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
        self._start = self.Offset()
        self._references = []
        if elemSize == 1:  # vectors of bytes are the constants
            alignment = _CONSTANT_ALIGNMENT
        self._alignment = alignment
        self._padded = int(super().StartVector(elemSize, numElems, alignment))
        return self._padded

    def CreateString(self, s: str | bytes, encoding: str = "utf-8", errors: str = "strict") -> int:
        content = ("string", s)
        if content not in self._known:
            self._start = self._padded = self.Offset()
            self._references = []
            self._known[content] = int(super().CreateString(s, encoding, errors))
        return self._known[content]

    def PrependUOffsetTRelative(self, off: int) -> None:
        super().PrependUOffsetTRelative(off)
        self._references.append(off)

    def EndVector(self, numElems: int | None = None) -> int:
        offset = int(super().EndVector(numElems))
        if self._references:
            return self._shared(("references", *self._references), offset)
        written = bytes(self.Bytes[self.head : len(self.Bytes) - self._padded])
        return self._shared(("vector", self._alignment, written), offset)

    # Tables.

    def StartObject(self, numfields: int) -> None:
        super().StartObject(numfields)
        self._start = self.Offset()
        self._fields = []

    def PrependSlot(self, flags: Any, o: int, x: Any, d: Any) -> None:
        super().PrependSlot(flags, o, x, d)
        if x != d:
            self._fields.append((o, flags, x))

    def PrependUOffsetTRelativeSlot(self, o: int, x: int, d: int) -> None:
        super().PrependUOffsetTRelativeSlot(o, x, d)
        if x != d:
            self._fields.append((o, "offset", x))

    def EndObject(self) -> int:
        start = self._start
        offset = int(super().EndObject())
        self._start = start
        return self._shared(("table", *self._fields), offset)


def merge_signatures(models: Mapping[str, Model], *, keep_names: bool = False) -> Model:
    """One model with a signature for each of ``models``, under the mapping's keys.

    The models are not changed. Kept is what the runtime reads: metadata, recorded float
    ranges, unused tensors and, unless ``keep_names``, the names of inner tensors are dropped.
    Tensors are numbered in order of their use, so that graphs of equal structure have equal
    operators, which are then written once.

    Args:
        models: signature name to a model of one subgraph and one signature.
        keep_names: keep the names of all tensors, at some 50 bytes for each.

    Raises:
        ConversionError: no model, or a model with several subgraphs or without a signature.
    """
    if not models:
        raise ConversionError("there is no model to merge")
    merged = schema.ModelT(
        version=_FORMAT_VERSION,
        operatorCodes=[],
        buffers=[schema.BufferT()],  # the format reserves buffer 0 for "no data"
        subgraphs=[],
        signatureDefs=[],
    )
    buffers: dict[bytes, int] = {}
    codes: dict[tuple[int, bytes | None, int], int] = {}
    for name, model in models.items():
        if len(model.subgraphs) != 1 or len(model.signatureDefs or ()) != 1:
            raise ConversionError(
                f"the model for signature {name!r} has {len(model.subgraphs)} subgraphs and "
                f"{len(model.signatureDefs or ())} signatures; merging wants one of each"
            )
        subgraph, signature = _compact(model, keep_names=keep_names)
        for tensor in subgraph.tensors:
            data = _buffer_bytes(model, tensor)
            tensor.buffer = 0
            if data:
                if data not in buffers:
                    buffers[data] = len(merged.buffers)
                    merged.buffers.append(schema.BufferT(data=np.frombuffer(data, np.uint8)))
                tensor.buffer = buffers[data]
        for operator in subgraph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            key = (_builtin(code), code.customCode, code.version)
            if key not in codes:
                codes[key] = len(merged.operatorCodes)
                merged.operatorCodes.append(code)
            operator.opcodeIndex = codes[key]
        subgraph.name = signature.signatureKey = name.encode()
        signature.subgraphIndex = len(merged.subgraphs)
        merged.subgraphs.append(subgraph)
        merged.signatureDefs.append(signature)
    return merged


def split_signatures(model: Model) -> dict[str, Model]:
    """The opposite of merging: a model of one subgraph for each signature, by its name.

    The models share their constants with ``model``. A model that was written without
    signatures gives its first subgraph under the name "main".
    """
    if not model.signatureDefs:
        return {"main": _only(model, model.subgraphs[0], None)}
    return {
        signature.signatureKey.decode(): _only(
            model, model.subgraphs[signature.subgraphIndex], signature
        )
        for signature in model.signatureDefs
    }


def _only(model: Model, subgraph: Any, signature: Any) -> Model:
    single = copy.copy(model)
    single.subgraphs = [subgraph]
    single.metadata = single.metadataBuffer = None
    if signature is not None:
        signature = copy.copy(signature)
        signature.subgraphIndex = 0
        single.signatureDefs = [signature]
    return single


def _compact(model: Model, *, keep_names: bool) -> tuple[Any, Any]:
    """Copies of the only subgraph and signature, tensors numbered in order of their use."""
    source = model.subgraphs[0]
    subgraph = copy.copy(source)
    signature = copy.copy(model.signatureDefs[0])
    numbers: dict[int, int] = {-1: -1}  # -1 stands for an optional input that is not given

    def renumber(indices: Any) -> Any:
        if indices is None:
            return None
        for index in indices:
            if int(index) not in numbers:
                numbers[int(index)] = len(numbers) - 1
        return np.array([numbers[int(index)] for index in indices], np.int32)

    subgraph.inputs = renumber(source.inputs)
    subgraph.operators = []
    for operator in source.operators or ():
        operator = copy.copy(operator)
        operator.inputs = renumber(operator.inputs)
        operator.outputs = renumber(operator.outputs)
        operator.intermediates = renumber(operator.intermediates)
        operator.debugMetadataIndex = -1
        subgraph.operators.append(operator)
    subgraph.outputs = renumber(source.outputs)
    subgraph.debugMetadataIndex = -1
    for maps in ("inputs", "outputs"):
        renumbered = [copy.copy(entry) for entry in getattr(signature, maps) or ()]
        for entry in renumbered:
            entry.tensorIndex = int(renumber([entry.tensorIndex])[0])
        setattr(signature, maps, renumbered)

    ends = {*subgraph.inputs.tolist(), *subgraph.outputs.tolist()}
    subgraph.tensors = []
    for old, new in sorted(numbers.items(), key=lambda item: item[1]):
        if new < 0:
            continue
        tensor = copy.copy(source.tensors[old])
        if not keep_names and new not in ends:
            tensor.name = None
        tensor.quantization = _without_ranges(tensor.quantization)
        subgraph.tensors.append(tensor)
    return subgraph, signature


def _without_ranges(quantization: Any) -> Any:
    """Scales and zero points only: the float ranges are a record that no runtime reads."""
    if quantization is None or (quantization.scale is None and quantization.details is None):
        return None
    kept = copy.copy(quantization)
    kept.min = kept.max = None
    return kept


def _buffer_bytes(model: Model, tensor: Any) -> bytes:
    data = model.buffers[tensor.buffer].data
    return b"" if data is None else np.asarray(data, np.uint8).tobytes()


def _builtin(code: Any) -> int:
    # Old models state the operator in the one-byte field that the wider one replaced.
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def operator_name(model: Model, operator: Any) -> str:
    """The schema's name of an operator, such as "CONV_2D"; "CUSTOM:name" for a custom one."""
    code = model.operatorCodes[operator.opcodeIndex]
    name = _BUILTIN_NAMES.get(_builtin(code), f"OPERATOR_{_builtin(code)}")
    return f"CUSTOM:{code.customCode.decode()}" if name == "CUSTOM" and code.customCode else name


def type_name(tensor: Any) -> str:
    """The schema's name of a tensor's element type, such as "INT8"."""
    return _TYPE_NAMES.get(tensor.type, f"TYPE_{tensor.type}")


def tensor_shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)


def is_constant(model: Model, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def constant_value(model: Model, tensor: Any) -> NDArray[Any] | None:
    """The value of a constant tensor in its own type and shape; None for an activation.

    Raises:
        ConversionError: the tensor has a type without a numpy counterpart, such as INT4.
    """
    if not is_constant(model, tensor):
        return None
    if tensor.type not in _NUMPY_TYPES:
        raise ConversionError(f"constants of type {type_name(tensor)} are not supported")
    data = _buffer_bytes(model, tensor)
    return np.frombuffer(data, _NUMPY_TYPES[tensor.type]).reshape(tensor_shape(tensor))
