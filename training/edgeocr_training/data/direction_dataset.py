"""Lines that stand upright or on their head, as a classifier of directions learns from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgeocr.orientation import MOST_SQUASH
from edgeocr.pixels import TALL_LINE
from edgeocr_training.data.bda import bda_augmented
from edgeocr_training.data.erasing import (
    Mask,
    cut_out_mask,
    grid_mask,
    hidden,
    hide_and_seek_mask,
    rand_erasing_mask,
)
from edgeocr_training.data.line_images import at_working_height, decoded, padded, resized
from edgeocr_training.data.policy_augmentation import (
    auto_augmented,
    check_rand_augment,
    rand_augmented,
)
from edgeocr_training.data.sample import Sample
from edgeocr_training.data.synthetic.lines import SyntheticLines, SyntheticLinesConfig
from edgeocr_training.data.usable_lines import UsableLines, check_sources
from edgeocr_training.errors import DataError, RecipeError

Augmentation = Literal[
    "bda",
    "auto_augment",
    "rand_augment",
    "cut_out",
    "rand_erasing",
    "hide_and_seek",
    "grid_mask",
]

UPRIGHT: Final = 0
UPSIDE_DOWN: Final = 1

AMBIGUOUS: Final = frozenset("0689HINOSXZMWbdlnopqsuxz|/\\%+-=:~()[]{}<>一十口田日中")
"""Characters that, turned by 180 degrees, stay what they are or become another one."""

_MASKS: Final[Mapping[Augmentation, Callable[[np.random.Generator], Mask]]] = {
    "cut_out": cut_out_mask,
    "rand_erasing": rand_erasing_mask,
    "hide_and_seek": hide_and_seek_mask,
    "grid_mask": grid_mask,
}
_TRIES: Final = 100
"""Lines in a row whose direction nobody could tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionsConfig:
    """Lines of label files and LMDB environments and rendered ones, half of them turned.

    Arrays of a sample:

    * ``image`` (height, width, 3) uint8 BGR: the line at the height, keeping its aspect, or
      squashed where it is longer; the rest, at the right, is grey 127, the network's zero to
      within 1 / 255. Of lines that would be squashed to less than half, a piece anywhere is taken,
      as the product takes the middle one.
    * ``label`` () int64: 0 upright, 1 upside down

    Lines whose text says nothing about the direction, such as "HO" or "-", are left out, see
    :class:`~edgeocr_training.data.usable_lines.UsableLines`; in place of a tall image, which may
    hold a line that runs up or down, another line comes. Mixup and CutMix act on batches:
    :mod:`edgeocr_training.data.mixing`.
    """

    sources: tuple[str, ...] = ()
    """Label files of lines, and folders of LMDB environments; all lines stand upright."""
    repeats: tuple[int, ...] = ()
    """How often an epoch goes through the lines of each source; empty for once."""
    synthetic: SyntheticLinesConfig | None = None
    """Lines that are rendered; its ``count`` of them joins those of ``sources`` in an epoch."""
    size: tuple[int, int] = (48, 192)
    """Height and width of the network's input in pixels; PP-OCR's was (32, 100) at first."""
    augmentation: tuple[Augmentation, ...] = ("bda", "rand_augment")
    """What is done to a line, in this order. What hides parts of it comes last, at the size of the
    network."""
    rand_augment_operations: int = 2
    """N of RandAugment."""
    rand_augment_magnitude: float = 5.0
    """M of RandAugment, of 10."""

    def build(self) -> DirectionsDataset:
        """Reads the labels.

        Raises:
            RecipeError: a value is outside of its range.
            DataError: a file is missing, malformed or empty, or none of its lines can be used.
        """
        self._check()
        lines = UsableLines(self.sources, self.repeats, fault=direction_fault)
        return DirectionsDataset(self, lines, self.synthetic.build() if self.synthetic else None)

    def _check(self) -> None:
        fault = check_sources(self.sources, self.repeats, synthetic=self.synthetic is not None)
        if fault is not None:
            raise RecipeError(fault)
        if min(self.size) < 1:
            raise RecipeError(f"size is {self.size}; height and width are at least 1")
        known = get_args(Augmentation)
        for name in self.augmentation:
            if name not in known:
                raise RecipeError(f"augmentation {name!r} is none of: {', '.join(known)}")
        if len(set(self.augmentation)) < len(self.augmentation):
            raise RecipeError(f"augmentation {self.augmentation} names one twice")
        check_rand_augment(self.rand_augment_operations, self.rand_augment_magnitude)


