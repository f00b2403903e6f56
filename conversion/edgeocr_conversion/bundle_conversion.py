"""From ONNX models to a bundle: convert, calibrate, quantize, compare, write.

A bundle is converted as a whole, or one stage of it anew. Either way a float bundle comes
first. Through it the SDK itself prepares what calibrates the quantized models, and what they
are compared on with the originals.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgeocr import Bundle, Ocr
from edgeocr.bundle import Stages
from edgeocr.version import __version__
from edgeocr_conversion.bias_correction import bias_shifts, shift_biases
from edgeocr_conversion.bundle_writer import (
    Precision,
    check_target,
    describe_model,
    tool_versions,
    write_bundle,
)
from edgeocr_conversion.calibration import (
    CalibrationSet,
    Progress,
    StageSample,
    detector_samples,
    folder_set,
    no_progress,
    orientation_samples,
    recogniser_samples,
    rendered_set,
)
from edgeocr_conversion.delegation import DelegationReport, delegation_report
from edgeocr_conversion.equalisation import channel_ranges, equalise_channels, imbalanced_gates
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import Model, merge_signatures, read_model, serialise_model
from edgeocr_conversion.float_tflite import Freedom, convert_resizable, convert_to_float
from edgeocr_conversion.half_precision import to_half_precision
from edgeocr_conversion.observation import Observation, observe
from edgeocr_conversion.onnx_graph import Graph
from edgeocr_conversion.parity import StageParity, check_losses, measure_parity
from edgeocr_conversion.quantization import quantize
from edgeocr_conversion.rendered_text import TextImage
from edgeocr_conversion.rewrites import rewrite_for_xnnpack
from edgeocr_conversion.scheme import QuantizationScheme
from edgeocr_conversion.sources import (
    OfficialBundle,
    OfficialModel,
    Stage,
    StageSettings,
    carries_charset,
    charset_of,
    obtain,
)
from edgeocr_conversion.trained_ranges import quantize_as_trained
from edgeocr_training.compression.quantization.range_table import RangeTable

STAGES: Final[tuple[Stage, ...]] = ("det", "cls", "rec")
DEFAULT_MAX_LOSS: Final = 1.0
"""Points of H-mean, of agreement or of character error rate."""
RESIZED_BY: Final = 64
"""Pixels by which a model is converted larger, to see what in it depends on its size."""
CHANNEL_SAMPLES: Final = 24
"""Calibration samples that the ranges of single channels are measured on."""
CORRECTION_SAMPLES: Final = 24
"""Calibration samples that biases are corrected on: a model runs on them once for each layer."""
CORRECTION_SIDE: Final = 416
"""Pixels that are taken of a page for that, either way."""

_SAMPLES: Final[Mapping[Stage, Callable[[Ocr, Sequence[TextImage]], Iterator[StageSample]]]] = {
    "det": detector_samples,
    "cls": orientation_samples,
    "rec": recogniser_samples,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxModel:
    """A stage's original."""

    path: Path
    settings: StageSettings
    origin: Mapping[str, Any]
    """What bundle.json states of where it comes from."""
    scheme: QuantizationScheme = field(default_factory=QuantizationScheme)
    """For INT8, where nothing was trained."""
    trained: RangeTable | None = None
    """Scales that were trained; nothing is calibrated then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionOptions:
    """How to convert."""

    precision: Precision = "int8"
    calibration: Path | None = None
    """Folder of images; None for rendered pages."""
    models: Path | None = None
    """Folder in which packaged files are looked for first."""
    max_loss: float = DEFAULT_MAX_LOSS
    """In points, 0 to 100: a bundle that loses more is not written."""
    threads: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What became of a conversion."""

    bundle: Bundle
    parity: Mapping[Stage, StageParity]
    """Of the stages that were converted."""
    delegation: Mapping[Stage, DelegationReport]

    def to_text(self) -> str:
        """Sizes, delegation and parity, for the eye."""
        stages = self.bundle.stages
        total = sum(model.bytes for model in (stages.det, stages.cls, stages.rec))
        lines = [f"{self.bundle.location}: {self.bundle.precision}, models of {total:,} bytes"]
        lines += [report.to_text() for report in self.delegation.values()]
        lines.append("Against ONNX Runtime, on images held out from calibration:")
        lines += [f"  {parity.to_text()}" for parity in self.parity.values()]
        return "\n".join(lines)


