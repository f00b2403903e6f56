"""The model bundle: a folder whose ``bundle.json`` says everything about its models.

    bundle.json  det.tflite  cls.tflite  rec.tflite  charset.txt

The schema lives here and only here: the conversion writes these dataclasses, the SDK, the
benchmarks and the Android app read what they wrote. Charset, line height and normalisation
travel with the weights and are checked by SHA-256, so a model never meets a wrong one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from edgeocr.errors import BundleError

SCHEMA: Final = 1
MANIFEST: Final = "bundle.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One fixed input shape of a stage's model, by the name of its TFLite signature."""

    name: str
    height: int
    """Of the input in pixels."""
    width: int
    """Of the input in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """What every stage's model states. Input: (1, height, width, 3), NHWC.

    A pixel enters the network as ``(pixel / 255 - mean) / std``, per channel in
    ``channel_order``; quantized inputs are quantized after that, by the model's own scale.
    """

    file: str
    bytes: int
    sha256: str
    channel_order: Literal["BGR", "RGB"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    signatures: tuple[Signature, ...]
    height_multiple: int | None = None
    """Not None: the graph holds no height, so the input may be resized before allocation to
    any multiple of this many pixels, with ``resize_tensor_input``, and XNNPACK still takes it
    whole. None: only the heights of the signatures."""
    width_multiple: int | None = None
    """The same for the width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionModel(ModelFile):
    """DB detector. Output (1, height, width, 1): text probability."""

    limit_side: int
    limit_type: Literal["min", "max"]
    max_side: int
    """Images are shrunk to this longer side whatever ``limit_type`` wants, in pixels."""
    threshold: float
    box_threshold: float
    unclip_ratio: float
    max_candidates: int
    dilation: bool
    score_mode: Literal["fast", "slow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrientationModel(ModelFile):
    """0/180 classifier. Output (1, 2): logits or probabilities of 0 and 180 degrees."""

    threshold: float
    outputs: Literal["logits", "probabilities"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionModel(ModelFile):
    """CTC recogniser. Output (1, steps, classes): class 0 is the blank, class i + 1 is
    character i of the charset."""

    outputs: Literal["logits", "probabilities"]
    charset_file: str
    """UTF-8, one character (or cluster) a line, the space as a line that holds one space."""
    charset_sha256: str
    classes: int
    """Characters + 1."""
    min_score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    det: DetectionModel
    cls: OrientationModel
    rec: RecognitionModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A verified bundle on disk; made by :meth:`open`."""

    name: str
    version: str
    licence: str
    precision: Literal["fp32", "fp16", "int8"]
    stages: Stages
    origin: Mapping[str, Any]
    """Where the weights come from: package, version, file and SHA-256 per stage."""
    tools: Mapping[str, str]
    """Version of every tool that took part in the conversion."""
    quantization: Mapping[str, Any]
    """Scheme per stage and the calibration set; empty for float bundles."""
    parity: Mapping[str, Any] = field(default_factory=dict)
    """Per stage, against ONNX Runtime on the same inputs, measured when it was made."""
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA
