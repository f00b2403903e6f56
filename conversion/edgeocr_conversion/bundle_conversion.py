"""From ONNX models to a bundle: convert, calibrate, quantize, compare, write.

A bundle is converted as a whole, or one stage of it anew. Either way a float bundle comes
first. Through it the SDK itself prepares what calibrates the quantized models, and what they
are compared on with the originals.
"""

from __future__ import annotations

import dataclasses
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
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import Model, merge_signatures, read_model, write_model
from edgeocr_conversion.float_tflite import convert_to_float
from edgeocr_conversion.half_precision import to_half_precision
from edgeocr_conversion.observation import observe
from edgeocr_conversion.parity import StageParity, check_losses, measure_parity
from edgeocr_conversion.quantization import QuantizationScheme, quantize
from edgeocr_conversion.rendered_text import TextImage
from edgeocr_conversion.sources import (
    OfficialBundle,
    OfficialModel,
    Stage,
    StageSettings,
    carries_charset,
    charset_of,
    obtain,
)

STAGES: Final[tuple[Stage, ...]] = ("det", "cls", "rec")
DEFAULT_MAX_LOSS: Final = 1.0
"""Points of H-mean, of agreement or of character error rate."""

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
    """For INT8."""


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
    files = obtain(official.files, folder=options.models)
    models: dict[Stage, OnnxModel] = {
        "det": _official_model(official.det, official.det_settings, files),
        "cls": _official_model(official.cls, official.cls_settings, files),
        "rec": _official_model(official.rec, official.rec_settings, files),
    }
    dictionary = None if official.charset is None else files[official.charset.sha256]
    job = _Job(
        name=official.name,
        licence=official.licence,
        models=models,
        charset=charset_of(models["rec"].path, dictionary),
        base=None,
        options=options,
        progress=progress,
    )
    return job.run(out)


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
        progress: told of what is done.

    Raises:
        ConversionError: the model cannot be converted, or the result loses too much.
    """
    check_target(out)
    if options.precision != base.precision:
        raise ConversionError(
            f"{base.location} is {base.precision}: a stage of {options.precision} cannot go into it"
        )
    charset = base.charset()
    if stage == "rec" and (charset_file is not None or carries_charset(onnx_model)):
        charset = charset_of(onnx_model, charset_file)
    try:
        digest = hashlib.sha256(onnx_model.read_bytes()).hexdigest()
    except OSError as error:
        raise ConversionError(f"{onnx_model} cannot be read: {error.strerror}") from error
    origin = {"title": onnx_model.stem, "file": onnx_model.name, "sha256": digest}
    job = _Job(
        name=base.name,
        licence=base.licence,
        models={stage: OnnxModel(path=onnx_model, settings=settings, origin=origin)},
        charset=charset,
        base=base,
        options=options,
        progress=progress,
    )
    return job.run(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """Converts ``models`` and takes the other stages, if any, from ``base``."""

    name: str
    licence: str
    models: Mapping[Stage, OnnxModel]
    charset: tuple[str, ...]
    base: Bundle | None
    options: ConversionOptions
    progress: Progress

    def run(self, out: Path) -> Conversion:
        with tempfile.TemporaryDirectory(prefix="edgeocr-") as temporary:
            work = Path(temporary)
            parts = {stage: self._to_float(stage, work) for stage in self.models}
            floats = {stage: _merged(parts[stage], work / f"{stage}-fp32") for stage in parts}
            original = self._load(
                self._write(work / "original", floats, precision="fp32", quantization={}, parity={})
            )
            images = self._calibration_set(original.bundle)

            converted: Mapping[Stage, Path] = floats
            quantization: dict[str, Any] = dict(self.base.quantization) if self.base else {}
            if self.options.precision == "fp16":
                converted = {
                    stage: _halved(parts[stage], work / f"{stage}-fp16") for stage in parts
                }
            elif self.options.precision == "int8":
                converted = {
                    stage: self._quantized(stage, parts[stage], original, images, work)
                    for stage in parts
                }
                for stage, model in self.models.items():
                    quantization[stage] = {
                        **_scheme_record(model.scheme),
                        "calibration": images.record(),
                    }

            candidate = self._write(
                work / "candidate",
                converted,
                precision=self.options.precision,
                quantization=quantization,
                parity={},
            )
            parity = self._parity(original, self._load(candidate), images)
            check_losses(parity, self.options.max_loss)
            bundle = self._write(
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

    def _to_float(self, stage: Stage, work: Path) -> dict[str, Path]:
        """A float model of one signature for each shape, by the signature's name."""
        model = self.models[stage]
        parts = {}
        for done, (height, width) in enumerate(model.settings.shapes):
            self.progress(f"Converting {stage}", done, len(model.settings.shapes))
            name = f"{height}x{width}"
            parts[name] = convert_to_float(
                model.path, height=height, width=width, out_path=work / f"{stage}-{name}.tflite"
            )
        self.progress(f"Converting {stage}", len(parts), len(parts))
        return parts

    def _calibration_set(self, bundle: Bundle) -> CalibrationSet:
        options = self.options
        if options.calibration is None:
            return rendered_set(self.charset, models=options.models, progress=self.progress)
        return folder_set(
            options.calibration, bundle, threads=options.threads, progress=self.progress
        )

    def _quantized(
        self,
        stage: Stage,
        parts: Mapping[str, Path],
        original: Ocr,
        images: CalibrationSet,
        work: Path,
    ) -> Path:
        """All shapes get the ranges of the one that most of the samples fall to.

        Different ranges would mean different integers, and each shape its own weights.
        """
        samples: dict[str, list[NDArray[np.float32]]] = {}
        for sample in _SAMPLES[stage](original, images.images):
            samples.setdefault(sample.signature, []).append(sample.tensor)
        name = max(samples, key=lambda signature: len(samples[signature]))
        chosen = samples[name]

        def counted() -> Iterator[NDArray[np.float32]]:
            for done, tensor in enumerate(chosen, 1):
                yield tensor
                self.progress(f"Observing {stage}", done, len(chosen))

        observation = observe(parts[name], counted())
        scheme = self.models[stage].scheme
        quantized = {key: quantize(path, observation, scheme) for key, path in parts.items()}
        return _written(quantized, work / f"{stage}-int8.tflite")

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
        converted: Mapping[Stage, Path],
        *,
        precision: Precision,
        quantization: Mapping[str, Any],
        parity: Mapping[str, Any],
    ) -> Bundle:
        """A bundle of the converted stages and of those of ``base``."""
        described: dict[str, Any] = {}
        contents: dict[Stage, Path | bytes] = {}
        for stage in STAGES:
            if stage in converted:
                contents[stage] = converted[stage]
                described[stage] = describe_model(
                    stage, converted[stage], self.models[stage].settings, self.charset
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


def _merged(parts: Mapping[str, Path], path: Path) -> Path:
    return _written({name: read_model(part) for name, part in parts.items()}, path)


def _halved(parts: Mapping[str, Path], path: Path) -> Path:
    return _written(
        {name: to_half_precision(read_model(part)) for name, part in parts.items()}, path
    )


def _written(parts: Mapping[str, Model], path: Path) -> Path:
    write_model(merge_signatures(parts), path)
    return path


def _scheme_record(scheme: QuantizationScheme) -> dict[str, Any]:
    """JSON-able."""
    record = dataclasses.asdict(scheme)
    return {
        key: sorted(value) if isinstance(value, frozenset) else value
        for key, value in record.items()
    }
