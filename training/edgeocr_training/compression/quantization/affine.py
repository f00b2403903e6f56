"""Affine quantization: a real value r is stored as the int8 q with ``r = scale (q - zero_point)``.

Jacob et al., arXiv:1712.05877, eq. 1. The arithmetic of ranges stands here once, for training,
calibration and conversion alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

LOWEST: Final = -128
HIGHEST: Final = 127
SMALLEST_SCALE: Final = 1e-5
"""A tensor that is always zero would get a scale for which XNNPACK makes no runtime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AffineQuantization:
    """Of one activation."""

    scale: float
    """Positive, and a float32 exactly: that is what a TFLite file holds."""
    zero_point: int
    """In [-128, 127]."""

    @property
    def low(self) -> float:
        """The least value that is represented."""
        return (LOWEST - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """The greatest value that is represented."""
        return (HIGHEST - self.zero_point) * self.scale

    def times(self, factor: float) -> AffineQuantization:
        """Of the tensor that holds ``factor`` times the value by the same integers."""
        return AffineQuantization(
            scale=float(np.float32(self.scale * factor)), zero_point=self.zero_point
        )


UNIT: Final = AffineQuantization(scale=1 / 256, zero_point=-128)
"""Of [0, 1): what TFLite demands of a sigmoid's output."""
UP_TO_6: Final = AffineQuantization(scale=float(np.float32(6 / 254)), zero_point=-128)
"""Of relu6(x + 3). An even number of steps, so that 3, the value for every x that is 0, is an
integer and not a tie between two."""
CONSTANT_3: Final = AffineQuantization(scale=float(np.float32(3 / HIGHEST)), zero_point=0)
"""Of the 3 in relu6(x + 3), whose integer is 127."""
