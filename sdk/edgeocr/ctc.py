"""Greedy decoding of a CTC recogniser's output.

The best path of Graves et al. (ICML 2006): take the likeliest class of every step, merge
repeats, drop blanks. Quantized outputs are decoded as the integers that they are: argmax
needs no dequantization, and probabilities are worked out only for the steps that are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

BLANK: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CtcPath:
    """What a line reads, as runs of steps; n runs, none of them blank."""

    indices: NDArray[np.intp]
    """(n,) class of each run; class i + 1 is character i of the charset."""
    scores: NDArray[np.float32]
    """(n,) probability of the class at the first step of its run, in [0, 1]."""
    starts: NDArray[np.intp]
    """(n,) first step of each run."""
    ends: NDArray[np.intp]
    """(n,) last step of each run, inclusive."""
    steps: int
    """Length of the whole sequence, T."""

    @property
    def score(self) -> float:
        """Mean of ``scores``; 0 for an empty line."""
        return float(self.scores.mean()) if len(self.scores) else 0.0


def greedy_path(
    scores_TK: NDArray[np.int8] | NDArray[np.float32],
    *,
    outputs: Literal["logits", "probabilities"],
    scale: float = 1.0,
    zero_point: int = 0,
) -> CtcPath:
    """Decode one line.

    Args:
        scores_TK: (T, K) of T steps and K classes, class 0 the blank; int8 as the model
            emits it, or float32 with ``scale=1, zero_point=0``.
        outputs: what the real values ``(q - zero_point) * scale`` are.
        scale: of the quantization.
        zero_point: of the quantization.

    Returns:
        The path. Of equal classes the lowest wins, so a quantized blank wins its ties.
    """
    best_T = scores_TK.argmax(axis=1)
    steps = len(best_T)
    run_starts = np.flatnonzero(np.diff(best_T, prepend=-1))
    run_ends = np.append(run_starts[1:], steps) - 1 if steps else run_starts
    kept = best_T[run_starts] != BLANK
    starts, ends = run_starts[kept], run_ends[kept]
    indices = best_T[starts]
    if outputs == "probabilities":
        values = (scores_TK[starts, indices].astype(np.float32) - zero_point) * scale
        scores = np.clip(values, 0, 1)
    else:
        scores = _softmax_of_best(scores_TK, starts, indices, scale)
    return CtcPath(
        indices=indices,
        scores=scores.astype(np.float32),
        starts=starts,
        ends=ends,
        steps=steps,
    )


def _softmax_of_best(
    scores_TK: NDArray[Any], steps_n: NDArray[np.intp], best_n: NDArray[np.intp], scale: float
) -> NDArray[np.float32]:
    """exp(l_best) / Σ exp(l) = 1 / Σ exp(l - l_best), which cannot overflow.

    Step by step: a long line with 6,625 classes would take 10 MB at once, and a thread each.
    """
    sums = np.empty(len(steps_n), dtype=np.float32)
    distances_K = np.empty(scores_TK.shape[1], dtype=np.float32)
    # Distances of int8 values fit 0..255: 256 exponentials serve all steps and classes.
    powers = np.exp(-scale * np.arange(256)).astype(np.float32)
    for i, (step, best) in enumerate(zip(steps_n, best_n, strict=True)):
        logits_K = scores_TK[step]
        if logits_K.dtype == np.int8:
            below_best = logits_K[best].view(np.uint8) - logits_K.view(np.uint8)
            sums[i] = powers[below_best].sum()
        else:
            np.subtract(logits_K, logits_K[best], out=distances_K)
            sums[i] = np.exp(distances_K, out=distances_K).sum()
    return np.reciprocal(sums)
