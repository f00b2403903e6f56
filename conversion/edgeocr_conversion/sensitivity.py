"""Which operators of a model suffer when they become integers.

Two questions, both asked of the stage's own output on a few calibration samples:

* what does an operator cost that is quantized alone, all others in float? It shows where the
  error is made. Its inputs are integers then as well as its output, so that a tensor with a
  wide range stands out by what writes it and by what reads it;
* what does the INT8 model gain when this operator alone stays float? It shows where an
  exception would pay, which differs: errors add up, and cancel out.

Both go through the very quantization that a conversion does, with ranges chosen once.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgeocr_conversion.bundle_conversion import CalibratedStage, ConversionJob
from edgeocr_conversion.calibration import Progress, no_progress
from edgeocr_conversion.flatbuffer import (
    Model,
    operator_name,
    read_model,
    serialise_model,
    tensor_shape,
    type_name,
)
from edgeocr_conversion.interpreter import as_input
from edgeocr_conversion.mixed_precision import token_operators
from edgeocr_conversion.quantization import (
    MOVES,
    activation_ranges,
    quantize_within,
)
from edgeocr_conversion.scheme import QuantizationScheme
from edgeocr_conversion.sources import DetectionSettings, Stage

DEFAULT_SAMPLES: Final = 8
SHOWN: Final = 30
"""Rows of the printed table; the JSON document has all."""

Outputs: TypeAlias = Sequence[NDArray[np.float32]]
Question: TypeAlias = Literal["alone", "spared"]
"""An operator quantized alone, or spared while all others are quantized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How near a model's outputs are to those of its float original."""

    agreement: float
    """In [0, 1]; what agrees is told by :attr:`Sensitivity.measure`."""
    mean_squared_error: float
    """Of the outputs: text probabilities of a detector, logits else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSensitivity:
    """One operator, quantized alone or spared alone."""

    kind: str
    name: str
    """Of its output tensor, as :attr:`.QuantizationScheme.float_operators` takes it."""
    output_shape: tuple[int, ...]
    fidelity: Fidelity


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """All operators of a stage, those that matter most first."""

    stage: Stage
    question: Question
    samples: int
    measure: str
    """What agreement means: "mask IoU", "same best class" or "same label"."""
    quantized: Fidelity
    """Of the whole model in integers."""
    operators: tuple[OperatorSensitivity, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        record = dataclasses.asdict(self)
        record["operators"] = [
            operator | {"output_shape": list(operator["output_shape"])}
            for operator in record["operators"]
        ]
        return record

    def to_text(self, *, limit: int = SHOWN) -> str:
        """A table for the eye, of the first ``limit`` operators."""
        asked = (
            "each operator quantized alone"
            if self.question == "alone"
            else "all quantized but one operator"
        )
        rows = [(self.measure, "mean sq. error", "operator", "output", "name")]
        rows.append((*_cells(self.quantized), "all", "", "the whole model in integers"))
        rows += [
            (
                *_cells(operator.fidelity),
                operator.kind,
                "x".join(map(str, operator.output_shape)),
                operator.name,
            )
            for operator in self.operators[:limit]
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.stage} on {self.samples} samples, {asked}:"]
        for row in rows:
            measured = [cell.rjust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
            told = [cell.ljust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            lines.append("  ".join(("", *measured, *told)).rstrip())
        if len(self.operators) > limit:
            lines.append(f"  and {len(self.operators) - limit} more")
        return "\n".join(lines)


def _cells(fidelity: Fidelity) -> tuple[str, str]:
    return f"{fidelity.agreement:.4f}", f"{fidelity.mean_squared_error:.3g}"


def measure_sensitivity(
    job: ConversionJob,
    stage: Stage,
    *,
    question: Question = "alone",
    samples: int = DEFAULT_SAMPLES,
    progress: Progress = no_progress,
) -> Sensitivity:
    """Quantizes a stage operator by operator.

    Args:
        job: a conversion that has a model for the stage; it writes nothing.
        stage: which.
        question: "alone" sorts by what is lost when one operator is quantized; "spared" by what
            is won when one is not.
        samples: calibration samples to measure on, evenly over all.
        progress: told of every operator.

    Raises:
        ConversionError: the model cannot be converted or quantized.
    """
    model = job.models[stage]
    settings = model.settings
    threshold = settings.threshold if isinstance(settings, DetectionSettings) else None
    with tempfile.TemporaryDirectory(prefix="edgeocr-") as folder:
        calibrated = job.calibrate(stage, Path(folder))
        measured = _Measured(
            calibrated,
            model.scheme,
            measure=_mask_iou(threshold) if threshold is not None else _same_best,
            samples=samples,
            threads=job.options.threads,
        )
        quantized = measured.fidelity(model.scheme.float_operators)
        assert quantized is not None, "the layers of a stage can be quantized"
        operators = measured.operators(question, progress)
    order = -1 if question == "spared" else 1
    return Sensitivity(
        stage=stage,
        question=question,
        samples=measured.count,
        measure={"det": "mask IoU", "cls": "same label", "rec": "same best class"}[stage],
        quantized=quantized,
        operators=tuple(
            sorted(
                operators,
                key=lambda operator: (
                    order * operator.fidelity.agreement,
                    -order * operator.fidelity.mean_squared_error,
                ),
            )
        ),
    )


class _Measured:
    """A float model, the samples that it is held to, and its outputs on them."""

    def __init__(
        self,
        calibrated: CalibratedStage,
        scheme: QuantizationScheme,
        *,
        measure: Callable[[Outputs, Outputs], float],
        samples: int,
        threads: int,
    ) -> None:
        self._path = calibrated.parts[calibrated.observed]
        self._tree = read_model(self._path)
        self._observation = calibrated.observation
        self._scheme = scheme
        self._ranges = activation_ranges(self._tree, calibrated.observation, scheme)
        self._measure = measure
        self._threads = threads
        every = -(-len(calibrated.samples) // samples)
        chosen = list(calibrated.samples[::every])
        # Equal shapes in a row: a new shape costs an allocation.
        self._samples = sorted(chosen, key=lambda sample: sample.shape)
        self._expected = run_model(self._tree, self._samples, threads=threads)

    @property
    def count(self) -> int:
        return len(self._samples)

    def operators(self, question: Question, progress: Progress) -> list[OperatorSensitivity]:
        """Every operator that can be quantized."""
        everything, candidates = self._candidates()
        found = []
        for done, (name, (kind, shape)) in enumerate(candidates.items(), 1):
            # Exceptions that the scheme makes already are part of neither question.
            spared = (everything - {name}) if question == "alone" else {name}
            fidelity = self.fidelity(frozenset(spared) | self._scheme.float_operators)
            if fidelity is not None:
                found.append(
                    OperatorSensitivity(kind=kind, name=name, output_shape=shape, fidelity=fidelity)
                )
            progress("Quantizing operators", done, len(candidates))
        return found

    def fidelity(self, float_operators: frozenset[str]) -> Fidelity | None:
        """With these operators in float; None where nothing is left that can be quantized."""
        scheme = dataclasses.replace(self._scheme, float_operators=float_operators)
        model = quantize_within(self._path, self._ranges, self._observation, scheme)
        if not _has_integers(model):
            return None
        outputs = run_model(model, self._samples, threads=self._threads)
        errors = [
            ((actual - expected) ** 2).mean(dtype=np.float64)
            for actual, expected in zip(outputs, self._expected, strict=True)
        ]
        return Fidelity(
            agreement=self._measure(self._expected, outputs),
            mean_squared_error=float(np.mean(errors)),
        )

    def _candidates(self) -> tuple[frozenset[str], Mapping[str, tuple[str, tuple[int, ...]]]]:
        """Names of all operators; kind and output shape of those that may be quantized."""
        (subgraph,) = self._tree.subgraphs
        floats, _ = token_operators(self._tree)
        floats |= self._scheme.float_operators
        listed = [("INPUT", index) for index in subgraph.inputs]
        listed += [
            (operator_name(self._tree, operator), operator.outputs[0])
            for operator in subgraph.operators
        ]
        tensors = [(kind, subgraph.tensors[index]) for kind, index in listed]
        return frozenset(tensor.name.decode() for _, tensor in tensors), {
            tensor.name.decode(): (kind, tensor_shape(tensor))
            for kind, tensor in tensors
            if kind not in MOVES and tensor.name.decode() not in floats
        }


def _has_integers(model: Model) -> bool:
    return any(
        type_name(tensor) == "INT8" for subgraph in model.subgraphs for tensor in subgraph.tensors
    )


def run_model(
    model: Model, samples: Sequence[NDArray[np.float32]], *, threads: int
) -> list[NDArray[np.float32]]:
    """The first signature's outputs in real values, whatever types go in and come out."""
    interpreter = Interpreter(model_content=serialise_model(model), num_threads=threads)
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    shape: tuple[int, ...] | None = None
    outputs = []
    for sample in samples:
        if sample.shape != shape:
            shape = sample.shape
            interpreter.resize_tensor_input(entry["index"], shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], as_input(sample, entry))
        interpreter.invoke()
        output = interpreter.get_tensor(result["index"]).astype(np.float32)
        if result["dtype"] == np.int8:
            scale, zero_point = result["quantization"]
            output = (output - np.float32(zero_point)) * np.float32(scale)
        outputs.append(output)
    return outputs


def _mask_iou(threshold: float) -> Callable[[Outputs, Outputs], float]:
    def measure(expected: Outputs, actual: Outputs) -> float:
        both = either = 0
        for wanted, found in zip(expected, actual, strict=True):
            both += int(((wanted > threshold) & (found > threshold)).sum())
            either += int(((wanted > threshold) | (found > threshold)).sum())
        return both / either if either else 1.0

    return measure


def _same_best(expected: Outputs, actual: Outputs) -> float:
    """Share of the rows with the same best class: time steps of a recogniser, or labels."""
    same = [
        wanted.argmax(-1) == found.argmax(-1)
        for wanted, found in zip(expected, actual, strict=True)
    ]
    return float(np.concatenate([rows.reshape(-1) for rows in same]).mean())
