"""A prepared network in both of its forms, fed with the integers that a device gets."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgeocr_training.compression.quantization.affine import HIGHEST, LOWEST
from edgeocr_training.compression.quantization.deployed import Deployed
from edgeocr_training.compression.quantization.integer_network import run_integers
from edgeocr_training.compression.quantization.lowering import convert

Int8: TypeAlias = NDArray[np.int8]
Form: TypeAlias = Literal["integers", "simulation"]
"""The integer reference, which computes as XNNPACK does; what training sees, floats that are
rounded."""
FORMS: Final[tuple[Form, ...]] = ("integers", "simulation")


class TrainedForms:
    """A prepared student in both of its forms, from the integers of an image to its own."""

    def __init__(self, student: nn.Module) -> None:
        """Builds both.

        Raises:
            QuantizationError: the student is not prepared, or a tensor has no range.
        """
        self._graph = convert(student)
        self._simulation = Deployed(student.eval())

    def above(self, value: float) -> int:
        """The least integer of the output that is more than a value."""
        made = self._graph.output.quantization
        return int(np.floor(value / made.scale)) + made.zero_point + 1

    def run(self, tensor_1HW3: Int8, form: Form) -> Int8:
        """The output's integers, laid out as TFLite has them."""
        scheme = self._graph.image.quantization
        steps = tensor_1HW3.astype(np.float32) - np.float32(scheme.zero_point)
        image_13HW = np.ascontiguousarray((steps * np.float32(scheme.scale)).transpose(0, 3, 1, 2))
        if form == "integers":
            output = run_integers(self._graph, image_13HW)[self._graph.output.name]
        else:
            with torch.inference_mode():
                reals = self._simulation(torch.from_numpy(image_13HW)).numpy()
            made = self._graph.output.quantization
            output = np.clip(np.rint(reals / made.scale) + made.zero_point, LOWEST, HIGHEST)
            output = output.astype(np.int8)
        return output.transpose(0, 2, 3, 1) if output.ndim == 4 else output
