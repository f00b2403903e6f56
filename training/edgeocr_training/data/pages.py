"""Pages with the maps that a DB detector learns from."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeocr_training.data.colour_jitter import jitter_colours
from edgeocr_training.data.copy_paste import paste_text
from edgeocr_training.data.db_labels import DbLabelsConfig, db_labels
from edgeocr_training.data.outlines import Outlines
from edgeocr_training.data.page_image import EncodedImage, PageImage, RenderedImage
from edgeocr_training.data.page_labels import PageRow, read_page_rows
from edgeocr_training.data.page_layout import PageLayout
from edgeocr_training.data.rendering import render_image, render_map
from edgeocr_training.data.sample import Sample
from edgeocr_training.data.synthetic.pages import SyntheticPages, SyntheticPagesConfig
from edgeocr_training.data.teacher_maps import TeacherMaps, TeacherMapsConfig
from edgeocr_training.data.view import ViewConfig, outlines_in, random_view
from edgeocr_training.errors import RecipeError, SampleError


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesConfig:
    """Pages from label files, augmented as PP-OCR does it.

    Samples are square. Arrays of a sample, S being ``crop_size``:

    * ``image`` (S, S, 3) uint8 BGR, black to the right of and below a crop that is not square
    * ``shrink_map`` (S, S) uint8, 1 in the kernels of text
    * ``shrink_mask`` (S, S) uint8, 0 where text is ignored
    * ``threshold_map`` (S, S) uint8, ``round(255 * threshold)``
    * ``threshold_mask`` (S, S) uint8, 1 where ``threshold_map`` is to be learnt
    * with ``teacher_maps``: ``teacher_map`` (S, S) uint8, ``round(255 * probability)``
    """

    labels: tuple[str, ...] = ()
    """Label files of pages, in PaddleOCR's format."""
    repeats: tuple[int, ...] = ()
    """How often an epoch goes through the pages of each file; empty for once."""
    synthetic: SyntheticPagesConfig | None = None
    """Pages that are rendered; its ``count`` of them joins those of ``labels`` in an epoch."""
    teacher_maps: TeacherMapsConfig | None = None
    """A detector whose maps are taught. On a rendered page nothing is known better than the
    truth, so there the shrink map stands for the teacher's: running a teacher would cost many
    times the rendering."""
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
    fill_square: bool = False
    """Whether crops grow towards a square as far as the page and its text allow. PP-OCR's don't,
    which leaves nearly half of a sample of ICDAR 2015 black."""
    colour_jitter: float = 0.0
    """Range of random brightness and contrast, as factors about 1, which PP-OCR does without; see
    :mod:`edgeocr_training.data.colour_jitter`."""
    shrink_ratio: float = 0.4
    """r in the distance ``A (1 - r²) / L`` by which text of area A and perimeter L is shrunk."""
    min_text_size: int = 8
    """Text that is narrower or lower, in pixels of the sample, is ignored."""
    threshold_range: tuple[float, float] = (0.3, 0.7)
    """Lowest and highest value of the threshold map."""

    def build(self) -> PagesDataset:
        """Reads the labels, and computes the teacher's maps that are missing in its cache.

        Raises:
            RecipeError: a value is outside of its range.
            DataError: a file is missing, malformed or empty, or the teacher can't be run.
        """
        self._check()
        rows = read_page_rows(self.labels, self.repeats)
        teacher = self.teacher_maps.build() if self.teacher_maps else None
        if teacher:
            teacher.compute_missing(_image_paths(rows))
        return PagesDataset(self, rows, self.synthetic.build() if self.synthetic else None, teacher)

    def _check(self) -> None:
        low, high = self.threshold_range
        for holds, message in (
            (self.labels or self.synthetic, "labels: name a label file, or give synthetic pages"),
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
            (0 <= self.colour_jitter < 1, "colour_jitter: must be in [0, 1)"),
            (0 < self.shrink_ratio < 1, "shrink_ratio: must be in (0, 1)"),
            (self.min_text_size >= 1, "min_text_size: must be at least 1"),
            (0 <= low < high <= 1, "threshold_range: must be two rising values in [0, 1]"),
        ):
            if not holds:
                raise RecipeError(f"{message}, not {getattr(self, message.partition(':')[0])}")


