"""Probability maps of a teacher, computed once for every image and kept on disk.

Any DB detector in ONNX can teach. Its map of an image is stretched over the image, and warped
with it when the image is augmented: what the teacher saw of the untouched image is what the
student shall see of the augmented one.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from edgeocr.detection import nearest_multiple, wanted_scale
from edgeocr.errors import ImageError
from edgeocr.images import load_image
from edgeocr.pixels import input_table, stretch
from edgeocr.whole_files import write_whole
from edgeocr_training.data.page_image import EncodedImage
from edgeocr_training.errors import DataError, RecipeError, SampleError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]

_MULTIPLE = 32
"""Sides of a DB detector's input are multiples of this many pixels."""

_LAYOUT = 1
"""Of the cache; a change of what is stored needs another number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherMapsConfig:
    """A teacher and how it sees an image. The defaults are those of PP-OCR's detectors."""

    model: str
    """Path of an ONNX DB detector: (N, 3, H, W) float32 in, (N, 1, H, W) probabilities out."""
    cache: str | None = None
    """Folder of the maps; None for ``teacher_maps`` in edgeocr's folder of the user's cache."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Of values in [0, 1], in ``channel_order``."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    channel_order: Literal["BGR", "RGB"] = "BGR"
    """Of the teacher's input."""
    limit_side: int = 736
    """Pixels that the side named by ``limit_type`` has at least or at most."""
    limit_type: Literal["min", "max"] = "min"
    """``min``: the shorter side is at least ``limit_side``; ``max``: the longer at most."""
    max_side: int = 2000
    """Bounds the longer side after that, in pixels."""

    def build(self) -> TeacherMaps:
        """Reads the model's file; the model is opened when a map is missing.

        Raises:
            RecipeError: a value is outside of its range.
            DataError: the model is missing.
        """
        if min(self.std) <= 0:
            raise RecipeError(f"std: must be positive, not {self.std}")
        for name in ("limit_side", "max_side"):
            if getattr(self, name) < _MULTIPLE:
                raise RecipeError(f"{name}: must be at least {_MULTIPLE}")
        try:
            model_digest = hashlib.sha256(Path(self.model).read_bytes()).hexdigest()
        except OSError as error:
            raise DataError(f"can't read the teacher {self.model}: {error.strerror}") from error
        return TeacherMaps(self, model_digest)


class TeacherMaps:
    """Maps of images; made by :meth:`TeacherMapsConfig.build`, and pickles."""

    def __init__(self, config: TeacherMapsConfig, model_digest: str) -> None:
        self._config = config
        seen = (
            _LAYOUT,
            model_digest,
            config.mean,
            config.std,
            config.channel_order,
            config.limit_side,
            config.limit_type,
            config.max_side,
        )
        cache = Path(config.cache) if config.cache else _user_cache()
        self.folder = cache / hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
        """Of this teacher's maps alone."""
        self._session: InferenceSession | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A session doesn't pickle, and another process rarely needs one.
        return {**self.__dict__, "_session": None}

    def map_of(self, image: EncodedImage) -> NDArray[np.uint8]:
        """The teacher's map of an image.

        Returns:
            (h, w), ``round(255 * probability)``, stretched over the image.

        Raises:
            SampleError: the image is broken.
            DataError: the map is not in the cache, and the teacher can't be run, or the map can't
                be written.
        """
        entry = self._entry(image)
        try:
            return _decoded(entry.read_bytes())
        except (OSError, zlib.error, ValueError, EOFError):  # Missing or damaged.
            values = self._compute(image)
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            write_whole(entry, _encoded(values))
        except OSError as error:
            raise DataError(f"can't write the teacher's map {entry}: {error.strerror}") from error
        return values

    def compute_missing(self, paths: Sequence[Path]) -> None:
        """Fills the cache. Broken images are left out: they are named when they are used.

        Several processes that start together share the work, since each takes the images in an
        order of its own.

        Raises:
            DataError: the teacher can't be run, or a map can't be written.
        """
        shuffled = random.Random(os.getpid()).sample(paths, len(paths))
        try:
            for path in tqdm(shuffled, "teacher's maps", unit="image", delay=2, disable=None):
                with contextlib.suppress(SampleError):
                    image = EncodedImage(path)
                    if not self._entry(image).exists():
                        self.map_of(image)
        finally:
            # Its threads would be missing in a worker process that is forked from this one.
            self._session = None

    def _entry(self, image: EncodedImage) -> Path:
        return self.folder / f"{hashlib.sha256(image.content).hexdigest()}.npy.z"

    def _compute(self, image: EncodedImage) -> NDArray[np.uint8]:
        config = self._config
        try:
            image_HW3 = load_image(image.content)
        except ImageError as error:
            raise SampleError(f"{image.name}: {error}") from error
        height, width = image_HW3.shape[:2]
        scale = wanted_scale(
            height,
            width,
            limit_side=config.limit_side,
            limit_type=config.limit_type,
            max_side=config.max_side,
        )
        table = input_table(
            mean=config.mean, std=config.std, channel_order=config.channel_order, scale=None
        )
        input_1HW3, _ = stretch(
            image_HW3,
            height=nearest_multiple(height * scale, _MULTIPLE),
            width=nearest_multiple(width * scale, _MULTIPLE),
            table=table,
        )
        probabilities = self._run(np.ascontiguousarray(input_1HW3.transpose(0, 3, 1, 2)))
        return np.rint(255 * probabilities).astype(np.uint8)

    def _run(self, input_13HW: NDArray[Any]) -> NDArray[np.float32]:
        """(h, w) probabilities."""
        model = self._config.model
        if self._session is None:
            self._session = _open(model)
        try:
            name = self._session.get_inputs()[0].name
            map_11HW = np.asarray(self._session.run(None, {name: input_13HW})[0])
        except Exception as error:  # ONNX Runtime's errors have no common class.
            raise DataError(f"the teacher {model} does not run: {error}") from error
        if map_11HW.ndim != 4 or map_11HW.shape[:2] != (1, 1):
            raise DataError(
                f"the teacher {model} gives an array of {map_11HW.shape}; a DB detector that was "
                "exported for inference gives (1, 1, H, W)"
            )
        if not (map_11HW.min() >= 0 and map_11HW.max() <= 1):
            raise DataError(
                f"the teacher {model} gives values outside of [0, 1]: export it with its sigmoid"
            )
        return np.asarray(map_11HW[0, 0], dtype=np.float32)


def _encoded(values: NDArray[np.uint8]) -> bytes:
    """A NumPy file, compressed by zlib: five times as fast to read as PNG, with a checksum."""
    file = io.BytesIO()
    np.save(file, values)
    return zlib.compress(file.getvalue(), level=1)


def _decoded(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(np.load(io.BytesIO(zlib.decompress(content))), dtype=np.uint8)


def _open(model: str) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # In a worker of the loader that is one thread, as for everything else there.
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    try:
        return onnxruntime.InferenceSession(
            model, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors have no common class.
        raise DataError(f"can't open the teacher {model}: {error}") from error


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgeocr" / "teacher_maps"
