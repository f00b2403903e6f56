"""Lines of text with their classes, as a CTC recogniser learns from them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgeocr.recognition import TOLERATED_SQUASH
from edgeocr_training.data.charset import ClassesOfCharacters, needed_steps, read_charset
from edgeocr_training.data.line_images import at_working_height, decoded, laid_flat, padded, resized
from edgeocr_training.data.rec_augmentation import rec_augmented
from edgeocr_training.data.rec_con_aug import PROBABILITY as JOINED_PROBABILITY
from edgeocr_training.data.rec_con_aug import joined
from edgeocr_training.data.sample import Sample
from edgeocr_training.data.synthetic.lines import SyntheticLines, SyntheticLinesConfig
from edgeocr_training.data.tia import tia_augmented
from edgeocr_training.data.usable_lines import UsableLines, check_sources
from edgeocr_training.errors import DataError, RecipeError, SampleError

_TRIES: Final = 100
"""Rendered lines in a row that can't be learnt; then the lines and the limits don't match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesConfig:
    """Lines of label files and LMDB environments and rendered ones, augmented as PP-OCR does it.

    Arrays of a sample:

    * ``image`` (height, width, 3) uint8 BGR: the line at the height, keeping its aspect, or
      squashed where it is longer; the rest, at the right, is grey 127, the network's zero to
      within 1 / 255
    * ``width`` () int32: columns that the line takes
    * ``label`` (max_length,) int32: classes, class i + 1 for character i of the charset, filled up
      with 0, the blank
    * ``label_length`` () int32: characters

    Runs of white space in a text count as one space, and none at its ends. Lines with characters
    that the charset lacks, with more than ``max_length`` characters, or with more than there are
    CTC steps, are left out, see :class:`~edgeocr_training.data.usable_lines.UsableLines`; PP-OCR
    drops the characters and keeps the line, which teaches not to read what is there. Empty texts
    and broken images raise :class:`~edgeocr_training.errors.SampleError`.
    """

    sources: tuple[str, ...] = ()
    """Label files of lines, and folders of LMDB environments."""
    repeats: tuple[int, ...] = ()
    """How often an epoch goes through the lines of each source; empty for once."""
    synthetic: SyntheticLinesConfig | None = None
    """Lines that are rendered; its ``count`` of them joins those of ``sources`` in an epoch. The
    charset is this configuration's, so none may be named there; and none is longer than what the
    product squashes into ``width``, whatever ``longest_aspect`` says: it cuts longer ones."""
    charset: str = "english"
    """Name or file, see :func:`~edgeocr_training.data.charset.read_charset`."""
    height: int = 32
    """Of the network's input in pixels."""
    width: int = 320
    columns_per_step: int = 4
    """Of the network's input, per CTC step."""
    max_length: int = 25
    """Characters of the longest text."""
    tia: bool = False
    """Text image augmentation; see :mod:`edgeocr_training.data.tia`."""
    rec_aug: bool = False
    """PP-OCR's other augmentations of lines; see
    :mod:`edgeocr_training.data.rec_augmentation`."""
    rec_con_aug: bool = False
    """Whether lines are joined; see :mod:`edgeocr_training.data.rec_con_aug`."""
    most_joined: int = 1
    """Further lines that are joined to a line, with ``rec_con_aug``."""

    def build(self) -> LinesDataset:
        """Reads the labels.

        Raises:
            RecipeError: a value is outside of its range.
            DataError: a file is missing, malformed or empty, or none of its lines can be used.
        """
        self._check()
        learnable = _Learnable(self)
        lines = UsableLines(self.sources, self.repeats, fault=learnable.fault)
        return LinesDataset(self, lines, self._rendered(), learnable)

    def _rendered(self) -> SyntheticLines | None:
        if self.synthetic is None:
            return None
        fitting = TOLERATED_SQUASH * self.width / self.height
        aspect = min(self.synthetic.longest_aspect, fitting)
        return replace(self.synthetic, charset=self.charset, longest_aspect=aspect).build()

    def _check(self) -> None:
        fault = check_sources(self.sources, self.repeats, synthetic=self.synthetic is not None)
        if fault is not None:
            raise RecipeError(fault)
        for name in ("height", "width", "columns_per_step", "max_length", "most_joined"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it is at least 1")
        if self.max_length > self.width // self.columns_per_step:
            raise RecipeError(
                f"max_length is {self.max_length}, more than the {self.width} / "
                f"{self.columns_per_step} CTC steps of a line"
            )
        if self.synthetic and self.synthetic.charset not in ("", self.charset):
            raise RecipeError(
                f"synthetic lines name the charset {self.synthetic.charset}, the lines "
                f"{self.charset}: leave it out there"
            )


class _Learnable:
    """Which texts fit the charset and the network."""

    def __init__(self, config: LinesConfig) -> None:
        self._config = config
        self.classes = ClassesOfCharacters(read_charset(config.charset))

    def fault(self, text: str) -> str | None:
        if self.classes.unknown(text):
            return "with characters that the charset lacks"
        if len(text) > self._config.max_length:
            return f"longer than {self._config.max_length} characters"
        steps = self._config.width // self._config.columns_per_step
        if needed_steps(self.classes.encode(text)) > steps:
            return f"that need more than {steps} CTC steps"
        return None


class LinesDataset:
    """Samples of :class:`LinesConfig`; made by its ``build``."""

    def __init__(
        self,
        config: LinesConfig,
        lines: UsableLines,
        synthetic: SyntheticLines | None,
        learnable: _Learnable,
    ) -> None:
        self._config = config
        self._lines = lines
        self._synthetic = synthetic
        self._learnable = learnable

    def __len__(self) -> int:
        """Rendered lines come after the labelled ones."""
        return len(self._lines) + (len(self._synthetic) if self._synthetic else 0)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Makes one sample; see :class:`LinesConfig` for its arrays.

        Raises:
            SampleError: the image or its label is broken.
            DataError: hardly any rendered line is short enough.
        """
        config = self._config
        name, image, text = self._line(index, rng)
        if config.tia or config.rec_aug or config.rec_con_aug:
            image = at_working_height(image, config.height, rng)
        if config.rec_con_aug and rng.random() < JOINED_PROBABILITY:
            image, text = self._joined(image, text, rng)
        if config.tia:
            image = tia_augmented(image, rng)
        if config.rec_aug:
            image = rec_augmented(image, rng)
        image = resized(image, height=config.height, width=config.width)
        label = np.zeros(config.max_length, dtype=np.int32)
        label[: len(text)] = self._learnable.classes.encode(text)
        arrays: dict[str, NDArray[Any]] = {
            "image": padded(image, width=config.width),
            "width": np.array(image.shape[1], dtype=np.int32),
            "label": label,
            "label_length": np.array(len(text), dtype=np.int32),
        }
        return Sample(name=name, arrays=arrays)

    def _line(self, index: int, rng: np.random.Generator) -> tuple[str, NDArray[np.uint8], str]:
        """Name, picture and text."""
        if index < len(self._lines) or self._synthetic is None:
            line = self._lines.line(index)
            return line.name, laid_flat(decoded(line), line.text), line.text
        faults = []
        for _ in range(_TRIES):
            image, text = self._synthetic.line(rng)
            fault = self._learnable.fault(text)
            if fault is None:
                return f"rendered line {text!r}", image, text
            faults.append(fault)
        raise DataError(
            f"{_TRIES} rendered lines in a row can't be learnt: the last was one of those "
            f"{faults[-1]} ({text!r}): lower longest_aspect, or raise max_length and width"
        )

    def _joined(
        self, image: NDArray[np.uint8], text: str, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], str]:
        config = self._config
        for _ in range(config.most_joined):
            # One that is broken is told when its own turn comes.
            with contextlib.suppress(SampleError):
                _, other, other_text = self._line(int(rng.integers(len(self))), rng)
                both = joined(
                    image,
                    text,
                    other,
                    other_text,
                    max_length=config.max_length,
                    max_aspect=config.width / config.height,
                )
                if both is None or self._learnable.fault(both[1]) is not None:
                    break
                image, text = both
        return image, text
