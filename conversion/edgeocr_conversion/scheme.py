"""How a model becomes integers: what a caller or an official model's entry may choose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Method = Literal["minmax", "mse"]
"""Of choosing activation ranges, see :func:`edgeocr_conversion.ranges.choose_range`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationScheme:
    """How a model becomes integers."""

    ranges: Method = "mse"
    optimal_rounding: bool = True
    """Weights by GPTQ; to the nearest step where False."""
    bias_correction: bool = True
    """Takes back what quantization adds to the mean of every layer's output; see
    :mod:`.bias_correction`."""
    shared_steps: bool = False
    """One step for the input and the output of additions of constants; see
    :mod:`.constant_additions`. It relies on ``bias_correction``."""
    gate_ratio: float = 1.4
    """Gates are split where the widest channel before them is this much wider than the median
    one; see :mod:`.equalisation`."""
    float_layers: int = 0
    """Convolutions from the input on that stay float, with what stands between them. The first
    maps are the widest and have the fewest channels: little arithmetic, and noise that every
    later layer sees."""
    float_operators: frozenset[str] = field(default_factory=frozenset)
    """Operators that stay float beside attention's, by the name of their output tensor; the name
    of the model's input keeps that float."""
