"""Small students that were seen by data, and images that resemble some."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgeocr_training.compression.quantization.activation_quantizer import QuantizationConfig
from edgeocr_training.compression.quantization.preparation import prepare
from edgeocr_training.models.bilstm_neck import BiLstmConfig
from edgeocr_training.models.classifier import Classifier, ClassifierConfig
from edgeocr_training.models.ctc_head import CtcHeadConfig
from edgeocr_training.models.dbfpn import DbFpnConfig
from edgeocr_training.models.detector import Detector, DetectorConfig
from edgeocr_training.models.edge_backbone import EdgeBackboneConfig
from edgeocr_training.models.edge_detector import edge_detector
from edgeocr_training.models.edge_head import EdgeHeadConfig
from edgeocr_training.models.edge_line_backbone import EdgeLineBackboneConfig
from edgeocr_training.models.edge_line_neck import EdgeLineNeckConfig
from edgeocr_training.models.edge_neck import EdgeNeckConfig
from edgeocr_training.models.edge_recogniser import edge_recogniser
from edgeocr_training.models.line_mobilenet_v3 import LineMobileNetV3Config
from edgeocr_training.models.mobilenet_v3 import MobileNetV3Config
from edgeocr_training.models.recogniser import Recogniser, RecogniserConfig

Student: TypeAlias = Detector | Recogniser | Classifier
MakeStudent: TypeAlias = Callable[[str], Student]

SIZES: Final = {
    "det": (64, 96),
    "pp_det": (64, 64),
    "fine_det": (64, 64),
    "rec": (32, 64),
    "crnn": (32, 64),
    "cls": (48, 96),
}
"""(height, width) of the images of each student."""


def _built(kind: str) -> Student:
    match kind:
        case "det":
            return replace(
                edge_detector("small"),
                backbone=EdgeBackboneConfig(channels=(8, 12, 16, 24), residuals=(0, 1, 1, 1)),
                neck=EdgeNeckConfig(channels=8),
            ).build()
        case "pp_det":
            return DetectorConfig(neck=DbFpnConfig(channels=16)).build()
        case "fine_det":
            return DetectorConfig(
                backbone=MobileNetV3Config(scale=0.35),
                neck=EdgeNeckConfig(channels=16),
                head=EdgeHeadConfig(map_stride=1),
            ).build()
        case "rec":
            return replace(
                edge_recogniser(classes=12),
                backbone=EdgeLineBackboneConfig(
                    stem=8,
                    channels=(8, 16),
                    residuals=(1, 1),
                    line_channels=24,
                    line_kernels=(5, 7),
                ),
                neck=EdgeLineNeckConfig(channels=16, kernels=(5,)),
            ).build()
        case "crnn":
            return RecogniserConfig(
                backbone=LineMobileNetV3Config(scale=0.35),
                neck=BiLstmConfig(hidden=8),
                head=CtcHeadConfig(mid_channels=16, classes=12),
            ).build()
        case _:
            backbone = LineMobileNetV3Config(scale=0.35, row_strides=(2, 2, 2, 2))
            return ClassifierConfig(backbone=backbone, height=48, width=96).build()


def images(kind: str, count: int, *, seed: int = 0) -> Tensor:
    """(count, height, width, 3) uint8: blots, whose neighbouring pixels are alike as in images."""
    height, width = SIZES[kind]
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 3, height // 8, width // 8)).astype(np.float32)
    fine = nn.functional.interpolate(
        torch.from_numpy(coarse), size=(height, width), mode="bicubic", align_corners=False
    )
    return fine.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def output_of(student: Student, image_B3HW: Tensor) -> Tensor:
    """What is shipped of a student's results."""
    match student:
        case Detector():
            return student.probability(image_B3HW)
        case Recogniser():
            logits: Tensor = student.logits_only()(image_B3HW)
            return logits
        case _:
            direct: Tensor = student(image_B3HW)
            return direct


@functools.cache
def _float(kind: str) -> Student:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        student = _built(kind)
        student.train()
        for seed in range(12):
            student(student.normalise(images(kind, 2, seed=seed)))
    return student.eval()


@functools.cache
def _prepared(kind: str, config: QuantizationConfig) -> Student:
    student = prepare(copy.deepcopy(_float(kind)), config)
    with torch.no_grad():
        student.train()
        for seed in range(4):
            student(student.normalise(images(kind, 2, seed=seed)))
    return student.eval()


@pytest.fixture
def float_student() -> MakeStudent:
    """Makes a student of a kind of :data:`SIZES` whose normalisations know the images."""
    return lambda kind: copy.deepcopy(_float(kind))


@pytest.fixture
def prepared_student() -> Callable[..., Student]:
    """Makes a prepared one that has ranges: ``prepared_student("rec", QuantizationConfig())``."""
    usual = QuantizationConfig()
    return lambda kind, config=usual: copy.deepcopy(_prepared(kind, config))
