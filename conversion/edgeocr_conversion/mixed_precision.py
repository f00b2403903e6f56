"""Which operators of a model are kept from integers, and why.

Attention and layer normalisation work on tokens: a row per time step, no map. They divide by
standard deviations and exponentiate, which INT8 does badly, and they are a small part of a
recogniser's arithmetic. Their activations stay float. Their matrix
products, and the classification head behind them, keep INT8 weights: XNNPACK quantizes such a
layer's input by row when it runs.
"""

from __future__ import annotations

from typing import Any, Final

from edgeocr_conversion.flatbuffer import Model, operator_name, tensor_shape

_TOKEN_KINDS: Final = frozenset(
    {
        "BATCH_MATMUL",
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "DIV",
        "RSQRT",
        "SOFTMAX",
        "SPLIT",
        "SQRT",
        "SUB",
        "TRANSPOSE",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    }
)
_MATRIX_PRODUCT: Final = "FULLY_CONNECTED"


def token_operators(model: Model) -> tuple[frozenset[str], frozenset[str]]:
    """Splits the token part of a float model from its maps.

    Returns:
        The operators that stay float, and the matrix products among the token operators, whose
        weights become integers; both by the name of the output tensor.
    """
    subgraph = model.subgraphs[0]
    operators = subgraph.operators
    producers = {int(index): o for o in operators for index in o.outputs}
    readers: dict[int, list[Any]] = {}
    for operator in operators:
        for index in operator.inputs:
            readers.setdefault(int(index), []).append(operator)
    tokens = {
        id(operator)
        for operator in operators
        if operator_name(model, operator) in _TOKEN_KINDS
        or len(tensor_shape(subgraph.tensors[operator.outputs[0]])) != 4
    }
    if not any(operator_name(model, o) in _TOKEN_KINDS for o in operators if id(o) in tokens):
        return frozenset(), frozenset()  # a head over a pooled map is not a token part
    # What lies between token operators only, such as the scaling of queries, is one of them.
    grew = True
    while grew:
        grew = False
        for operator in operators:
            if id(operator) in tokens:
                continue
            before = [producers[int(i)] for i in operator.inputs if int(i) in producers]
            after = readers.get(int(operator.outputs[0]), [])
            if before and after and all(id(o) in tokens for o in (*before, *after)):
                tokens.add(id(operator))
                grew = True
    products = {
        name
        for operator in operators
        if id(operator) in tokens and operator_name(model, operator) == _MATRIX_PRODUCT
        for name in (subgraph.tensors[operator.outputs[0]].name.decode(),)
    }
    names = {
        subgraph.tensors[operator.outputs[0]].name.decode()
        for operator in operators
        if id(operator) in tokens
    }
    return frozenset(names - products), frozenset(products)
