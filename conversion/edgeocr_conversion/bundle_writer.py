"""Writes bundles: a folder appears whole, or not at all."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from edgeocr.bundle import (
    MANIFEST,
    Bundle,
    DetectionModel,
    OrientationModel,
    RecognitionModel,
    Signature,
)
from edgeocr.errors import BundleError
from edgeocr.version import __version__
from edgeocr_conversion.errors import ConversionError
from edgeocr_conversion.flatbuffer import parse_model, split_signatures, tensor_shape
from edgeocr_conversion.float_tflite import Freedom
from edgeocr_conversion.sources import (
    DetectionSettings,
    OrientationSettings,
    RecognitionSettings,
    Stage,
    StageSettings,
)

Precision: TypeAlias = Literal["fp32", "fp16", "int8"]

CHARSET_FILE: Final = "charset.txt"
SIZE_MULTIPLE: Final = 32
"""Pixels: what the strides of PP-OCR's detectors multiply to; recognisers take it too."""

_TOOLS: Final = (
    "onnx2tf",
    "ai-edge-quantizer",
    "ai-edge-litert",
    "onnx",
    "onnxruntime",
    "onnxsim",
    "numpy",
    "opencv-python-headless",
    "pillow",
)


def tool_versions() -> dict[str, str]:
    """Version of every tool that takes part in a conversion."""
    installed = {tool: _version(tool) for tool in _TOOLS}
    return {"edgeocr": __version__, "python": platform.python_version(), **installed}


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def describe_model(
    stage: Stage,
    content: bytes,
    settings: StageSettings,
    freedom: Freedom,
    charset: Sequence[str],
) -> DetectionModel | OrientationModel | RecognitionModel:
    """What bundle.json states of a stage's TFLite file; classifiers and recognisers emit logits.

    Raises:
        ConversionError: the settings are of another stage, or the recogniser has another
            number of classes than the charset has characters and the blank.
    """
    fields = _model_fields(stage, content, settings, freedom)
    if stage == "det" and isinstance(settings, DetectionSettings):
        return DetectionModel(
            **fields,
            limit_side=settings.limit_side,
            limit_type=settings.limit_type,
            max_side=settings.max_side,
            threshold=settings.threshold,
            box_threshold=settings.box_threshold,
            unclip_ratio=settings.unclip_ratio,
            max_candidates=settings.max_candidates,
            dilation=settings.dilation,
            score_mode=settings.score_mode,
        )
    if stage == "cls" and isinstance(settings, OrientationSettings):
        return OrientationModel(**fields, threshold=settings.threshold, outputs="logits")
    if stage == "rec" and isinstance(settings, RecognitionSettings):
        _check_classes(content, len(charset) + 1)
        return RecognitionModel(
            **fields,
            outputs="logits",
            charset_file=CHARSET_FILE,
            charset_sha256=hashlib.sha256(charset_bytes(charset)).hexdigest(),
            classes=len(charset) + 1,
            min_score=settings.min_score,
            min_width=settings.min_width,
        )
    raise ConversionError(f"{type(settings).__name__} are not the settings of stage {stage!r}")


def _check_classes(content: bytes, expected: int) -> None:
    for part in split_signatures(parse_model(content)).values():
        subgraph = part.subgraphs[0]
        classes = tensor_shape(subgraph.tensors[subgraph.outputs[0]])[-1]
        if classes != expected:
            raise ConversionError(
                f"the recogniser has {classes} classes, but there are {expected - 1} characters "
                "in its charset and the blank: name the dictionary that it was trained with by "
                "--charset"
            )


def charset_bytes(charset: Sequence[str]) -> bytes:
    """The charset as its file holds it."""
    return "".join(f"{character}\n" for character in charset).encode()


def _model_fields(
    stage: Stage, content: bytes, settings: StageSettings, freedom: Freedom
) -> dict[str, Any]:
    signatures = []
    for name, part in split_signatures(parse_model(content)).items():
        subgraph = part.subgraphs[0]
        _, height, width, _ = tensor_shape(subgraph.tensors[subgraph.inputs[0]])
        signatures.append(Signature(name=name, height=height, width=width))
    return {
        "file": f"{stage}.tflite",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "channel_order": settings.channel_order,
        "mean": settings.mean,
        "std": settings.std,
        "signatures": tuple(signatures),
        "height_multiple": SIZE_MULTIPLE if freedom.height else None,
        "width_multiple": SIZE_MULTIPLE if freedom.width else None,
    }


def check_target(folder: Path) -> None:
    """See that a bundle may be written to ``folder``, before hours are spent on it.

    It may where nothing is, where an empty folder is, and where a bundle is and nothing else.

    Raises:
        ConversionError: something is there that would be lost.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConversionError(f"{folder} is a file: name a folder for the bundle")
    names = {entry.name for entry in folder.iterdir()}
    if not names:
        return
    if MANIFEST not in names:
        raise ConversionError(f"{folder} holds files and is no bundle: name another folder")
    try:
        stages = Bundle.from_json((folder / MANIFEST).read_bytes()).stages
    except (OSError, BundleError) as error:
        raise ConversionError(
            f"{folder} holds a bundle that cannot be understood ({error}): remove it, or name "
            "another folder"
        ) from error
    models = (stages.det, stages.cls, stages.rec)
    own = {MANIFEST, stages.rec.charset_file, *(model.file for model in models)}
    if names - own:
        raise ConversionError(
            f"{folder} holds a bundle and other files ({', '.join(sorted(names - own))}): "
            "remove them, or name another folder"
        )


def write_bundle(
    folder: Path,
    bundle: Bundle,
    *,
    models: Mapping[Stage, Path | bytes],
    charset: Sequence[str],
) -> Bundle:
    """Write a bundle and open it from there.

    It is written beside ``folder`` and verified before it takes its name; a bundle that was
    there before is replaced.

    Args:
        folder: as :func:`check_target` allows it.
        bundle: all that bundle.json will state.
        models: TFLite file of each stage, or its content.
        charset: of the recogniser.

    Raises:
        ConversionError: the folder must not be replaced or cannot be written.
    """
    check_target(folder)
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    replaced = folder.with_name(f".{folder.name}.{os.getpid()}.replaced")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        for stage, model in models.items():
            target = beside / getattr(bundle.stages, stage).file
            if isinstance(model, bytes):
                target.write_bytes(model)
            else:
                shutil.copyfile(model, target)
        (beside / bundle.stages.rec.charset_file).write_bytes(charset_bytes(charset))
        bundle.write_manifest(beside)
        Bundle.open(beside)
        if folder.exists():
            folder.rename(replaced)
        beside.rename(folder)
    except OSError as error:
        if replaced.exists() and not folder.exists():
            replaced.rename(folder)
        raise ConversionError(f"{folder} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(replaced, ignore_errors=True)
    return Bundle.open(folder)
