"""The recogniser that the product carries, made to be taught by larger ones."""

from __future__ import annotations

from edgeocr_training.models.ctc_head import PP_OCR_CLASSES, CtcHeadConfig
from edgeocr_training.models.edge_line_backbone import EdgeLineBackboneConfig
from edgeocr_training.models.edge_line_neck import EdgeLineNeckConfig
from edgeocr_training.models.normalisation import BYTE_HALF
from edgeocr_training.models.recogniser import RecogniserConfig


def edge_recogniser(*, classes: int = PP_OCR_CLASSES) -> RecogniserConfig:
    """A recogniser of at most 0.16 GMAC for 32x320 pixels and PP-OCR's classes.

    Args:
        classes: with the blank.
    """
    return RecogniserConfig(
        backbone=EdgeLineBackboneConfig(),
        neck=EdgeLineNeckConfig(),
        head=CtcHeadConfig(classes=classes),
        mean=BYTE_HALF,
        std=BYTE_HALF,
    )
