"""Reads text in images on small devices: PP-OCR as INT8 TFLite models on LiteRT."""

from edgeocr.bundle import Bundle
from edgeocr.errors import (
    BundleError,
    EdgeOcrError,
    ImageError,
    OptionError,
    RuntimeUnavailableError,
)
from edgeocr.ocr import Ocr
from edgeocr.options import OcrOptions
from edgeocr.result import Character, OcrResult, TextLine
from edgeocr.version import __version__

__all__ = [
    "Bundle",
    "BundleError",
    "Character",
    "EdgeOcrError",
    "ImageError",
    "Ocr",
    "OcrOptions",
    "OcrResult",
    "OptionError",
    "RuntimeUnavailableError",
    "TextLine",
    "__version__",
]
