"""Errors of the benchmarks, children of :class:`edgeocr.errors.EdgeOcrError`."""

from edgeocr.errors import EdgeOcrError


class LabelError(EdgeOcrError):
    """A label file is missing, malformed, or names an image that is not there."""


class EngineError(EdgeOcrError):
    """An OCR engine can't be installed, started, or does not answer."""


class ResultFileError(EdgeOcrError):
    """A recorded result is missing, malformed, or of another schema."""
