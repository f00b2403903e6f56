"""Lines of several sources in one list, without those that a network can't learn from."""

from __future__ import annotations

import logging
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.lines import LabelledLine, LineSource, open_lines
from edgeocr_training.errors import DataError, SampleError

_log = logging.getLogger(__name__)


class UsableLines:
    """Lines of label files and LMDB environments by index; pickles.

    All labels are looked at once, at the start. Lines that a rule excludes are left out, counted
    and told in one warning for each source, with an example for each reason; lines whose row
    is broken stay in, and raise when they are used, as those whose image is broken.
    """

    def __init__(
        self,
        paths: Sequence[str],
        repeats: Sequence[int] = (),
        *,
        fault: Callable[[str], str | None],
    ) -> None:
        """Reads the labels.

        Args:
            paths: label files of lines, or folders of LMDB environments.
            repeats: how often each one's lines are listed; empty for once.
            fault: why a text can't be learnt, in words that suit several lines; None if it can.

        Raises:
            DataError: a source is missing, empty or malformed, or all of its lines are left out.
        """
        self._sources: list[LineSource] = []
        self.left_out: dict[str, Counter[str]] = {}
        """Lines left out, by source and reason."""
        places: list[NDArray[np.int64]] = [np.empty((0, 2), dtype=np.int64)]
        for path, repeat in zip(paths, repeats or [1] * len(paths), strict=True):
            source = open_lines(path)
            usable = self._usable(path, source, fault)
            numbers = np.full(len(usable), len(self._sources), dtype=np.int64)
            places += [np.column_stack([numbers, usable])] * repeat
            self._sources.append(source)
        self._places_N2: NDArray[np.int64] = np.concatenate(places)

    def __len__(self) -> int:
        return len(self._places_N2)

    def line(self, index: int) -> LabelledLine:
        """One line, its text as :func:`tidied`.

        Raises:
            SampleError: its row is broken, or its image can't be read.
        """
        source, place = self._places_N2[index].tolist()
        line = self._sources[source].line(place)
        return LabelledLine(name=line.name, image=line.image, text=tidied(line.text))

    def _usable(
        self, path: str, source: LineSource, fault: Callable[[str], str | None]
    ) -> NDArray[np.int64]:
        """Indices of the source's lines that are kept."""
        usable, reasons, examples = array("q"), Counter[str](), dict[str, str]()
        for index in range(len(source)):
            try:
                text = tidied(source.text(index))
            except SampleError:
                usable.append(index)
                continue
            reason = fault(text)
            if reason is None:
                usable.append(index)
            else:
                reasons[reason] += 1
                examples.setdefault(reason, f"line {index + 1}, {text!r}")
        kept = np.array(usable, dtype=np.int64)
        if not reasons:
            return kept
        self.left_out[path] = reasons
        told = "; ".join(f"{n} {reason} ({examples[reason]})" for reason, n in reasons.items())
        if not usable:
            raise DataError(f"{path}: none of its lines can be used: {told}")
        _log.warning("%s: %d of %d lines left out: %s", path, reasons.total(), len(source), told)
        return kept


def check_sources(sources: Sequence[str], repeats: Sequence[int], *, synthetic: bool) -> str | None:
    """What is wrong with the sources of a data set's configuration, if anything is."""
    if not sources and not synthetic:
        return "sources: name a label file or an LMDB environment, or give synthetic lines"
    if len(repeats) not in (0, len(sources)) or any(n < 1 for n in repeats):
        return f"repeats: give one number of at least 1 per source, or none, not {repeats}"
    pages = [path for path in sources if Path(path).is_file() and _is_of_pages(path)]
    if pages:
        return (
            f"sources: {pages[0]} holds labels of pages; cut its lines out first: "
            f"python -m edgeocr_training.data.cut_lines {pages[0]} FOLDER"
        )
    return None


def _is_of_pages(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            first = file.readline(1 << 20)
    except OSError:
        return False  # told when its labels are read
    return first.partition(b"\t")[2].lstrip().startswith(b'[{"')


def tidied(text: str) -> str:
    """The text with single spaces between its words and none at its ends, as lines show them."""
    return " ".join(text.split())
