"""Takes back layouts that onnx2tf leaves in channels-first order.

ONNX keeps maps as (batch, channels, height, width), TFLite as (batch, height, width, channels).
onnx2tf sometimes transposes a map back, works on it channels-first for a few operators (a
squeeze-excite block behind a ReLU, for instance), and transposes the result again. In between
no convolution can take the ReLU in, and XNNPACK has none of its own for integers.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from edgeocr_conversion.flatbuffer import Model, constant_value, operator_name, tensor_shape

_TO_CHANNELS_FIRST: Final = (0, 3, 1, 2)
_TO_CHANNELS_LAST: Final = (0, 2, 3, 1)
_POINTWISE: Final = frozenset({"ADD", "LOGISTIC", "MUL", "RELU", "RELU6"})
_NO_ACTIVATION: Final = 0  # ActivationFunctionType.NONE
_RELU: Final = 1  # ActivationFunctionType.RELU
_WITH_ACTIVATION: Final = frozenset({"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})


def restore_channels_last(model: Model) -> None:
    """Removes every pair of transposes with only pointwise and pooling operators between them,
    and fuses the ReLUs that were cut off from their convolution by it.
    """
    for subgraph in model.subgraphs:
        for operator in list(subgraph.operators):
            if _permutation(model, subgraph, operator) == _TO_CHANNELS_FIRST:
                _restore(model, subgraph, operator)
        _fuse_relus(model, subgraph)


def _permutation(model: Model, subgraph: Any, operator: Any) -> tuple[int, ...] | None:
    if operator_name(model, operator) != "TRANSPOSE":
        return None
    value = constant_value(model, subgraph.tensors[operator.inputs[1]])
    return None if value is None else tuple(int(axis) for axis in value)


def _restore(model: Model, subgraph: Any, entry: Any) -> None:
    """Works on one island, from the transpose that enters it; leaves it if it isn't closed."""
    members: list[Any] = []
    exits: list[Any] = []
    maps = {int(entry.outputs[0])}  # tensors that are channels-first
    for operator in subgraph.operators:
        touched = [int(i) for i in operator.inputs if int(i) in maps]
        if not touched or operator is entry:
            continue
        kind = operator_name(model, operator)
        if _permutation(model, subgraph, operator) == _TO_CHANNELS_LAST:
            exits.append(operator)
            continue
        if kind == "RESHAPE" and _is_flip(subgraph, operator):
            members.append(operator)  # leaves the island as (1, 1, 1, C)
            continue
        pools = kind == "MEAN" and _axes(model, subgraph, operator) == (2, 3)
        if kind not in _POINTWISE and not pools:
            return
        members.append(operator)
        maps.add(int(operator.outputs[0]))
        for index in operator.inputs:
            if int(index) in maps or constant_value(model, subgraph.tensors[index]) is not None:
                continue
            # The other operand: a gate that was flipped to (1, C, 1, 1) on its way in.
            source = next((o for o in subgraph.operators if index in o.outputs), None)
            if source is None or operator_name(model, source) != "RESHAPE":
                source = _flip_behind(model, subgraph, index)
            if source is None or not _is_flip(subgraph, source):
                return
    constants = [
        int(index)
        for operator in members
        if operator_name(model, operator) in _POINTWISE
        for index in operator.inputs
        if constant_value(model, subgraph.tensors[index]) is not None
    ]
    if not exits or any(_size(subgraph, index) > 1 for index in constants):
        return
    _relabel(model, subgraph, entry, members, exits)


def _flip_behind(model: Model, subgraph: Any, index: int) -> Any | None:
    """The reshape that a gate (1, C, 1, 1) came through, pointwise operators apart."""
    while True:
        source = next((o for o in subgraph.operators if index in o.outputs), None)
        if source is None or operator_name(model, source) == "RESHAPE":
            return source
        if operator_name(model, source) not in _POINTWISE:
            return None
        index = next(
            int(i) for i in source.inputs if constant_value(model, subgraph.tensors[i]) is None
        )


