"""Scales and zero points of a network, as they go from training to a converter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from edgeocr_training.compression.quantization.affine import HIGHEST, LOWEST, AffineQuantization
from edgeocr_training.compression.quantization.device_graph import (
    Convolution,
    DeviceGraph,
    Move,
)
from edgeocr_training.errors import QuantizationError

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTable:
    """Of the tensors of one ONNX model, by their names there."""

    activations: Mapping[str, AffineQuantization]
    """Of the image and of every operator's result, but of those that only move values."""
    weights: Mapping[str, tuple[float, ...]]
    """A scale for each output of every convolution, by the name of its result."""

    @classmethod
    def of(cls, graph: DeviceGraph) -> RangeTable:
        """That of a graph."""
        return cls(
            activations={
                o.name: o.quantization for o in graph.operations if not isinstance(o, Move)
            },
            weights={
                o.name: tuple(map(float, o.weight_scales_O))
                for o in graph.operations
                if isinstance(o, Convolution)
            },
        )

    def to_json(self) -> str:
        """As a document for people and converters."""
        document = {
            "schema": SCHEMA,
            "activations": {
                name: {"scale": q.scale, "zero_point": q.zero_point}
                for name, q in self.activations.items()
            },
            "weights": {name: list(scales) for name, scales in self.weights.items()},
        }
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> RangeTable:
        """The opposite of :meth:`to_json`.

        Raises:
            QuantizationError: this is no such document, or a value is out of its range.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            if document["schema"] != SCHEMA:
                raise QuantizationError(
                    f"a table of ranges of schema {document['schema']}; this edgeocr reads {SCHEMA}"
                )
            table = cls(
                activations={
                    name: AffineQuantization(
                        scale=float(entry["scale"]), zero_point=int(entry["zero_point"])
                    )
                    for name, entry in document["activations"].items()
                },
                weights={
                    name: tuple(float(scale) for scale in scales)
                    for name, scales in document["weights"].items()
                },
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise QuantizationError(f"this is no table of ranges: {error!r}") from error
        for name, quantization in table.activations.items():
            if not quantization.scale > 0 or not LOWEST <= quantization.zero_point <= HIGHEST:
                raise QuantizationError(f"the range of {name} is none: {quantization}")
        for name, scales in table.weights.items():
            if not all(scale > 0 for scale in scales):
                raise QuantizationError(f"the weights of {name} have a scale that isn't positive")
        return table
