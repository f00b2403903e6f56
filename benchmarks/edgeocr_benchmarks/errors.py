"""Errors of the benchmarks, children of :class:`edgeocr.errors.EdgeOcrError`."""

from edgeocr.errors import EdgeOcrError


class LabelError(EdgeOcrError):
    """A label file is missing, malformed, or names an image that is not there."""


class EngineError(EdgeOcrError):
    """An OCR engine can't be installed, started, or does not answer."""


class ResultFileError(EdgeOcrError):
    """A recorded result is missing, malformed, or of another schema."""


class PlanError(EdgeOcrError):
    """What a probe shall measure makes no sense, or can't be read or written."""


class ProbeError(EdgeOcrError):
    """A measurement on a device failed."""


class TargetError(EdgeOcrError):
    """A target is named wrongly, can't be reached, lacks something, or the run on it failed."""


class ComparisonError(EdgeOcrError):
    """Two results can't be compared, or a condition on their difference makes no sense."""
