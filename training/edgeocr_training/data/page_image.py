"""Images of pages, decoded no finer than they are shown."""

from __future__ import annotations

import io
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeocr.errors import ImageError
from edgeocr.images import load_image
from edgeocr.options import MAX_PIXELS
from edgeocr_training.errors import SampleError

REDUCTIONS: Final = (8, 4, 2)
"""Divisors at which JPEG decodes directly, in a fraction of the time: its cosine transform is cut
short, which is a good low-pass filter as well."""

_REDUCED_FLAGS: Final = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_TURNED_EXIF_ORIENTATIONS: Final = frozenset(range(5, 9))
_ORIENTATION_TAG: Final = 274


class PageImage(Protocol):
    """An image whose pixels are made when they are needed."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, upright."""
        ...

    def pixels(self, reduction: int) -> NDArray[np.uint8]:
        """(H', W', 3) BGR, where a pixel stands for ``reduction`` x ``reduction`` pixels.

        Args:
            reduction: 1, 2, 4 or 8, at most the shorter side.

        Raises:
            SampleError: the image is broken.
        """
        ...


class EncodedImage:
    """An image file. What was decoded is kept, so it serves one sample and no more.

    Raises:
        SampleError: it is missing, unreadable or no image.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._decoded: dict[int, NDArray[np.uint8]] = {}
        try:
            self.content = path.read_bytes()
        except OSError as error:
            raise SampleError(f"{path}: can't be read: {error.strerror}") from error

    @cached_property
    def _header(self) -> tuple[str, tuple[int, int]]:
        """Format, and width and height as shown."""
        try:
            with warnings.catch_warnings():
                # Of sizes: there is a limit of our own, which load_image shares.
                warnings.simplefilter("ignore")
                image = Image.open(io.BytesIO(self.content))
                turned = "exif" in image.info and (
                    image.getexif().get(_ORIENTATION_TAG) in _TURNED_EXIF_ORIENTATIONS
                )
        except Exception as error:  # Pillow's plug-ins raise whatever their parsers raise.
            raise SampleError(f"{self.name}: is no image that can be read: {error}") from error
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise SampleError(
                f"{self.name}: {width} x {height} pixels are more than the limit of {MAX_PIXELS}"
            )
        return image.format or "", (height, width) if turned else (width, height)

    @property
    def size(self) -> tuple[int, int]:
        return self._header[1]

    def pixels(self, reduction: int) -> NDArray[np.uint8]:
        if reduction not in self._decoded:
            self._decoded[reduction] = self._decode(reduction)
        return self._decoded[reduction]

    def _decode(self, reduction: int) -> NDArray[np.uint8]:
        if reduction > 1 and self._header[0] == "JPEG" and self._is_complete_jpeg():
            encoded = np.frombuffer(self.content, dtype=np.uint8)
            decoded = cv2.imdecode(encoded, _REDUCED_FLAGS[reduction])
            if decoded is not None:
                return np.asarray(decoded, dtype=np.uint8)
        try:
            return reduced(load_image(self.content), reduction)
        except ImageError as error:
            raise SampleError(f"{self.name}: {error}") from error

    def _is_complete_jpeg(self) -> bool:
        # A picture that was cut off still decodes, half of it grey. The last scan must be closed;
        # a marker of an embedded preview comes before it.
        return self.content.rfind(b"\xff\xd9") > self.content.rfind(b"\xff\xda")


class RenderedImage:
    """An image that is pixels already.

    Args:
        name: for messages.
        image_HW3: uint8 BGR.
    """

    def __init__(self, name: str, image_HW3: NDArray[np.uint8]) -> None:
        self.name = name
        self._image_HW3 = image_HW3

    @property
    def size(self) -> tuple[int, int]:
        height, width = self._image_HW3.shape[:2]
        return width, height

    def pixels(self, reduction: int) -> NDArray[np.uint8]:
        return reduced(self._image_HW3, reduction)


def reduced(pixels: NDArray[Any], reduction: int) -> NDArray[np.uint8]:
    """Means of squares of pixels; what is left over at the right and below is left out."""
    if reduction == 1:
        return np.asarray(pixels, dtype=np.uint8)
    height, width = pixels.shape[:2]
    new_height, new_width = height // reduction, width // reduction
    whole = pixels[: new_height * reduction, : new_width * reduction]
    shrunk = cv2.resize(whole, (new_width, new_height), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, dtype=np.uint8)
