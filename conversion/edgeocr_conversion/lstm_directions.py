"""Takes back what onnx2tf does behind an LSTM that reads in both directions.

TFLite's operator hands over both readings of a step side by side, as the next layer wants them.
ONNX has them one after the other, so onnx2tf splits them, stacks them and, where the ONNX graph
brings them together again, reshapes. Every value is where it was before: the reshape alone is left.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from edgeocr_conversion.flatbuffer import Model, operator_name, tensor_shape

_LSTM: Final = "BIDIRECTIONAL_SEQUENCE_LSTM"


def keep_directions_together(model: Model) -> None:
    """Removes the split and what undoes it, wherever nothing else reads what is between."""
    for subgraph in model.subgraphs:
        for operator in list(subgraph.operators):
            if operator_name(model, operator) == "SPLIT":
                _join(model, subgraph, operator)


def _join(model: Model, subgraph: Any, split: Any) -> None:
    """Works on one LSTM; leaves it if anything is other than described above."""
    merged = int(split.inputs[-1])
    maker = next((o for o in subgraph.operators if merged in o.outputs), None)
    if maker is None or operator_name(model, maker) != _LSTM or len(split.outputs) != 2:
        return
    removed = [split]
    halves = []
    for output in split.outputs:
        reshape = _sole_reader(model, subgraph, int(output), "RESHAPE")
        if reshape is None:
            return
        removed.append(reshape)
        halves.append(int(reshape.outputs[0]))
    stack = _sole_reader(model, subgraph, halves[0], "CONCATENATION")
    if stack is None or [int(index) for index in stack.inputs] != halves:
        return
    last = _sole_reader(model, subgraph, int(stack.outputs[0]), "RESHAPE")
    if last is None:
        return
    # Stacked behind the steps: a step's two readings follow each other in memory.
    stacked = _shape(subgraph, int(stack.outputs[0]))
    steps = int(np.prod(stacked[: stack.builtinOptions.axis]))
    if steps != int(np.prod(_shape(subgraph, merged)[:-1])):
        return
    gone = {id(operator) for operator in (*removed, stack)}
    subgraph.operators = [o for o in subgraph.operators if id(o) not in gone]
    last.inputs = np.array([merged, *last.inputs[1:]], np.int32)


def _sole_reader(model: Model, subgraph: Any, index: int, kind: str) -> Any | None:
    """The operator that reads a tensor, if it is the only one, and of this kind."""
    readers = [operator for operator in subgraph.operators if index in operator.inputs]
    if len(readers) != 1 or index in subgraph.outputs or operator_name(model, readers[0]) != kind:
        return None
    return readers[0]


def _shape(subgraph: Any, index: int) -> tuple[int, ...]:
    return tensor_shape(subgraph.tensors[index])
