"""Pages with the maps that a DB detector learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeocr_training.data.copy_paste import paste_text
from edgeocr_training.data.db_labels import DbLabelsConfig, db_labels
from edgeocr_training.data.page_labels import PageRow, read_page_rows
from edgeocr_training.data.rendering import render_image
from edgeocr_training.data.sample import Sample
from edgeocr_training.data.view import ViewConfig, outlines_in, random_view
from edgeocr_training.errors import DataError, RecipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesConfig:
    """Pages from label files, augmented as PP-OCR does it.

    Samples are square. Arrays of a sample, S being ``crop_size``:

    * ``image`` (S, S, 3) uint8 BGR, black to the right of and below a crop that is not square
    * ``shrink_map`` (S, S) uint8, 1 in the kernels of text
    * ``shrink_mask`` (S, S) uint8, 0 where text is ignored
    * ``threshold_map`` (S, S) uint8, ``round(255 * threshold)``
    * ``threshold_mask`` (S, S) uint8, 1 where ``threshold_map`` is to be learnt
    """

    labels: tuple[str, ...]
    """Label files of pages, in PaddleOCR's format."""
    repeats: tuple[int, ...] = ()
    """How often an epoch goes through the pages of each file; empty for once."""
    crop_size: int = 640
    """Side of a sample in pixels."""
    copy_paste: bool = False
    """Whether text of another page of ``labels`` is pasted on each page; see
    :mod:`edgeocr_training.data.copy_paste`."""
    flip_probability: float = 0.5
    """Of mirroring the page from left to right."""
    rotation: tuple[float, float] = (-10.0, 10.0)
    """In degrees, from and to, about the middle of the page."""
    resize: tuple[float, float] = (0.5, 3.0)
    """Factors, from and to, before the crop, which is scaled to ``crop_size``."""
    crop_tries: int = 50
    min_crop_side_ratio: float = 0.1
    """Least width and height of a crop, relative to the page's."""
    shrink_ratio: float = 0.4
    """r in the distance ``A (1 - r²) / L`` by which text of area A and perimeter L is shrunk."""
    min_text_size: int = 8
    """Text that is narrower or lower, in pixels of the sample, is ignored."""
    threshold_range: tuple[float, float] = (0.3, 0.7)
    """Lowest and highest value of the threshold map."""

    def build(self) -> PagesDataset:
        """Reads the labels.

        Raises:
            RecipeError: a value is outside of its range.
            DataError: a file is missing, malformed or empty.
        """
        self._check()
        return PagesDataset(self, read_page_rows(self.labels, self.repeats))

    def _check(self) -> None:
        low, high = self.threshold_range
        for holds, message in (
            (len(self.labels) > 0, "labels: name at least one label file"),
            (
                len(self.repeats) in (0, len(self.labels)) and all(n >= 1 for n in self.repeats),
                "repeats: give one number of at least 1 per label file, or none",
            ),
            (
                self.crop_size >= 32 and self.crop_size % 32 == 0,
                "crop_size: must be a multiple of 32",
            ),
            (0 <= self.flip_probability <= 1, "flip_probability: must be in [0, 1]"),
            (
                -180 <= self.rotation[0] <= self.rotation[1] <= 180,
                "rotation: must be two rising angles in [-180, 180]",
            ),
            (
                0 < self.resize[0] <= self.resize[1],
                "resize: must be two rising positive factors",
            ),
            (self.crop_tries >= 1, "crop_tries: must be at least 1"),
            (0 <= self.min_crop_side_ratio <= 1, "min_crop_side_ratio: must be in [0, 1]"),
            (0 < self.shrink_ratio < 1, "shrink_ratio: must be in (0, 1)"),
            (self.min_text_size >= 1, "min_text_size: must be at least 1"),
            (0 <= low < high <= 1, "threshold_range: must be two rising values in [0, 1]"),
        ):
            if not holds:
                raise RecipeError(f"{message}, not {getattr(self, message.partition(':')[0])}")


class PagesDataset:
    """Samples of :class:`PagesConfig`; made by its ``build``."""

    def __init__(self, config: PagesConfig, rows: Sequence[PageRow]) -> None:
        if not rows:
            raise DataError("there are no pages to train with")
        self._config = config
        self._rows = rows
        self._view = ViewConfig(
            size=config.crop_size,
            flip_probability=config.flip_probability,
            rotation=config.rotation,
            resize=config.resize,
            crop_tries=config.crop_tries,
            min_crop_side_ratio=config.min_crop_side_ratio,
        )
        self._labels = DbLabelsConfig(
            shrink_ratio=config.shrink_ratio,
            min_text_size=config.min_text_size,
            threshold_range=config.threshold_range,
        )

    def __len__(self) -> int:
        return len(self._rows)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Makes one sample; see :class:`PagesConfig` for its arrays.

        Raises:
            SampleError: the image or its label is broken.
        """
        layout = self._rows[index].read()
        if self._config.copy_paste:
            external = self._rows[int(rng.integers(len(self._rows)))].read()
            layout = paste_text(layout, external, rng)
        view = random_view(*layout.image.size, layout.outlines, rng, self._view)
        image = np.zeros((view.size, view.size, 3), dtype=np.uint8)
        image[: view.height, : view.width] = render_image(layout, view)
        labels = db_labels(
            outlines_in(view, layout.outlines),
            size=view.size,
            width=view.width,
            height=view.height,
            config=self._labels,
        )
        return Sample(
            name=layout.image.name,
            arrays={
                "image": image,
                "shrink_map": labels.shrink_map,
                "shrink_mask": labels.shrink_mask,
                "threshold_map": labels.threshold_map,
                "threshold_mask": labels.threshold_mask,
            },
        )
