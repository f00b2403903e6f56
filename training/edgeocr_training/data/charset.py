"""The characters that a recogniser knows, and the classes that a text is of.

Class 0 is CTC's blank, and class i + 1 is character i, as in the product.
"""

from __future__ import annotations

import codecs
import string
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeocr.bundle import read_charset as parse_charset
from edgeocr.ctc import BLANK
from edgeocr.errors import BundleError
from edgeocr_training.errors import DataError

SPACE: Final = " "

CHARSETS: Final = {
    "english": (*string.digits, *string.ascii_letters, *string.punctuation, SPACE),
}
"""By name: ``english`` is the 95 printable characters of ASCII."""


def read_charset(path_or_name: str) -> tuple[str, ...]:
    """The characters, the space always among them.

    Args:
        path_or_name: a name of :data:`CHARSETS`, or a file in UTF-8 with one character a line.
            PP-OCR's files leave the space out: it is then the last one, as in PP-OCR's recognisers
            (``use_space_char``), so that the 6,623 of ``ppocr_keys_v1.txt`` become 6,624.

    Raises:
        DataError: the file can't be read, is not UTF-8, or has an empty line.
    """
    if path_or_name in CHARSETS:
        return CHARSETS[path_or_name]
    try:
        content = Path(path_or_name).read_bytes()
    except OSError as error:
        raise DataError(
            f"can't read the charset {path_or_name}: {error.strerror}; name a file, or one of: "
            f"{', '.join(CHARSETS)}"
        ) from error
    try:
        charset = parse_charset(content.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n"))
    except BundleError as error:
        raise DataError(f"{path_or_name}: {error}") from error
    return charset if SPACE in charset else (*charset, SPACE)


class ClassesOfCharacters:
    """Looks up the classes of a charset's characters; of equal characters the first one's."""

    def __init__(self, charset: tuple[str, ...]) -> None:
        first = BLANK + 1
        self._classes = {
            character: first + i for i, character in reversed(list(enumerate(charset)))
        }

    def unknown(self, text: str) -> str:
        """The characters of the text that the charset lacks, each once."""
        return "".join(dict.fromkeys(c for c in text if c not in self._classes))

    def encode(self, text: str) -> NDArray[np.int32]:
        """(len(text),) int32, none of them blank.

        Raises:
            KeyError: the charset lacks a character.
        """
        return np.array([self._classes[character] for character in text], dtype=np.int32)


def needed_steps(classes_N: NDArray[np.int32]) -> int:
    """CTC steps that a text needs at least: one a character, and a blank between equal ones."""
    return len(classes_N) + int(np.count_nonzero(classes_N[1:] == classes_N[:-1]))
