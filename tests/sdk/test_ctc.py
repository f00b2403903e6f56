"""Greedy CTC: collapse, confidences, steps; integers decide like the floats that they stand for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edgeocr.ctc import BLANK, greedy_path

logits_st = arrays(
    np.float32,
    st.tuples(st.integers(1, 30), st.integers(2, 12)),
    elements=st.floats(-20, 20, width=16),
)
int8_st = arrays(np.int8, st.tuples(st.integers(1, 30), st.integers(2, 12)))


def _one_hot(labels: list[int], classes: int = 5) -> NDArray[np.float32]:
    return np.eye(classes, dtype=np.float32)[labels] * 0.8 + 0.1


def test_collapse_by_hand() -> None:
    path = greedy_path(_one_hot([0, 1, 1, 0, 1, 2, 2, 2, 0, 0]), outputs="probabilities")
    assert path.indices.tolist() == [1, 1, 2]
    assert path.starts.tolist() == [1, 4, 5]
    assert path.ends.tolist() == [2, 4, 7]
    assert path.steps == 10


def test_scores_are_those_of_the_first_step_of_a_run() -> None:
    probabilities = np.array([[0.3, 0.7], [0.1, 0.9], [0.8, 0.2], [0.4, 0.6]], dtype=np.float32)
    path = greedy_path(probabilities, outputs="probabilities")
    np.testing.assert_allclose(path.scores, [0.7, 0.6])
    assert np.isclose(path.score, 0.65)


def test_a_blank_line_is_empty_and_scores_0() -> None:
    path = greedy_path(_one_hot([0, 0, 0]), outputs="probabilities")
    assert len(path.indices) == len(path.scores) == len(path.starts) == len(path.ends) == 0
    assert path.score == 0.0


@given(logits_st)
def test_path_equals_the_textbook(logits: NDArray[np.float32]) -> None:
    """Merge equal neighbours, then drop blanks; softmax of the first step of each run."""
    best = logits.argmax(axis=1).tolist()
    runs: list[tuple[int, int, int]] = []
    for step, label in enumerate(best):
        if runs and runs[-1][0] == label:
            runs[-1] = (label, runs[-1][1], step)
        else:
            runs.append((label, step, step))
    runs = [run for run in runs if run[0] != BLANK]
    exact = logits.astype(np.float64)
    softmax = np.exp(exact) / np.exp(exact).sum(axis=1, keepdims=True)

    path = greedy_path(logits, outputs="logits")
    assert list(zip(path.indices, path.starts, path.ends, strict=True)) == runs
    expected = [softmax[start, label] for label, start, _ in runs]
    # float32 sums of at most a dozen terms
    np.testing.assert_allclose(path.scores, expected, rtol=1e-5)


@given(int8_st, st.floats(0.01, 0.5), st.integers(-128, 127))
def test_integers_decode_like_their_real_values(
    q: NDArray[np.int8], scale: float, zero_point: int
) -> None:
    real = ((q.astype(np.float64) - zero_point) * scale).astype(np.float32)
    of_integers = greedy_path(q, outputs="logits", scale=scale, zero_point=zero_point)
    of_floats = greedy_path(real, outputs="logits")
    for field in ("indices", "starts", "ends"):
        np.testing.assert_array_equal(getattr(of_integers, field), getattr(of_floats, field))
    # The float32 logits that are compared with carry relative errors of 1e-7 at up to 128.
    np.testing.assert_allclose(of_integers.scores, of_floats.scores, rtol=1e-4)


def test_quantized_probabilities_are_scaled() -> None:
    q = np.array([[-128, 127], [100, -100]], dtype=np.int8)
    path = greedy_path(q, outputs="probabilities", scale=1 / 256, zero_point=-128)
    np.testing.assert_allclose(path.scores, [255 / 256])


def test_huge_logits_do_not_overflow() -> None:
    logits = np.array([[0, 3e38], [-3e38, 3e38]], dtype=np.float32)
    assert greedy_path(logits, outputs="logits", scale=1.0).scores.tolist() == [1.0]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_collapse_is_idempotent(labels: list[int]) -> None:
    """Decoding a decoded sequence, with blanks between repeats, changes nothing."""
    once = greedy_path(_one_hot(labels), outputs="probabilities").indices.tolist()
    spelled = [label for index in once for label in (BLANK, index)] or [BLANK]
    again = greedy_path(_one_hot(spelled), outputs="probabilities").indices.tolist()
    assert again == once


@given(logits_st, st.integers(0, 29))
def test_a_repeated_step_changes_only_the_steps(logits: NDArray[np.float32], step: int) -> None:
    step %= len(logits)
    longer = np.insert(logits, step, logits[step], axis=0)
    path, stretched = (greedy_path(x, outputs="logits") for x in (logits, longer))
    assert path.indices.tolist() == stretched.indices.tolist()
    np.testing.assert_array_equal(path.scores, stretched.scores)
    assert stretched.steps == path.steps + 1


@given(int8_st)
def test_runs_are_ordered_and_within_the_sequence(q: NDArray[np.int8]) -> None:
    path = greedy_path(q, outputs="logits", scale=0.1)
    assert (path.starts <= path.ends).all()
    assert (path.ends[:-1] < path.starts[1:]).all()
    assert ((path.scores > 0) & (path.scores <= 1)).all()
    if len(path.ends):
        assert path.starts[0] >= 0
        assert path.ends[-1] < path.steps