def convert_official(
    official: OfficialBundle,
    out: Path,
    options: ConversionOptions,
    *,
    progress: Progress = no_progress,
) -> Conversion:
    """Convert an official bundle to the folder ``out``.

    Raises:
        ConversionError: a model cannot be had or converted, or the result loses too much.
    """
    check_target(out)
    return official_job(official, options, progress=progress).run(out)


def official_job(
    official: OfficialBundle, options: ConversionOptions, *, progress: Progress = no_progress
) -> ConversionJob:
    """The conversion of an official bundle.

    Raises:
        ConversionError: a model cannot be had.
    """
    files = obtain(official.files, folder=options.models)
    models: dict[Stage, OnnxModel] = {
        "det": _official_model(official.det, official.det_settings, files),
        "cls": _official_model(official.cls, official.cls_settings, files),
        "rec": _official_model(official.rec, official.rec_settings, files),
    }
    dictionary = None if official.charset is None else files[official.charset.sha256]
    return ConversionJob(
        name=official.name,
        licence=official.licence,
        models=models,
        charset=charset_of(models["rec"].path, dictionary),
        base=None,
        options=options,
        progress=progress,
    )


def _official_model(
    model: OfficialModel, settings: StageSettings, files: Mapping[str, Path]
) -> OnnxModel:
    file = model.file
    return OnnxModel(
        path=files[file.sha256],
        settings=settings,
        origin={
            "title": model.title,
            "package": file.package,
            "version": file.version,
            "file": file.path,
            "sha256": file.sha256,
            "licence": file.licence,
        },
        scheme=model.scheme,
    )


def convert_stage(
    stage: Stage,
    onnx_model: Path,
    settings: StageSettings,
    *,
    base: Bundle,
    out: Path,
    options: ConversionOptions,
    charset_file: Path | None = None,
    scheme: QuantizationScheme | None = None,
    progress: Progress = no_progress,
) -> Conversion:
    """Convert one model, and write a copy of a bundle that has it in place of its own.

    The bundle's precision is that of ``base``: the stages of a bundle share one.

    Args:
        stage: that the model is for.
        onnx_model: ONNX file with one image input, NCHW, and one output.
        settings: of the model.
        base: gives the other stages; for a recogniser without characters of its own, the
            charset too.
        out: folder of the new bundle.
        options: the precision must be that of ``base``.
        charset_file: dictionary of a recogniser; None for the one in its metadata.
        scheme: of quantization; None for the usual one.
        progress: told of what is done.

    Raises:
        ConversionError: the model cannot be converted, or the result loses too much.
    """
    check_target(out)
    if options.precision != base.precision:
        raise ConversionError(
            f"{base.location} is {base.precision}: a stage of {options.precision} cannot go into it"
        )
    job = stage_job(
        stage,
        onnx_model,
        settings,
        base=base,
        options=options,
        charset_file=charset_file,
        scheme=scheme,
        progress=progress,
    )
    return job.run(out)


def convert_trained(
    models: Mapping[Stage, OnnxModel],
    *,
    name: str,
    charset: tuple[str, ...] | None,
    base: Bundle | None,
    out: Path,
    options: ConversionOptions,
    progress: Progress = no_progress,
) -> Conversion:
    """Convert models whose scales were trained, and write a bundle with them.

    Args:
        models: by the stages that they are for.
        name: of the bundle.
        charset: of the recogniser among them; None without one.
        base: gives the stages, and the charset, that are not there; None where all are.
        out: folder of the bundle.
        options: the precision is int8.
        progress: told of what is done.

    Raises:
        ConversionError: a stage is missing, or a model cannot be converted or loses too much.
    """
    check_target(out)
    missing = [stage for stage in STAGES if stage not in models]
    if missing and base is None:
        raise ConversionError(
            f"there is no model for {' and '.join(missing)}: name a checkpoint of it too, or a "
            "bundle that has it by --into"
        )
    if missing and base is not None and base.precision != options.precision:
        raise ConversionError(
            f"{base.location} is {base.precision}: a stage of {options.precision} cannot go into it"
        )
    characters = charset if charset is not None or base is None else base.charset()
    assert characters is not None, "a recogniser has a charset"
    job = ConversionJob(
        name=name,
        licence="Apache-2.0" if base is None else base.licence,
        models=models,
        charset=characters,
        base=base if missing else None,
        options=options,
        progress=progress,
    )
    return job.run(out)