class PagesDataset:
    """Samples of :class:`PagesConfig`; made by its ``build``."""

    def __init__(
        self,
        config: PagesConfig,
        rows: Sequence[PageRow],
        synthetic: SyntheticPages | None,
        teacher: TeacherMaps | None,
    ) -> None:
        self._config = config
        self._rows = rows
        self._synthetic = synthetic
        self._teacher = teacher
        self._view = ViewConfig(
            size=config.crop_size,
            flip_probability=config.flip_probability,
            rotation=config.rotation,
            resize=config.resize,
            crop_tries=config.crop_tries,
            min_crop_side_ratio=config.min_crop_side_ratio,
            fill_square=config.fill_square,
        )
        self._labels = DbLabelsConfig(
            shrink_ratio=config.shrink_ratio,
            min_text_size=config.min_text_size,
            threshold_range=config.threshold_range,
        )

    def __len__(self) -> int:
        """Rendered pages come after the labelled ones."""
        return len(self._rows) + (len(self._synthetic) if self._synthetic else 0)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Makes one sample; see :class:`PagesConfig` for its arrays.

        Raises:
            SampleError: the image or its label is broken.
        """
        layout = self._page(index, rng)
        page_image = layout.image
        if self._config.copy_paste and self._rows:
            external = self._rows[int(rng.integers(len(self._rows)))].read()
            layout = paste_text(layout, external, rng)
        view = random_view(*page_image.size, layout.outlines, rng, self._view)
        shown = render_image(layout, view)
        if self._config.colour_jitter:
            shown = jitter_colours(shown, rng, strength=self._config.colour_jitter)
        labels = db_labels(
            outlines_in(view, layout.outlines),
            size=view.size,
            width=view.width,
            height=view.height,
            config=self._labels,
        )
        arrays = {
            "image": _padded(shown, view.size),
            "shrink_map": labels.shrink_map,
            "shrink_mask": labels.shrink_mask,
            "threshold_map": labels.threshold_map,
            "threshold_mask": labels.threshold_mask,
        }
        if self._teacher and isinstance(page_image, EncodedImage):
            taught = render_map(layout, view, partial(_map_of, self._teacher))
            arrays["teacher_map"] = _padded(taught, view.size)
        elif self._teacher:
            arrays["teacher_map"] = labels.shrink_map * np.uint8(255)
        return Sample(name=page_image.name, arrays=arrays)

    def _page(self, index: int, rng: np.random.Generator) -> PageLayout:
        if index < len(self._rows) or self._synthetic is None:
            return self._rows[index].read()
        page = self._synthetic.page(rng)
        return PageLayout(
            image=RenderedImage(page.name, page.image),
            outlines=Outlines.of(page.polygons, page.ignored),
        )


def _image_paths(rows: Sequence[PageRow]) -> list[Path]:
    """Of the images of the rows, each once; malformed rows have none."""
    paths = []
    for row in dict.fromkeys(rows):
        with contextlib.suppress(SampleError):
            paths.append(row.image_path())
    return paths


def _map_of(teacher: TeacherMaps, image: PageImage) -> NDArray[np.uint8]:
    if not isinstance(image, EncodedImage):
        raise TypeError(f"{image.name} has no file, so the teacher has no map of it")
    return teacher.map_of(image)


def _padded(shown: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Zeros at the right and below, up to a square."""
    height, width = shown.shape[:2]
    padded = np.zeros((size, size, *shown.shape[2:]), dtype=np.uint8)
    padded[:height, :width] = shown
    return padded