def _is_flip(subgraph: Any, operator: Any) -> bool:
    """(1, C, 1, 1) to (1, 1, 1, C) or back."""
    shapes = [
        tensor_shape(subgraph.tensors[index]) for index in (operator.inputs[0], operator.outputs[0])
    ]
    return all(len(shape) == 4 and max(shape) == np.prod(shape) for shape in shapes)


def _axes(model: Model, subgraph: Any, operator: Any) -> tuple[int, ...]:
    value = constant_value(model, subgraph.tensors[operator.inputs[1]])
    return () if value is None else tuple(sorted(int(axis) for axis in value.reshape(-1)))


def _size(subgraph: Any, index: int) -> int:
    return int(np.prod(tensor_shape(subgraph.tensors[index])))


def _relabel(model: Model, subgraph: Any, entry: Any, members: list[Any], exits: list[Any]) -> None:
    """Permutes the shapes of an island's tensors and takes the transposes out."""
    gates = _gates(model, subgraph, members)
    for operator in (*members, *gates):
        tensor = subgraph.tensors[operator.outputs[0]]
        shape = tensor_shape(tensor)
        if operator_name(model, operator) == "RESHAPE":
            # Both sides hold C values in one order: the flip has nothing left to do.
            flat = (1, 1, 1, max(shape))
            tensor.shape = np.array(flat, np.int32)
            target = subgraph.tensors[operator.inputs[1]]
            model.buffers[target.buffer].data = np.frombuffer(
                np.array(flat, np.int32).tobytes(), np.uint8
            )
            operator.builtinOptions.newShape = np.array(flat, np.int32)
            continue
        tensor.shape = np.array([shape[axis] for axis in _TO_CHANNELS_LAST], np.int32)
        if operator_name(model, operator) == "MEAN":
            axes = subgraph.tensors[operator.inputs[1]]
            model.buffers[axes.buffer].data = np.frombuffer(
                np.array([1, 2], np.int32).tobytes(), np.uint8
            )
    replaced = {int(entry.outputs[0]): int(entry.inputs[0])}
    replaced |= {int(out.outputs[0]): int(out.inputs[0]) for out in exits}
    removed = {id(entry), *(id(out) for out in exits)}
    subgraph.operators = [o for o in subgraph.operators if id(o) not in removed]
    for operator in subgraph.operators:
        operator.inputs = np.array(
            [_followed(replaced, int(index)) for index in operator.inputs], np.int32
        )
    subgraph.outputs = np.array(
        [_followed(replaced, int(index)) for index in subgraph.outputs], np.int32
    )
    for signature in model.signatureDefs or ():
        for output in signature.outputs:
            output.tensorIndex = _followed(replaced, int(output.tensorIndex))


def _followed(replaced: dict[int, int], index: int) -> int:
    while index in replaced:
        index = replaced[index]
    return index


def _gates(model: Model, subgraph: Any, members: list[Any]) -> list[Any]:
    """Pointwise operators and flips on the way of a gate into the island."""
    inside = {id(operator) for operator in members}
    found: list[Any] = []
    pending = [int(i) for o in members if operator_name(model, o) == "MUL" for i in o.inputs]
    while pending:
        index = pending.pop()
        source = next((o for o in subgraph.operators if index in o.outputs), None)
        if source is None or id(source) in inside:
            continue
        kind = operator_name(model, source)
        if kind != "RESHAPE" and kind not in _POINTWISE:
            continue
        inside.add(id(source))
        found.append(source)
        if kind != "RESHAPE":
            pending += [int(i) for i in source.inputs]
    return found


def _fuse_relus(model: Model, subgraph: Any) -> None:
    for relu in list(subgraph.operators):
        if operator_name(model, relu) != "RELU":
            continue
        source = next((o for o in subgraph.operators if relu.inputs[0] in o.outputs), None)
        readers = [o for o in subgraph.operators if relu.inputs[0] in o.inputs]
        if source is None or len(readers) != 1:
            continue
        if operator_name(model, source) not in _WITH_ACTIVATION:
            continue
        if source.builtinOptions.fusedActivationFunction != _NO_ACTIVATION:
            continue
        source.builtinOptions.fusedActivationFunction = _RELU
        source.outputs = relu.outputs
        subgraph.operators = [o for o in subgraph.operators if o is not relu]
