"""Turns PP-OCR models in ONNX into TFLite bundles for edgeocr: float, half or INT8."""

from edgeocr_conversion.errors import ConversionError

__all__ = ["ConversionError"]
