"""What reading an image gives: lines in reading order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgeocr.images import ImageInput

Quad = NDArray[np.float32]
"""(4, 2) float32, image pixels, clockwise from the top-left corner of the text."""


def _frozen(points: NDArray[np.float32]) -> NDArray[np.float32]:
    copy = np.array(points, dtype=np.float32)
    copy.flags.writeable = False
    return copy


def _as_lists(points: NDArray[np.float32]) -> list[list[float]]:
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Character:
    """One character of a line, from the CTC steps that emitted it."""

    text: str
    score: float
    """Confidence in [0, 1]."""
    box: Quad
    """(4, 2) float32, image pixels, clockwise from the character's own top-left."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _frozen(self.box))

    def to_dict(self) -> dict[str, Any]:
        return {"text": self.text, "score": round(self.score, 4), "box": _as_lists(self.box)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextLine:
    """One line of text."""

    text: str
    score: float
    """Mean confidence of the characters in [0, 1]; 0 where nothing was recognised."""
    box: Quad
    """(4, 2) float32, image pixels, clockwise. Starts at the top-left corner as the detector
    sees the line; where ``rotation`` is 180 the text itself starts at ``box[2]``."""
    rotation: Literal[0, 180] = 0
    """Degrees by which the text is turned within ``box``."""
    detection_score: float = 1.0
    """Mean text probability inside of the box in [0, 1]; 1 for a line that the caller cut."""
    characters: tuple[Character, ...] = ()
    """In order of reading; empty unless ``OcrOptions.characters`` asks for them."""
    polygon: NDArray[np.float32] | None = None
    """(N, 2) float32 outline, with ``OcrOptions.box_type="polygon"``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _frozen(self.box))
        if self.polygon is not None:
            object.__setattr__(self, "polygon", _frozen(self.polygon))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dict; ``characters`` and ``polygon`` only where there are some."""
        line: dict[str, Any] = {
            "text": self.text,
            "score": round(self.score, 4),
            "box": _as_lists(self.box),
            "rotation": self.rotation,
            "detection_score": round(self.detection_score, 4),
        }
        if self.characters:
            line["characters"] = [character.to_dict() for character in self.characters]
        if self.polygon is not None:
            line["polygon"] = _as_lists(self.polygon)
        return line


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OcrResult(Sequence[TextLine]):
    """The lines of one image in reading order: an immutable sequence of :class:`TextLine`.

    An image without text gives an empty result.
    """

    lines: tuple[TextLine, ...]
    width: int
    """Of the image as it was read, upright after its EXIF rotation, in pixels."""
    height: int
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    """Wall time per stage: "load", "detect", "crop", "orient", "recognise", "total"."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", tuple(self.lines))
        object.__setattr__(self, "timings_ms", MappingProxyType(dict(self.timings_ms)))

    @overload
    def __getitem__(self, index: int) -> TextLine: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TextLine, ...]: ...
    def __getitem__(self, index: int | slice) -> TextLine | tuple[TextLine, ...]:
        return self.lines[index]

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[TextLine]:
        return iter(self.lines)

    @property
    def text(self) -> str:
        """All lines, one per row."""
        return "\n".join(line.text for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dict with ``width``, ``height``, ``lines`` and ``timings_ms``."""
        return {
            "width": self.width,
            "height": self.height,
            "lines": [line.to_dict() for line in self.lines],
            "timings_ms": {stage: round(ms, 2) for stage, ms in self.timings_ms.items()},
        }

    def to_json(self, *, indent: int | None = None) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)

    def draw(self, image: ImageInput) -> NDArray[np.uint8]:
        """A copy of ``image``, (H, W, 3) BGR uint8, with the boxes and their texts beside it."""
        from edgeocr.drawing import draw_result

        return draw_result(image, self)
