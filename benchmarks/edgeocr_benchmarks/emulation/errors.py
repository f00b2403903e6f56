"""Errors of the emulated boards, children of :class:`edgeocr.errors.EdgeOcrError`."""

from edgeocr.errors import EdgeOcrError


class EmulationError(EdgeOcrError):
    """A board can't be emulated here, or what ran on it failed."""
