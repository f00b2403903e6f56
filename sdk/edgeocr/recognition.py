"""Reads a line of text: a CTC recogniser over a few fixed widths, or over any.

The line is scaled to the height of the network and goes into the narrowest width that has
room for it; it may be squashed by ``TOLERATED_SQUASH`` to fit, no more. A line too long for
the widest is cut in places with little ink. Neighbouring pieces overlap, so that what stands
beside a cut is read with its surroundings; a character counts for the piece in whose own part
its middle lies. Where the bundle says that the width can be resized, any multiple up to the
widest will do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.bundle import Bundle, RecognitionModel, Signature
from edgeocr.ctc import CtcPath, greedy_path
from edgeocr.errors import BundleError
from edgeocr.orientation import Line
from edgeocr.pixels import RESIZING, fit
from edgeocr.runtime import NetworkPool, Tensor

TOLERATED_SQUASH: Final = 1.2
"""A line may be made this much narrower than its height asks for, to fit a width.

The next width costs more time, and its padding more spaces: with PP-OCRv4 on the training lines
of SROIE, the CER is 0.105 at 1.0, 0.095 at 1.2 and 0.097 at 1.5; scene words don't mind.
"""

MOST_PIECES: Final = 16
"""Of one line. One that is longer yet is squashed to as many: some 400 times its height."""

# Fewer leave a piece of a long line nothing of its own between its overlaps.
_FEWEST_STEPS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What a line says, with the CTC steps of its n characters."""

    characters: tuple[str, ...]
    scores: NDArray[np.float32]
    """(n,) confidence of each character in [0, 1]."""
    starts: NDArray[np.intp]
    """(n,) first step of each character."""
    ends: NDArray[np.intp]
    """(n,) last step of each character, inclusive."""
    step_width: float
    """Pixels of the line per step."""

    @property
    def text(self) -> str:
        return "".join(self.characters)

    @property
    def score(self) -> float:
        """Mean of ``scores``; 0 for an empty line."""
        return float(self.scores.mean()) if len(self.scores) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A piece of a line, in columns of the line scaled to the network's height."""

    begin: int
    """First column that the network sees."""
    end: int
    """One past the last column that it sees."""
    own_begin: int
    """First column whose characters count for this piece."""
    own_end: int
    """One past the last column whose characters count for this piece."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinePiece:
    """A piece as the network takes it."""

    tensor: Tensor
    """(1, height, width, 3) int8 or float32."""
    signature: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedLine:
    pieces: tuple[LinePiece, ...]
    scale: float
    """Columns of the scaled line per pixel of the line."""


class TextRecogniser:
    """The recogniser of one bundle: ``decode(infer(prepare(line)), …)``. Thread-safe."""

    def __init__(self, bundle: Bundle, *, workers: int) -> None:
        """Opens the model and its charset.

        Args:
            bundle: with the model.
            workers: lines that are read at the same time, each on one thread.

        Raises:
            BundleError: the model is not what the manifest states.
            RuntimeUnavailableError: there is no runtime, or it refuses the model.
        """
        self.model: RecognitionModel = bundle.stages.rec
        self.charset = bundle.charset()
        self._networks = NetworkPool(
            bundle,
            self.model,
            size=workers,
            threads=1,
            live_signatures=len(self.model.signatures),
            output_rank=3,
        )
        self._tables = self._networks.input_tables()
        self._buckets = sorted(self.model.signatures, key=lambda bucket: bucket.width)
        self._step = self._columns_per_step(bundle)

    def _columns_per_step(self, bundle: Bundle) -> int:
        steps = set()
        for bucket in self._buckets:
            _, port = self._networks.ports[bucket.name]
            if port.shape[2] != self.model.classes:
                raise BundleError(
                    f"{bundle.location}: {self.model.file} has {port.shape[2]} classes, "
                    f"bundle.json states {self.model.classes} (stages.rec.classes)"
                )
            steps.add(bucket.width / port.shape[1])
        if len(steps) != 1 or not min(steps).is_integer():
            raise BundleError(
                f"{bundle.location}: {self.model.file} must have the same whole number of "
                f"columns per CTC step at every width, it has {sorted(steps)}"
            )
        step = int(min(steps))
        if self._buckets[-1].width < _FEWEST_STEPS * step:
            raise BundleError(
                f"{bundle.location}: {self.model.file} has {self._buckets[-1].width // step} CTC "
                f"steps at its widest, it must have {_FEWEST_STEPS}"
            )
        return step

    def recognise(self, line: Line) -> Reading:
        """Reads a line that stands upright."""
        prepared = self.prepare(line)
        return self.decode(self.infer(prepared), prepared)

    def prepare(self, line: Line) -> PreparedLine:
        """Scales, cuts where needed, normalises and quantizes."""
        line_height, line_width = line.shape[:2]
        widest = self._buckets[-1]
        columns = math.ceil(widest.height * line_width / line_height - 1e-6)
        if columns <= widest.width * TOLERATED_SQUASH:
            tolerated = columns / TOLERATED_SQUASH
            if self.model.width_multiple is not None:
                tolerated = min(columns, widest.width)
            columns = min(columns, self._narrowest_for(tolerated).width)
            spans = [Span(begin=0, end=columns, own_begin=0, own_end=columns)]
            scaled = _resize(line, columns, widest.height)
        else:
            most = MOST_PIECES * _usual_piece(widest.height, widest.width, self._step)
            scaled = _resize(line, columns := min(columns, most), widest.height)
            spans = split_line(scaled, widest=widest.width, step=self._step)
        return PreparedLine(
            pieces=tuple(self._piece(scaled, span) for span in spans),
            scale=columns / line_width,
        )

    def infer(self, prepared: PreparedLine) -> tuple[Tensor, ...]:
        """Runs the network: (1, steps, classes) as the model emits it, for every piece."""
        return tuple(self._networks.run(piece.signature, piece.tensor) for piece in prepared.pieces)

    def decode(self, outputs: Sequence[Tensor], prepared: PreparedLine) -> Reading:
        """Decodes the pieces and joins them."""
        characters: list[str] = []
        scores: list[float] = []
        starts: list[int] = []
        ends: list[int] = []
        # A space at a cut may be seen a little to the left by one piece and a little to the
        # right by the other, so that neither would own it: both may keep it, the first wins.
        reach = self._buckets[0].height // 4
        for output, piece in zip(outputs, prepared.pieces, strict=True):
            path = self._path(output, piece.signature)
            span, first_step = piece.span, piece.span.begin // self._step
            joint = len(characters)
            for index, score, start, end in zip(
                path.indices, path.scores, path.starts, path.ends, strict=True
            ):
                character = self.charset[index - 1]
                if len(prepared.pieces) > 1:
                    middle = span.begin + (start + end + 1) / 2 * self._step
                    slack = reach if character == " " else 0
                    if not span.own_begin - slack <= middle < span.own_end + slack:
                        continue
                    if character == " " and len(characters) == joint and characters[-1:] == [" "]:
                        continue
                characters.append(character)
                scores.append(score)
                starts.append(first_step + start)
                ends.append(first_step + end)
        return Reading(
            characters=tuple(characters),
            scores=np.array(scores, dtype=np.float32),
            starts=np.array(starts, dtype=np.intp),
            ends=np.array(ends, dtype=np.intp),
            step_width=self._step / prepared.scale,
        )

    def uses_delegate(self) -> bool:
        """Whether XNNPACK computes part of the model."""
        return self._networks.uses_delegate()

    def warm_up(self) -> None:
        """Runs every width once on every interpreter, so that the first lines are fast."""
        self._networks.warm_up([bucket.name for bucket in self._buckets])

    def _path(self, output: Tensor, signature: str) -> CtcPath:
        _, port = self._networks.ports[signature]
        return greedy_path(
            output[0],
            outputs=self.model.outputs,
            scale=1.0 if port.scale is None else port.scale,
            zero_point=port.zero_point,
        )

    def _piece(self, scaled: Line, span: Span) -> LinePiece:
        bucket = self._narrowest_for(span.end - span.begin)
        tensor, _ = fit(
            scaled[:, span.begin : span.end],
            height=bucket.height,
            width=bucket.width,
            table=self._tables[bucket.name],
            pad=None,
            scale=1.0,
        )
        return LinePiece(tensor=tensor, signature=bucket.name, span=span)

    def _narrowest_for(self, columns: float) -> Signature:
        """The narrowest width with room, no wider than the widest."""
        multiple = self.model.width_multiple
        needed = columns
        if multiple is not None and self.model.min_width is not None:
            needed = max(columns, min(self.model.min_width, self._buckets[-1].width))
        bucket = next(bucket for bucket in self._buckets if bucket.width >= needed)
        if multiple is None:
            return bucket
        return replace(bucket, width=min(math.ceil(needed / multiple) * multiple, bucket.width))


def split_line(scaled: Line, *, widest: int, step: int) -> list[Span]:
    """Cuts a line that is longer than ``widest`` where it has little ink.

    Args:
        scaled: (height, columns, 3) uint8, scaled to the network's height.
        widest: columns that the network takes at most.
        step: columns per CTC step; pieces begin at whole steps.

    Returns:
        Spans from left to right. Their own parts follow each other without a gap; none is
        wider than ``widest``.
    """
    height, columns = scaled.shape[:2]
    overlap = _overlap(height, widest)
    count = math.ceil(columns / _usual_piece(height, widest, step))
    # However far a cut is moved within the slack, no piece outgrows its room, nor vanishes.
    part = columns / count
    slack = max(0.0, min((_room(height, widest, step) - 1 - part) / 2, part / 2 - 1))
    ink = _ink(scaled)
    cuts = [0]
    for i in range(1, count):
        low, high = math.ceil(i * part - slack), math.floor(i * part + slack)
        high = max(low, high)
        cuts.append(low + int(ink[low : high + 1].argmin()))
    cuts.append(columns)
    return [
        Span(
            begin=max(0, begin - overlap) // step * step,
            end=min(columns, end + overlap),
            own_begin=begin,
            own_end=end,
        )
        for begin, end in pairwise(cuts)
    ]


def _overlap(height: int, widest: int) -> int:
    """Half of a Chinese character's width, as far as the network is wide enough for that."""
    return min(height // 2, widest // 8)


def _room(height: int, widest: int, step: int) -> int:
    """Columns that a piece can own: its overlaps and the rounding of its begin go off."""
    return widest - 2 * _overlap(height, widest) - step


def _usual_piece(height: int, widest: int, step: int) -> int:
    """Columns that a piece owns on average; the rest of its room is for moving the cuts."""
    room = _room(height, widest, step)
    return min(max(room - 3 * height, room // 2), room - 2)


def _ink(scaled: Line) -> NDArray[np.float32]:
    """How much the columns vary from top to bottom, over a word gap's width."""
    grey = cv2.cvtColor(scaled, cv2.COLOR_BGR2GRAY).astype(np.float32)
    deviation = grey.std(axis=0, keepdims=True)
    ink = cv2.blur(deviation, (scaled.shape[0] // 4 | 1, 1), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(ink[0], dtype=np.float32)


def _resize(line: Line, width: int, height: int) -> Line:
    resized = cv2.resize(line, (width, height), interpolation=RESIZING)
    return np.asarray(resized, dtype=np.uint8)
