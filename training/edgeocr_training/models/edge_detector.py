"""The detectors that the product carries: sizes of one shape, made to be taught by larger ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from edgeocr_training.models.detector import DetectorConfig
from edgeocr_training.models.edge_backbone import EdgeBackboneConfig
from edgeocr_training.models.edge_head import EdgeHeadConfig
from edgeocr_training.models.edge_neck import EdgeNeckConfig
from edgeocr_training.models.normalisation import BYTE_HALF

EdgeSize: TypeAlias = Literal["small", "medium", "large"]

_PARTS: Final[Mapping[EdgeSize, tuple[EdgeBackboneConfig, EdgeNeckConfig]]] = {
    "small": (
        EdgeBackboneConfig(channels=(12, 24, 40, 64), residuals=(0, 1, 2, 2)),
        EdgeNeckConfig(channels=16),
    ),
    "medium": (
        EdgeBackboneConfig(channels=(16, 32, 48, 80), residuals=(0, 2, 3, 2)),
        EdgeNeckConfig(channels=24),
    ),
    "large": (
        EdgeBackboneConfig(channels=(16, 32, 48, 80), residuals=(1, 2, 3, 3)),
        EdgeNeckConfig(channels=24),
    ),
}


def edge_detector(size: EdgeSize) -> DetectorConfig:
    """A detector whose maps have half of the image's resolution."""
    backbone, neck = _PARTS[size]
    return DetectorConfig(
        backbone=backbone,
        neck=neck,
        head=EdgeHeadConfig(),
        mean=BYTE_HALF,
        std=BYTE_HALF,
    )
