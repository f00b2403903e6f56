"""What renderers work with: fonts, text and backgrounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeocr_training.data.synthetic import fields
from edgeocr_training.data.synthetic.backgrounds import Backgrounds
from edgeocr_training.data.synthetic.corpora import Corpus, find_corpora
from edgeocr_training.data.synthetic.fonts import FontBook, Language, find_fonts
from edgeocr_training.data.synthetic.sheet import Colour, Pen
from edgeocr_training.errors import RecipeError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """What sheets are made of."""

    fonts: FontBook
    corpora: Mapping[Language, Corpus]
    backgrounds: Backgrounds

    def corpus(self, rng: np.random.Generator) -> Corpus:
        """Of any of the languages."""
        languages = sorted(self.corpora)
        return self.corpora[languages[rng.integers(len(languages))]]

    def text(self, rng: np.random.Generator, corpus: Corpus, characters: int) -> str:
        """Running text of about so many characters, now and then with numbers or English in it."""
        text = corpus.text(rng, characters)
        if rng.random() < 0.25:
            start = int(rng.integers(max(len(text) - characters // 2, 1)))
            if corpus.language == "en":
                start = text.rfind(" ", 0, start) + 1
            text = text[start:].lstrip(" ,.;:!?，。、；：！？）")
            middle = len(text) // 2
            if corpus.language == "zh":
                other = self.corpora.get("en", corpus)
                inserted = other.word(rng) if rng.random() < 0.5 else fields.number(rng, "zh")
            else:
                middle = text.find(" ", middle) + 1
                inserted = fields.value(rng, corpus) + " "
            text = text[:middle] + inserted + text[middle:]
        return text[: 2 * characters]

    def pen(self, rng: np.random.Generator, language: Language, size: float, ink: Colour) -> Pen:
        """Any face of the language."""
        return Pen(typeface=self.fonts.choose(rng, language), size=max(round(size), 6), colour=ink)


def find_material(
    *,
    languages: Sequence[Language],
    fonts: Sequence[str],
    corpora: Sequence[str],
    backgrounds: Sequence[str],
) -> Material:
    """Reads files and folders, or what is installed on this machine where none are named.

    Raises:
        RecipeError: a language is unknown, or there is none.
        DataError: a file is missing, or there is no font or no text for a language.
    """
    if not languages or not set(languages) <= {"en", "zh"}:
        raise RecipeError(f"languages {tuple(languages)} to render: name 'en', 'zh', or both")
    return Material(
        fonts=find_fonts(fonts, languages),
        corpora=find_corpora(corpora, languages),
        backgrounds=Backgrounds(backgrounds),
    )
