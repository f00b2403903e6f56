"""What the tests of networks share."""

from __future__ import annotations

import importlib.metadata
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgeocr_conversion.sources import OFFICIAL_BUNDLES
from edgeocr_training.models.detector import Detector


@pytest.fixture(scope="session")
def official_detector() -> Path:
    """PP-OCRv3's detector as it is published: named in EDGEOCR_PP_OCRV3_DET, or as the installed
    package or the converter's cache has it.
    """
    file = OFFICIAL_BUNDLES["ppocrv2"].det.file
    places = []
    if named := os.environ.get("EDGEOCR_PP_OCRV3_DET"):
        places.append(Path(named))
    try:
        distribution = importlib.metadata.distribution(file.package)
        places.append(Path(str(distribution.locate_file(file.path))))
    except importlib.metadata.PackageNotFoundError:
        pass
    cache = os.environ.get("EDGEOCR_CACHE", Path.home() / ".cache/edgeocr")
    places.append(Path(cache) / file.sha256 / file.name)
    for place in places:
        if place.is_file():
            return place
    pytest.skip(f"install {file.requirement}, or name {file.name} in EDGEOCR_PP_OCRV3_DET")


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
