from collections.abc import Callable

import numpy as np

from edgeocr_conversion.flatbuffer import Model
from edgeocr_conversion.mixed_precision import token_operators

MakeTflite = Callable[..., Model]

MAP = (1, 1, 8, 4)
TOKENS = (1, 8, 4)


def test_attention_stays_float_and_its_products_keep_integer_weights(
    make_tflite: MakeTflite,
) -> None:
    matrix = np.ones((4, 4), np.float32)
    shape = np.array(TOKENS, np.int32)
    model = make_tflite(
        {
            "x": MAP,
            "kernel": np.ones((4, 1, 1, 4), np.float32),
            "map": MAP,
            "shape": shape,
            "tokens": TOKENS,
            "matrix": matrix,
            "queries": TOKENS,
            "half": np.array([0.5], np.float32),
            "scaled": MAP,
            "weights": (1, 8, 8),
            "shares": (1, 8, 8),
            "y": TOKENS,
        },
        [
            ("CONV_2D", ["x", "kernel", ""], "map", None),
            ("RESHAPE", ["map", "shape"], "tokens", None),
            ("FULLY_CONNECTED", ["tokens", "matrix", ""], "queries", None),
            ("MUL", ["queries", "half"], "scaled", None),  # four axes, but between tokens only
            ("BATCH_MATMUL", ["scaled", "tokens"], "weights", None),
            ("SOFTMAX", ["weights"], "shares", None),
            ("BATCH_MATMUL", ["shares", "tokens"], "y", None),
        ],
    )
    floats, products = token_operators(model)
    assert floats == {"tokens", "scaled", "weights", "shares", "y"}
    assert products == {"queries"}


def test_a_head_over_a_pooled_map_is_no_token_part(make_tflite: MakeTflite) -> None:
    model = make_tflite(
        {
            "x": MAP,
            "axes": np.array([1, 2], np.int32),
            "pooled": (1, 4),
            "matrix": np.ones((2, 4), np.float32),
            "y": (1, 2),
        },
        [
            ("MEAN", ["x", "axes"], "pooled", None),
            ("FULLY_CONNECTED", ["pooled", "matrix", ""], "y", None),
        ],
    )
    assert token_operators(model) == (frozenset(), frozenset())


def test_a_map_beside_the_tokens_stays_a_map(make_tflite: MakeTflite) -> None:
    """What is read by a map too is quantized with it."""
    model = make_tflite(
        {
            "x": MAP,
            "map": MAP,
            "order": np.array([0, 3, 1, 2], np.int32),
            "tokens": (1, 4, 1, 8),
            "y": MAP,
        },
        [
            ("LOGISTIC", ["x"], "map", None),
            ("TRANSPOSE", ["map", "order"], "tokens", None),
            ("MUL", ["x", "map"], "y", None),
        ],
    )
    assert token_operators(model) == (frozenset({"tokens"}), frozenset())