def direction_fault(text: str) -> str | None:
    """Why nobody could tell the direction of lines with such a text; None if one can."""
    characters = text.replace(" ", "")
    # Marks alone are cut out without what would show where they stand.
    if set(characters) <= AMBIGUOUS or not any(c.isalnum() for c in characters):
        return "that look like text upside down as well"
    return None


class DirectionsDataset:
    """Samples of :class:`DirectionsConfig`; made by its ``build``."""

    def __init__(
        self, config: DirectionsConfig, lines: UsableLines, synthetic: SyntheticLines | None
    ) -> None:
        self._config = config
        self._lines = lines
        self._synthetic = synthetic
        augment: Mapping[Augmentation, Callable[..., NDArray[np.uint8]]] = {
            "bda": bda_augmented,
            "auto_augment": auto_augmented,
            "rand_augment": partial(
                rand_augmented,
                operations=config.rand_augment_operations,
                magnitude=config.rand_augment_magnitude,
            ),
        }
        self._augment = [augment[name] for name in config.augmentation if name in augment]
        self._masks = [_MASKS[name] for name in config.augmentation if name in _MASKS]

    def __len__(self) -> int:
        """Rendered lines come after the labelled ones."""
        return len(self._lines) + (len(self._synthetic) if self._synthetic else 0)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Makes one sample; see :class:`DirectionsConfig` for its arrays.

        Raises:
            SampleError: the image or its label is broken.
            DataError: hardly any line has a direction.
        """
        height, width = self._config.size
        name, image = self._line(index, rng)
        image = _judged(image, height, width, rng)
        if self._augment:
            image = at_working_height(image, height, rng)
        label = (UPRIGHT, UPSIDE_DOWN)[rng.integers(2)]
        if label == UPSIDE_DOWN:
            image = np.ascontiguousarray(image[::-1, ::-1])
        for augment in self._augment:
            image = augment(image, rng)
        image = resized(image, height=height, width=width)
        for mask in self._masks:
            image = hidden(image, mask(rng))
        arrays: dict[str, NDArray[Any]] = {
            "image": padded(image, width=width),
            "label": np.array(label, dtype=np.int64),
        }
        return Sample(name=name, arrays=arrays)

    def _line(self, index: int, rng: np.random.Generator) -> tuple[str, NDArray[np.uint8]]:
        """Name and picture of a line that stands upright."""
        for _ in range(_TRIES):
            if index < len(self._lines) or self._synthetic is None:
                line = self._lines.line(index)
                name, image, usable = line.name, decoded(line), True
            else:
                image, text = self._synthetic.line(rng)
                name, usable = f"rendered line {text!r}", direction_fault(text) is None
            if usable and image.shape[0] < TALL_LINE * image.shape[1]:
                return name, image
            index = int(rng.integers(len(self)))
        raise DataError(
            f"{_TRIES} lines in a row have no direction, or are tall: check the sources"
        )


def _judged(
    image: NDArray[np.uint8], height: int, width: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A piece of the line that is squashed by no more than the product squashes it."""
    rows, columns = image.shape[:2]
    most = max(1, MOST_SQUASH * rows * width // height)
    if columns <= most:
        return image
    begin = int(rng.integers(columns - most + 1))
    return np.ascontiguousarray(image[:, begin : begin + most])
