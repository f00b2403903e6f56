"""Every error that the training package raises on purpose; see also ``edgeocr.errors``."""

from edgeocr.errors import EdgeOcrError


class RecipeError(EdgeOcrError, ValueError):
    """A recipe, or a setting of one, is unknown or has a value outside of its range."""


class DataError(EdgeOcrError):
    """A data set is missing, empty or malformed, or too much of it is broken."""


class SampleError(DataError):
    """One image or label is broken. The loader counts it, names it and goes on up to a limit."""


class CheckpointError(EdgeOcrError):
    """A checkpoint is missing, corrupt, or of another recipe or network."""


class DivergenceError(EdgeOcrError):
    """The loss is not finite. Raised before the update, with the names of the samples."""


class ExportError(EdgeOcrError):
    """A network can't be written as ONNX, or ONNX Runtime computes something else."""


class CompressionError(EdgeOcrError):
    """A network can't be pruned or quantized in the way that is asked for."""


class QuantizationError(EdgeOcrError):
    """A network can't be computed in integers, or a range that this takes is missing."""
