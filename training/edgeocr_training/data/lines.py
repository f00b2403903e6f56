"""Labelled lines of text, from label files and from LMDB, as PaddleOCR lays them out.

* A label file has rows ``image<TAB>text`` with paths relative to its folder.
* An LMDB environment, which is a folder with ``data.mdb``, has ``num-samples`` and, counted from
  1, ``image-000000001`` and ``label-000000001``: an image file and its UTF-8 text.

Sources read and don't interpret: decoding, sizes and character sets are others' concern.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import lmdb

from edgeocr_benchmarks.errors import LabelError
from edgeocr_benchmarks.labels import read_rows, split_row
from edgeocr_training.errors import DataError, SampleError

_environments: dict[str, tuple[int, lmdb.Environment]] = {}
"""Open ones by folder, with the process that opened them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledLine:
    """The image of one line and what is written on it."""

    name: str
    """For messages: the image's path, or the place in the environment."""
    image: bytes
    """An image file, still encoded."""
    text: str
    """Not empty."""


class LineSource(Protocol):
    """Labelled lines by index. Pickles, so that workers can read."""

    def __len__(self) -> int: ...

    def text(self, index: int) -> str:
        """Reads the text of one line and not its image.

        Raises:
            SampleError: the row is malformed, or the text is empty.
        """
        ...

    def line(self, index: int) -> LabelledLine:
        """Reads one line.

        Raises:
            SampleError: the row is malformed, the image is missing, or the text is empty.
        """
        ...


def open_lines(path: str) -> LineSource:
    """Opens a label file of lines or an LMDB environment, whichever it is.

    Raises:
        DataError: it is missing, empty, malformed, or neither.
    """
    if Path(path).is_dir():
        return LmdbLines(Path(path))
    return LabelFileLines(Path(path))


class LabelFileLines:
    """Lines of a label file.

    Raises:
        DataError: the file can't be read or has no rows.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            _, self._rows = read_rows(file)
        except LabelError as error:
            raise DataError(str(error)) from error

    def __len__(self) -> int:
        return len(self._rows)

    def text(self, index: int) -> str:
        return self._split(index)[2]

    def line(self, index: int) -> LabelledLine:
        where, path, text = self._split(index)
        try:
            image = path.read_bytes()
        except OSError as error:
            raise SampleError(f"{where}: can't read {path}: {error.strerror}") from error
        return _line(str(path), image, text, where)

    def _split(self, index: int) -> tuple[str, Path, str]:
        """Where the row is, the image's path and the text."""
        number, row = self._rows[index]
        where = f"{self._file}, row {number}"
        try:
            name, text = split_row(row, where=where)
        except LabelError as error:
            raise SampleError(str(error)) from error
        _check_text(text, where)
        return where, self._file.parent / name, text


class LmdbLines:
    """Lines of an LMDB environment.

    Raises:
        DataError: it is missing, is no environment, or doesn't say how many lines it holds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / "data.mdb").is_file():
            raise DataError(f"{folder} is no LMDB environment: it has no data.mdb")
        count = self._get(b"num-samples")
        if count is None or not count.isdigit() or int(count) == 0:
            raise DataError(f"{folder} has no lines, or doesn't say so: num-samples is {count!r}")
        self._count = int(count)

    def __len__(self) -> int:
        return self._count

    def text(self, index: int) -> str:
        return self._labelled(index)[2]

    def line(self, index: int) -> LabelledLine:
        number, where, text = self._labelled(index)
        image = self._get(b"image-%09d" % number)
        if image is None:
            raise SampleError(f"{where}: has no image")
        return _line(where, image, text, where)

    def _labelled(self, index: int) -> tuple[int, str, str]:
        """The line's number, where it is, and its text."""
        number = range(1, self._count + 1)[index]
        where = f"{self._folder}, line {number}"
        label = self._get(b"label-%09d" % number)
        if label is None:
            raise SampleError(f"{where}: has no label")
        try:
            text = label.decode()
        except UnicodeDecodeError as error:
            raise SampleError(f"{where}: the label is not UTF-8") from error
        _check_text(text, where)
        return number, where, text

    def _get(self, key: bytes) -> bytes | None:
        try:
            with _environment(self._folder).begin() as transaction:
                value = transaction.get(key)
        except lmdb.Error as error:
            raise DataError(f"{self._folder}: can't be read as LMDB: {error}") from error
        return None if value is None else bytes(value)


def _environment(folder: Path) -> lmdb.Environment:
    """The environment, opened in this process: LMDB allows it once, and not across a fork."""
    key = str(folder.resolve())
    pid, environment = _environments.get(key, (0, None))
    if environment is not None and pid == os.getpid():
        return environment
    if environment is not None:
        environment.close()  # in this process alone
    environment = lmdb.open(key, readonly=True, lock=False, readahead=False, meminit=False)
    _environments[key] = os.getpid(), environment
    return environment


def _check_text(text: str, where: str) -> None:
    if not text.strip():
        raise SampleError(f"{where}: the text is empty")


def _line(name: str, image: bytes, text: str, where: str) -> LabelledLine:
    if not image:
        raise SampleError(f"{where}: the image is empty")
    return LabelledLine(name=name, image=image, text=text)
