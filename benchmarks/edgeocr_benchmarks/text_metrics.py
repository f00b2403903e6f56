"""How close a reading comes to the text that is written.

Every comparison is made on canonical text: Unicode NFKC (full-width forms become the usual
ones, ligatures fall apart), runs of white space become one space, outer space goes. Where the
labels have no lower case at all, case is folded as well: such labels say nothing about case.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass

from edgeocr_benchmarks.match_counts import MatchCounts


def canonical(text: str, *, fold_case: bool) -> str:
    """NFKC, white space collapsed and stripped; case folded on request."""
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    # Folding can undo the composition (U+0390), so it is normalised once more.
    return unicodedata.normalize("NFKC", text.casefold()) if fold_case else text


def alphanumeric(text: str) -> str:
    """Letters and digits only, case folded: what scene-text word accuracy usually compares.

    Chinese, Japanese and Korean characters are letters in this sense.
    """
    folded = canonical(text, fold_case=True)
    return "".join(character for character in folded if character.isalnum())


def edit_distance(first: str, second: str) -> int:
    """Insertions, deletions and substitutions that turn one text into the other."""
    if len(first) < len(second):
        first, second = second, first
    row = list(range(len(second) + 1))
    for i, from_first in enumerate(first, start=1):
        diagonal, row[0] = row[0], i
        for j, from_second in enumerate(second, start=1):
            substitution = diagonal + (from_first != from_second)
            diagonal = row[j]
            row[j] = min(substitution, row[j] + 1, row[j - 1] + 1)
    return row[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCounts:
    """How well lines were read. Counts of several lines add up."""

    lines: int
    exact: int
    """Lines whose canonical text is equal: the primary word accuracy."""
    alphanumeric: int
    """Lines equal in letters and digits, case ignored."""
    edits: int
    """Sum of edit distances between canonical texts."""
    characters: int
    """Of the ground truth, canonical."""

    def __add__(self, other: LineCounts) -> LineCounts:
        return LineCounts(
            lines=self.lines + other.lines,
            exact=self.exact + other.exact,
            alphanumeric=self.alphanumeric + other.alphanumeric,
            edits=self.edits + other.edits,
            characters=self.characters + other.characters,
        )

    @property
    def accuracy(self) -> float:
        """Share of lines read exactly, in [0, 1]; 1 where there are no lines."""
        return self.exact / self.lines if self.lines else 1.0

    @property
    def alphanumeric_accuracy(self) -> float:
        return self.alphanumeric / self.lines if self.lines else 1.0

    @property
    def cer(self) -> float:
        """Character error rate: edits per character of the ground truth, can exceed 1.

        Where the ground truth has no characters, the edits themselves.
        """
        return self.edits / max(self.characters, 1)


NO_LINES = LineCounts(lines=0, exact=0, alphanumeric=0, edits=0, characters=0)
"""The neutral element of the addition."""


def line_counts(expected: str, found: str, *, fold_case: bool) -> LineCounts:
    """Compares the reading of one line with what is written there."""
    written = canonical(expected, fold_case=fold_case)
    read = canonical(found, fold_case=fold_case)
    return LineCounts(
        lines=1,
        exact=int(written == read),
        alphanumeric=int(alphanumeric(expected) == alphanumeric(found)),
        edits=edit_distance(written, read),
        characters=len(written),
    )


def character_counts(expected: str, found: str, *, fold_case: bool) -> MatchCounts:
    """Compares two texts as bags of characters: order and white space don't count.

    It asks for no boxes and does not care whether text comes as words or lines, so it holds
    for any image and any engine.
    """
    written = Counter("".join(canonical(expected, fold_case=fold_case).split()))
    read = Counter("".join(canonical(found, fold_case=fold_case).split()))
    return MatchCounts(
        expected=written.total(), found=read.total(), matched=(written & read).total()
    )
