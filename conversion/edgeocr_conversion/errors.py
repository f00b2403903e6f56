"""What the converter raises on purpose."""

from edgeocr.errors import EdgeOcrError


class ConversionError(EdgeOcrError):
    """A model cannot be converted, or the result is not good enough to be written."""
