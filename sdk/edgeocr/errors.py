"""Every error that edgeocr raises on purpose.

A message says what is wrong, in which file or value, and what to do about it.
A page without text is an empty result, never an error.
"""


class EdgeOcrError(Exception):
    """Base of all errors of this package and of its siblings."""


class ImageError(EdgeOcrError):
    """The input is not an image that can be read, or it exceeds a documented limit."""


class BundleError(EdgeOcrError):
    """A model bundle is missing, incomplete, corrupt or of another schema."""


class RuntimeUnavailableError(EdgeOcrError):
    """No TFLite interpreter is installed, or the one installed refuses the model."""


class OptionError(EdgeOcrError, ValueError):
    """An option has a value outside of its documented range."""