def stage_job(
    stage: Stage,
    onnx_model: Path,
    settings: StageSettings,
    *,
    base: Bundle,
    options: ConversionOptions,
    charset_file: Path | None = None,
    scheme: QuantizationScheme | None = None,
    progress: Progress = no_progress,
) -> ConversionJob:
    """The conversion of one model; the arguments are those of :func:`convert_stage`.

    Raises:
        ConversionError: the model or its dictionary cannot be read.
    """
    charset = base.charset()
    if stage == "rec" and (charset_file is not None or carries_charset(onnx_model)):
        charset = charset_of(onnx_model, charset_file)
    try:
        digest = hashlib.sha256(onnx_model.read_bytes()).hexdigest()
    except OSError as error:
        raise ConversionError(f"{onnx_model} cannot be read: {error.strerror}") from error
    origin = {"title": onnx_model.stem, "file": onnx_model.name, "sha256": digest}
    return ConversionJob(
        name=base.name,
        licence=base.licence,
        models={
            stage: OnnxModel(
                path=onnx_model,
                settings=settings,
                origin=origin,
                scheme=scheme or QuantizationScheme(),
            )
        },
        charset=charset,
        base=base,
        options=options,
        progress=progress,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedStage:
    """A stage's model in float, equalised, and what quantizing it rests on."""

    parts: Mapping[str, Path]
    """Float models of one signature each, by the signature's name."""
    observed: str
    """The signature that most of the samples fall to."""
    samples: Sequence[NDArray[np.float32]]
    """Calibration inputs of that signature, (1, height, width, 3) each."""
    observation: Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionJob:
    """Converts ``models`` and takes the other stages, if any, from ``base``."""

    name: str
    licence: str
    models: Mapping[Stage, OnnxModel]
    charset: tuple[str, ...]
    base: Bundle | None
    options: ConversionOptions
    progress: Progress

    def run(self, out: Path) -> Conversion:
        """Writes the bundle.

        Raises:
            ConversionError: a model cannot be converted, or the result loses too much.
        """
        with tempfile.TemporaryDirectory(prefix="edgeocr-") as temporary:
            work = Path(temporary)
            floats = self._to_float(work)
            freedom = {stage: model.freedom for stage, model in floats.items()}
            parts = _read_parts(floats)
            write = functools.partial(self._write, freedom=freedom)
            original = self._original(floats, work)
            images = self._calibration_set(original.bundle)

            converted = parts
            quantization: dict[str, Any] = dict(self.base.quantization) if self.base else {}
            if self.options.precision == "fp16":
                converted = {
                    stage: {name: to_half_precision(part) for name, part in models.items()}
                    for stage, models in parts.items()
                }
            elif self.options.precision == "int8":
                converted = {}
                for stage, model in self.models.items():
                    if model.trained is not None:
                        converted[stage] = {
                            name: quantize_as_trained(path, model.path, model.trained)
                            for name, path in floats[stage].parts.items()
                        }
                        quantization[stage] = {"ranges": "trained"}
                        continue
                    calibrated = self._calibrated(stage, original, images, work)
                    integers = {
                        name: quantize(path, calibrated.observation, model.scheme)
                        for name, path in calibrated.parts.items()
                    }
                    if model.scheme.bias_correction:
                        self.progress(f"Correcting {stage}", 0, 1)
                        shifts = bias_shifts(
                            calibrated.parts[calibrated.observed],
                            integers[calibrated.observed],
                            _correction_samples(calibrated.samples, freedom[stage]),
                        )
                        for quantized in integers.values():
                            shift_biases(quantized, shifts)
                        self.progress(f"Correcting {stage}", 1, 1)
                    converted[stage] = integers
                    quantization[stage] = {
                        **_scheme_record(model.scheme),
                        "calibration": images.record(),
                    }

            candidate = write(
                work / "candidate",
                converted,
                precision=self.options.precision,
                quantization=quantization,
                parity={},
            )
            parity = self._parity(original, self._load(candidate), images)
            check_losses(parity, self.options.max_loss)
            bundle = write(
                out,
                converted,
                precision=self.options.precision,
                quantization=quantization,
                parity={
                    **(self.base.parity if self.base else {}),
                    **{stage: figures.to_dict() for stage, figures in parity.items()},
                },
            )
            reports = {stage: delegation_report(out / f"{stage}.tflite") for stage in STAGES}
            return Conversion(bundle=bundle, parity=parity, delegation=reports)

    def _load(self, bundle: Bundle) -> Ocr:
        return Ocr.load(bundle, threads=self.options.threads)

    def calibrate(self, stage: Stage, work: Path) -> CalibratedStage:
        """What quantizing one of the models rests on, without a bundle of it.

        Raises:
            ConversionError: a model cannot be converted, or there are no images to calibrate
                with.
        """
        original = self._original(self._to_float(work), work)
        images = self._calibration_set(original.bundle)
        return self._calibrated(stage, original, images, work)

    def _to_float(self, work: Path) -> dict[Stage, _FloatStage]:
        """The models in float, resizable if they can be, else once for each shape."""
        return {
            stage: self._through_tflite(stage, work / f"{stage}-fp32", lambda graph: None)
            for stage in self.models
        }

    def _original(self, floats: Mapping[Stage, _FloatStage], work: Path) -> Ocr:
        """An engine with the models in float: it prepares their inputs."""
        bundle = self._write(
            work / "original",
            _read_parts(floats),
            freedom={stage: model.freedom for stage, model in floats.items()},
            precision="fp32",
            quantization={},
            parity={},
        )
        return self._load(bundle)

    def _through_tflite(
        self, stage: Stage, prefix: Path, prepare: Callable[[Graph], None]
    ) -> _FloatStage:
        """Rewrites and converts the model, with ``prepare`` applied to the rewritten graph."""
        model = self.models[stage]
        shapes = model.settings.shapes

        def graph(height: int, width: int) -> Graph:
            rewritten = rewritten_graph(model.path, height, width)
            prepare(rewritten)
            return rewritten

        label = f"Converting {stage}"
        if stage != "cls":
            # Lines have one height; the widest is the limit of what a recogniser is resized to.
            height, width = shapes[0] if stage == "det" else max(shapes)
            self.progress(label, 0, len(shapes))
            path = prefix.with_name(f"{prefix.name}-{height}x{width}.tflite")
            freedom = convert_resizable(
                graph(height, width),
                path,
                wider=graph(height, width + RESIZED_BY),
                taller=graph(height + RESIZED_BY, width) if stage == "det" else None,
            )
            if freedom.width and (freedom.height or stage == "rec"):
                self.progress(label, len(shapes), len(shapes))
                return _FloatStage(parts={f"{height}x{width}": path}, freedom=freedom)
        parts = {}
        for done, (height, width) in enumerate(shapes):
            self.progress(label, done, len(shapes))
            path = prefix.with_name(f"{prefix.name}-{height}x{width}.tflite")
            parts[f"{height}x{width}"] = convert_to_float(graph(height, width), path)
        self.progress(label, len(shapes), len(shapes))
        return _FloatStage(parts=parts, freedom=Freedom())

    def _calibration_set(self, bundle: Bundle) -> CalibrationSet:
        options = self.options
        if options.calibration is None:
            return rendered_set(self.charset, models=options.models, progress=self.progress)
        return folder_set(
            options.calibration, bundle, threads=options.threads, progress=self.progress
        )

    def _calibrated(
        self, stage: Stage, original: Ocr, images: CalibrationSet, work: Path
    ) -> CalibratedStage:
        """Equalises a model and observes it on the calibration images.

        All shapes get the ranges of the one that most of the samples fall to. Different
        ranges would mean different integers, and each shape its own weights.
        """
        model = self.models[stage]
        samples: dict[str, list[NDArray[np.float32]]] = {}
        for sample in _SAMPLES[stage](original, images.images):
            samples.setdefault(sample.signature, []).append(sample.tensor)
        name = max(samples, key=lambda signature: len(samples[signature]))
        chosen = samples[name]

        height, width = model.settings.shapes[0]
        graph = rewritten_graph(model.path, height, width)
        ranges = channel_ranges(graph, chosen[:: -(-len(chosen) // CHANNEL_SAMPLES)])
        gates = imbalanced_gates(
            graph, ranges, ratio=model.scheme.gate_ratio, skip=model.scheme.float_layers
        )

        def equalise(rewritten: Graph) -> None:
            equalise_channels(rewritten, ranges, split_gates=gates)
            rewritten.sort()

        parts = self._through_tflite(stage, work / f"{stage}-equalised", equalise).parts

        def counted() -> Iterator[NDArray[np.float32]]:
            for done, tensor in enumerate(chosen, 1):
                yield tensor
                self.progress(f"Observing {stage}", done, len(chosen))

        return CalibratedStage(
            parts=parts,
            observed=name,
            samples=chosen,
            observation=observe(parts[name], counted()),
        )

    def _parity(
        self, original: Ocr, converted: Ocr, images: CalibrationSet
    ) -> dict[Stage, StageParity]:
        return {
            stage: measure_parity(
                stage,
                original,
                converted,
                onnx_model=model.path,
                images=images.held_out,
                threads=self.options.threads,
                progress=self.progress,
            )
            for stage, model in self.models.items()
        }

    def _write(
        self,
        folder: Path,
        converted: Mapping[Stage, Mapping[str, Model]],
        *,
        freedom: Mapping[Stage, Freedom],
        precision: Precision,
        quantization: Mapping[str, Any],
        parity: Mapping[str, Any],
    ) -> Bundle:
        """A bundle of the converted stages, by signature, and of those of ``base``."""
        described: dict[str, Any] = {}
        contents: dict[Stage, Path | bytes] = {}
        for stage in STAGES:
            if stage in converted:
                content = serialise_model(merge_signatures(converted[stage]))
                contents[stage] = content
                described[stage] = describe_model(
                    stage, content, self.models[stage].settings, freedom[stage], self.charset
                )
            else:
                assert self.base is not None, "an official bundle converts all stages"
                described[stage] = getattr(self.base.stages, stage)
                contents[stage] = self.base.read_model(described[stage])
        origin = dict(self.base.origin) if self.base else {}
        bundle = Bundle(
            name=self.name,
            version=__version__,
            licence=self.licence,
            precision=precision,
            stages=Stages(**described),
            origin=origin | {stage: dict(model.origin) for stage, model in self.models.items()},
            tools=tool_versions(),
            quantization=quantization,
            parity=parity,
        )
        return write_bundle(folder, bundle, models=contents, charset=self.charset)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FloatStage:
    """Float models of one signature each, by the signature's name."""

    parts: Mapping[str, Path]
    freedom: Freedom


def _read_parts(floats: Mapping[Stage, _FloatStage]) -> dict[Stage, dict[str, Model]]:
    return {
        stage: {name: read_model(part) for name, part in model.parts.items()}
        for stage, model in floats.items()
    }


def rewritten_graph(path: Path, height: int, width: int) -> Graph:
    """An ONNX file at one input size, with operators that XNNPACK takes."""
    graph = Graph.load(path, height=height, width=width)
    rewrite_for_xnnpack(graph)
    return graph


def _correction_samples(
    samples: Sequence[NDArray[np.float32]], freedom: Freedom
) -> list[NDArray[np.float32]]:
    """Some of the samples; the middle of each, if the model takes any size."""
    chosen = samples[:: -(-len(samples) // CORRECTION_SAMPLES)]
    if not (freedom.height and freedom.width):
        return list(chosen)
    tops = [max((sample.shape[1] - CORRECTION_SIDE) // 2, 0) for sample in chosen]
    lefts = [max((sample.shape[2] - CORRECTION_SIDE) // 2, 0) for sample in chosen]
    return [
        np.ascontiguousarray(sample[:, top : top + CORRECTION_SIDE, left : left + CORRECTION_SIDE])
        for sample, top, left in zip(chosen, tops, lefts, strict=True)
    ]


def _scheme_record(scheme: QuantizationScheme) -> dict[str, Any]:
    """JSON-able."""
    record = dataclasses.asdict(scheme)
    return {
        key: sorted(value) if isinstance(value, frozenset) else value
        for key, value in record.items()
    }
