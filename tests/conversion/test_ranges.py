from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edgeocr_conversion.flatbuffer import Model
from edgeocr_conversion.ranges import Histogram, Range, choose_range, choose_ranges

MakeTflite = Callable[..., Model]

VALUES = arrays(
    np.float32,
    st.integers(1, 40),
    elements=st.floats(-1000, 1000, width=32, allow_subnormal=False),
)


def _histogram(values: NDArray[np.float32]) -> Histogram:
    histogram = Histogram()
    histogram.add(np.asarray(values, np.float32))
    return histogram


def _loss(values: NDArray[np.float32], chosen: Range) -> float:
    """Squared error of the values in 8 bits of a range."""
    halves = values.astype(np.float16).astype(np.float64)
    scale = (chosen.high - chosen.low) / 255
    zero_point = np.round(-chosen.low / scale)
    steps = np.clip(np.round(halves / scale) + zero_point, 0, 255)
    return float((((steps - zero_point) * scale - halves) ** 2).sum())


@given(VALUES)
def test_minmax_keeps_every_value(values: NDArray[np.float32]) -> None:
    chosen = choose_range(_histogram(values), method="minmax")
    halves = values.astype(np.float16)  # values are counted to 11 bits
    assert chosen.low <= min(halves.min(), 0)
    assert chosen.high >= max(halves.max(), 0)


@given(VALUES)
def test_least_squares_hold_zero_and_lose_no_more_than_minmax(
    values: NDArray[np.float32],
) -> None:
    histogram = _histogram(values)
    chosen = choose_range(histogram, method="mse")
    whole = choose_range(histogram, method="minmax")
    assert whole.low <= chosen.low <= 0 <= chosen.high
    # float64 sums in another order
    assert _loss(values, chosen) <= _loss(values, whole) * (1 + 1e-9) + 1e-12


def test_an_outlier_is_given_up_for_the_rest() -> None:
    """One 40 among two million values: half of it lost costs less than finer steps give."""
    histogram = _histogram(np.array([40], np.float32))
    usual = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    for _ in range(20):
        histogram.add(usual)
    chosen = choose_range(histogram, method="mse")
    assert 4 < chosen.high < 25
    assert -6 < chosen.low < -3


def test_a_dead_tensor_gets_a_scale_that_xnnpack_takes() -> None:
    for histogram in (Histogram(), _histogram(np.zeros(8, np.float32))):
        for method in ("minmax", "mse"):
            chosen = choose_range(histogram, method=method)
            assert chosen.low == 0
            assert (chosen.high - chosen.low) / 255 >= 1e-5


def test_values_beyond_float16_count_as_its_largest() -> None:
    chosen = choose_range(_histogram(np.array([-1e9, 1e9], np.float32)), method="minmax")
    assert (chosen.low, chosen.high) == (-65504, 65504)


def test_many_values_are_taken_together_with_the_extremes_kept() -> None:
    values = np.random.default_rng(0).normal(size=200_000).astype(np.float32)
    distinct, counts = _histogram(values).values()
    assert len(distinct) < 9000
    assert counts.sum() == len(values)
    assert distinct[0] == values.astype(np.float16).min()
    assert distinct[-1] == values.astype(np.float16).max()
    assert (np.diff(distinct) > 0).all()
    assert counts @ distinct / len(values) == pytest.approx(values.mean(), abs=1e-3)


def _gate_model(make_tflite: MakeTflite, gate: str) -> Model:
    """A gate's argument x and its product y, in the form that each gate has in a model."""
    shape = (1, 4, 4, 2)
    three = np.array([3 if gate != "add four" else 4], np.float32)
    relu6 = schema.AddOptionsT(fusedActivationFunction=schema.ActivationFunctionType.RELU6)
    kinds = {
        "swish": ("LOGISTIC", ["x"], "g", None),
        "unclipped": ("ADD", ["x", "three"], "g", schema.AddOptionsT()),
    }
    first = kinds.get(gate, ("ADD", ["three", "x"], "g", relu6))
    operators = [first, ("MUL", ["x", "g"], "y", schema.MulOptionsT())]
    tensors = {"x": shape, "three": three, "g": shape, "y": shape}
    if gate == "read elsewhere":
        tensors["z"] = shape
        operators.append(("LOGISTIC", ["x"], "z", None))
    return make_tflite(tensors, operators)


WIDE = np.random.default_rng(0).normal(size=100_000).astype(np.float32) * 8


def _chosen(make_tflite: MakeTflite, gate: str) -> Range:
    model = _gate_model(make_tflite, gate)
    return choose_ranges(model, {"x": _histogram(WIDE)}, method="mse")["x"]


def test_the_argument_of_a_hard_swish_is_kept_from_minus_three(make_tflite: MakeTflite) -> None:
    """All below gives 0: half of what the tensor holds need not be told apart."""
    chosen = _chosen(make_tflite, "hard-swish")
    assert -3.5 < chosen.low < -2.5
    assert chosen.high > 20


def test_the_argument_of_a_swish_is_kept_to_where_it_vanishes(make_tflite: MakeTflite) -> None:
    assert -9 < _chosen(make_tflite, "swish").low < -4


def test_the_argument_of_a_sigmoid_is_kept_to_where_it_saturates(make_tflite: MakeTflite) -> None:
    """A range of [-160, 160] would leave no probability between 0.22 and 0.5."""
    shape = (1, 4, 4, 2)
    operator = ("LOGISTIC", ["x"], "y", None)
    model = make_tflite({"x": shape, "y": shape}, [operator])
    chosen = choose_ranges(model, {"x": _histogram(5 * WIDE)}, method="mse")["x"]
    assert -9 < chosen.low < -4
    assert 4 < chosen.high < 9


def test_the_argument_of_a_gelu_is_kept_to_where_it_vanishes(make_tflite: MakeTflite) -> None:
    shape = (1, 4, 4, 2)
    model = make_tflite({"x": shape, "y": shape}, [("GELU", ["x"], "y", schema.GeluOptionsT())])
    chosen = choose_ranges(model, {"x": _histogram(WIDE)}, method="mse")["x"]
    assert -4 < chosen.low < -1.5
    assert chosen.high > 20


@pytest.mark.parametrize("gate", ["unclipped", "add four", "read elsewhere"])
def test_other_readers_need_the_values_themselves(make_tflite: MakeTflite, gate: str) -> None:
    plain = choose_range(_histogram(WIDE), method="mse")
    assert plain.low < -20
    assert _chosen(make_tflite, gate) == plain
