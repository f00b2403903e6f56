"""What the tests of pruning share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, Protocol

import pytest
import torch
from torch import nn

from edgeocr_training.compression.pruning.channel_groups import (
    ChannelGroup,
    channel_groups,
    network_outputs,
)
from edgeocr_training.compression.pruning.inference import inference_of
from edgeocr_training.models.classifier import ClassifierConfig
from edgeocr_training.models.ctc_head import CtcHeadConfig
from edgeocr_training.models.detector import DetectorConfig
from edgeocr_training.models.edge_detector import edge_detector
from edgeocr_training.models.edge_head import EdgeHeadConfig
from edgeocr_training.models.edge_neck import EdgeNeckConfig
from edgeocr_training.models.edge_recogniser import edge_recogniser
from edgeocr_training.models.line_mobilenet_v3 import LineMobileNetV3Config
from edgeocr_training.models.line_pp_lcnet import LinePpLcNetConfig
from edgeocr_training.models.line_shufflenet_v2 import LineShuffleNetV2Config
from edgeocr_training.models.mobilenet_v3 import MobileNetV3Config
from edgeocr_training.models.pp_lcnet import PpLcNetConfig
from edgeocr_training.models.recogniser import RecogniserConfig
from edgeocr_training.models.resnet_vd import ResNetVdConfig
from edgeocr_training.models.rsefpn import RseFpnConfig


class StudentConfig(Protocol):
    def build(self) -> nn.Module: ...


FEW_CLASSES: Final = CtcHeadConfig(classes=40)

STUDENTS: Final[Mapping[str, StudentConfig]] = {
    "PP-OCRv2's detector": DetectorConfig(),
    "PP-OCRv3's detector": DetectorConfig(neck=RseFpnConfig()),
    "a detector with gates": DetectorConfig(backbone=MobileNetV3Config(squeeze_excite=True)),
    "a server's detector": DetectorConfig(backbone=ResNetVdConfig(blocks=(1, 1, 1, 1))),
    "a PP-LCNet detector": DetectorConfig(backbone=PpLcNetConfig(scale=0.5)),
    "the edge detector": edge_detector("small"),
    "a detector with an edge neck and head": DetectorConfig(
        neck=EdgeNeckConfig(), head=EdgeHeadConfig(map_stride=1)
    ),
    "PP-OCR's recogniser": RecogniserConfig(
        backbone=LineMobileNetV3Config(), head=CtcHeadConfig(mid_channels=None, classes=40)
    ),
    "PP-OCRv2's recogniser": RecogniserConfig(head=FEW_CLASSES),
    "the edge recogniser": edge_recogniser(classes=40),
    "PP-OCR's classifier": ClassifierConfig(),
    "a PP-LCNet classifier": ClassifierConfig(
        backbone=LinePpLcNetConfig(), wide_channels=64, height=32, width=96
    ),
    "a ShuffleNet classifier": ClassifierConfig(
        backbone=LineShuffleNetV2Config(), height=32, width=96
    ),
}
"""Every kind of network that a recipe has."""


def made(config: StudentConfig, seed: int = 0) -> nn.Module:
    """A student in eval mode whose outputs are neither dead nor saturated, as if it was trained."""
    torch.manual_seed(seed)
    student = config.build()
    for layer in student.modules():
        if isinstance(layer, nn.BatchNorm2d):
            # Scales and shifts like those of a trained network; statistics of the images below.
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0.0, 0.3)
            layer.momentum = 1.0
    student.train()
    with torch.no_grad():
        network_outputs(student(torch.randn(4, 3, *inference_of(student).smallest)))
    for layer in student.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1
    return student.eval()


@cache
def student_of(kind: str) -> nn.Module:
    """One of :data:`STUDENTS`, made once; nothing may change it."""
    return made(STUDENTS[kind])


@cache
def groups_of(kind: str) -> tuple[ChannelGroup, ...]:
    """The groups of :func:`student_of`."""
    return channel_groups(student_of(kind))


@pytest.fixture(scope="session")
def student() -> nn.Module:
    """PP-OCRv2's detector; nothing may change it."""
    return student_of("PP-OCRv2's detector")


@pytest.fixture(scope="session")
def groups() -> tuple[ChannelGroup, ...]:
    """Of PP-OCRv2's detector."""
    return groups_of("PP-OCRv2's detector")


@pytest.fixture(scope="session")
def trained() -> Path:
    """Weights of PP-OCRv2's detector, of the recipe ``det_ic15_cpu``."""
    return Path(__file__).parents[3] / "training" / "weights" / "det_ic15.pt"
