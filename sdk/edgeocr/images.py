"""Images from paths, bytes, arrays and Pillow images, as upright 8-bit BGR.

The format is read from the content and never from the name. Size, orientation and
completeness are read from the headers before OpenCV decodes anything, so a small file that
claims a huge image costs no memory, and a file that was cut off is refused and not read as
a half-grey page.
"""

from __future__ import annotations

import os
import re
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeocr.errors import ImageError
from edgeocr.options import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

ImageInput: TypeAlias = (
    "str | os.PathLike[str] | bytes | NDArray[np.uint8] | NDArray[np.uint16] | PilImage"
)
"""A file's path, an encoded file's bytes, an array of pixels or a Pillow image."""

MAX_SIDE: Final = 32_000
"""Longest side of an image in pixels: OpenCV's warps count pixels in 16 bits."""
MAX_FILE_BYTES: Final = 1 << 29
"""Largest file that is read: 512 MiB."""

_ARRAYS: Final = "(H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA of uint8 or uint16"
_ORIENTATION_TAG: Final = 274


def load_image(source: ImageInput, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read an image in any of the forms of :data:`ImageInput`.

    Files may be JPEG, PNG, GIF, BMP, WebP or TIFF. Their EXIF orientation is applied, also
    that of Pillow images; transparent pixels are laid on white; 16-bit samples are scaled to
    8 bits; of animations and multi-page files the first picture is read.

    Args:
        source: a path to a regular file, the bytes of a file, an array of
            (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA of uint8 or uint16,
            or a Pillow image of any mode but "F".
        max_pixels: images with more pixels are refused before they are decoded.

    Returns:
        (H, W, 3) uint8, BGR, C-contiguous. It may share the memory of an array given as
        ``source``: don't write to it.

    Raises:
        ImageError: the file is missing, unreadable, cut off, corrupt or no image; the array
            has another shape or dtype; the image exceeds ``max_pixels`` or has a side over
            32,000 pixels.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    if isinstance(source, bytes):
        return _from_bytes(source, "the bytes given", max_pixels)
    if isinstance(source, (str, os.PathLike)):
        return _from_bytes(_read_file(source), os.fspath(source), max_pixels)
    if _is_pillow(source):
        return _from_pillow(source, max_pixels)
    raise ImageError(
        f"cannot read an image from a {type(source).__name__}: give a path, the bytes of an "
        f"image file, an array of {_ARRAYS}, or a Pillow image"
    )


# --- arrays and Pillow images ------------------------------------------------------------


def _from_array(array: NDArray[Any], max_pixels: int) -> NDArray[np.uint8]:
    if (
        array.dtype not in (np.uint8, np.uint16)
        or array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] not in (1, 3, 4))
    ):
        raise ImageError(
            f"an array of shape {array.shape} and dtype {array.dtype} is no image: give "
            f"{_ARRAYS}" + _advice(array.dtype)
        )
    _check_size("the array", array.shape[1], array.shape[0], max_pixels)
    return _to_bgr(array)


def _advice(dtype: np.dtype[Any]) -> str:
    if np.issubdtype(dtype, np.floating):
        return "; scale floats to 0..255 and convert with .astype(np.uint8)"
    return ""


def _is_pillow(source: object) -> TypeGuard[PilImage]:
    # By name: Pillow is no dependency, and whoever holds one of its images has imported it.
    return any(
        base.__module__ == "PIL.Image" and base.__name__ == "Image" for base in type(source).__mro__
    )


def _from_pillow(image: PilImage, max_pixels: int) -> NDArray[np.uint8]:
    _check_size("the Pillow image", image.width, image.height, max_pixels)
    if image.mode == "F":
        raise ImageError('Pillow images of mode "F" have no fixed range: convert to "L" or "RGB"')
    try:
        image.load()  # Files are opened lazily; loading also turns TIFFs upright.
        orientation = int(image.getexif().get(_ORIENTATION_TAG, 1))
        if image.mode.startswith("I"):
            pixels = _sixteen_bits(np.asarray(image))
        elif image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
            if image.mode == "La":
                image = image.convert("LA")
            pixels = np.asarray(image.convert("RGBA"))[..., (2, 1, 0, 3)]
        else:
            pixels = np.asarray(image.convert("RGB"))[..., ::-1]
    except ImageError:
        raise
    except Exception as error:  # Pillow's plug-ins raise whatever their parsers raise.
        raise ImageError(f"the Pillow image cannot be read: {error}") from error
    return _turn_upright(_to_bgr(pixels), orientation)


def _sixteen_bits(pixels: NDArray[Any]) -> NDArray[np.uint16]:
    """Pillow opens 16-bit files as 16-bit or as 32-bit integers, depending on the file."""
    if pixels.size and (pixels.min() < 0 or pixels.max() > 65535):
        raise ImageError("a Pillow image of 32-bit integers must hold values of 0..65535")
    return pixels.astype(np.uint16)


# --- files -------------------------------------------------------------------------------


def _read_file(source: str | os.PathLike[str]) -> bytes:
    path = Path(source)
    try:
        if path.is_dir():
            raise ImageError(f"{path}: is a folder; give an image file")
        if not path.exists():
            raise ImageError(f"{path}: no such file")
        if not path.is_file():  # Reading a device or a pipe may never end.
            raise ImageError(f"{path}: is not a regular file")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ImageError(f"{path}: is larger than {MAX_FILE_BYTES >> 20} MiB")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ImageError(f"{path}: cannot be read: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What the headers of a file say before anything is decoded."""

    format: str
    width: int
    height: int
    orientation: int = 1
    """EXIF, 1 to 8."""
    tiff_alpha: int | None = None
    """What a TIFF's fourth sample is: 1, alpha multiplied into the colours; 2, plain alpha."""


class _CorruptError(Exception):
    """Says what is wrong with the content; the caller knows the name."""


def _from_bytes(data: bytes, name: str, max_pixels: int) -> NDArray[np.uint8]:
    try:
        header = _parse_header(data)
    except _CorruptError as error:
        raise ImageError(f"{name}: {error}") from None
    except (struct.error, IndexError):  # a header that ends too early
        raise ImageError(f"{name}: the file is cut off or corrupt") from None
    _check_size(name, header.width, header.height, max_pixels)
    pixels = _decode(data)
    if pixels is None:
        raise ImageError(
            f"{name}: the {header.format} data is corrupt, cut off, or of a kind that OpenCV "
            f"{cv2.__version__} cannot decode (GIF and animated WebP need 4.11); "
            "try to save it again as PNG or JPEG"
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{name}: holds {pixels.dtype} samples; convert it to 8 or 16 bits per channel"
        )
    # libtiff hands out 8-bit colours with plain alpha already multiplied in.
    premultiplied = header.tiff_alpha == 1 or (header.tiff_alpha == 2 and pixels.dtype == np.uint8)
    return _turn_upright(_to_bgr(pixels, premultiplied=premultiplied), header.orientation)


def _decode(data: bytes) -> NDArray[Any] | None:
    # UNCHANGED keeps alpha and 16 bits, and leaves the orientation to us: which formats
    # OpenCV turns by itself differs from version to version.
    try:
        with _quiet_opencv():
            return cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError):
        return None


# OpenCV 5 moved the function to a module of its own.
_set_log_level: Callable[[int], int] = getattr(cv2.utils, "logging", cv2).setLogLevel
_quiet_lock = threading.Lock()
_quiet_depth = 0
_quiet_restore = 0


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's log off stderr: what it would say there is in our error.

    The level belongs to the whole process, so the first of several threads lowers it and the
    last one puts it back.
    """
    global _quiet_depth, _quiet_restore
    with _quiet_lock:
        if _quiet_depth == 0:
            _quiet_restore = _set_log_level(0)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                _set_log_level(_quiet_restore)


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name}: is empty ({width} x {height} pixels)")
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width} x {height} pixels are more than the limit of {max_pixels}; "
            "shrink the image or raise max_pixels"
        )
    if max(width, height) > MAX_SIDE:
        raise ImageError(
            f"{name}: {width} x {height} pixels: no side may exceed {MAX_SIDE}; cut it in parts"
        )


# --- headers -----------------------------------------------------------------------------


def _parse_header(data: bytes) -> _Header:
    if not data:
        raise _CorruptError("is empty (0 bytes)")
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith((b"GIF87a", b"GIF89a")):
        width, height = struct.unpack_from("<HH", data, 6)
        return _Header(format="GIF", width=width, height=height)
    if data.startswith(b"BM"):
        return _bmp(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith((b"II*\0", b"MM\0*")):
        return _tiff(data)
    raise _CorruptError("is no JPEG, PNG, GIF, BMP, WebP or TIFF image")


_JPEG_MARKER: Final = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(data: bytes) -> _Header:
    size: tuple[int, int] | None = None
    orientation = 1
    position = 2
    while True:
        match = _JPEG_MARKER.search(data, position)
        if match is None:
            raise _CorruptError("the JPEG data is cut off: its end is missing")
        marker, position = match[1][0], match.end()
        # The picture starts; inside of it 0xff is followed by anything but the end marker's 0xd9.
        if marker == 0xDA:
            if data.find(b"\xff\xd9", position) < 0:
                raise _CorruptError("the JPEG data is cut off: its end is missing")
            break
        if marker == 0x01:  # TEM carries no length
            continue
        (length,) = struct.unpack_from(">H", data, position)
        if marker in _JPEG_FRAMES and size is None:
            height, width = struct.unpack_from(">HH", data, position + 3)
            size = width, height
        elif marker == 0xE1 and data[position + 2 : position + 8] == b"Exif\0\0":
            orientation = _exif_orientation(data[position + 8 : position + length])
        position += length
    if size is None:
        raise _CorruptError("the JPEG data holds no picture")
    return _Header(format="JPEG", width=size[0], height=size[1], orientation=orientation)


def _png(data: bytes) -> _Header:
    width, height = struct.unpack_from(">II", data, 16)
    orientation = 1
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise _CorruptError("the PNG data is cut off: its end is missing")
        if kind[0] & 0x20 == 0:  # critical chunks have upper-case names
            (checksum,) = struct.unpack_from(">I", data, end)
            if zlib.crc32(memoryview(data)[position + 4 : end]) != checksum:
                raise _CorruptError(f"the PNG data is corrupt: checksum of {kind!r}")
        elif kind == b"eXIf":
            orientation = _exif_orientation(data[position + 8 : end])
        position = end + 4
    return _Header(format="PNG", width=width, height=height, orientation=orientation)


def _bmp(data: bytes) -> _Header:
    (header_size,) = struct.unpack_from("<I", data, 14)
    if header_size == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    # A negative height means rows from top to bottom.
    return _Header(format="BMP", width=width, height=abs(height))


def _webp(data: bytes) -> _Header:
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise _CorruptError("the WebP data is cut off: its end is missing")
    kind = data[12:16]
    orientation = 1
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        position = 12
        while position + 8 <= len(data):
            chunk, length = struct.unpack_from("<4sI", data, position)
            if chunk == b"EXIF":
                payload = data[position + 8 : position + 8 + length]
                orientation = _exif_orientation(payload.removeprefix(b"Exif\0\0"))
            position += 8 + length + length % 2
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise _CorruptError("the WebP data is corrupt")
    return _Header(format="WebP", width=width, height=height, orientation=orientation)


def _tiff(data: bytes) -> _Header:
    tags = _first_directory(data)
    if 256 not in tags or 257 not in tags:
        raise _CorruptError("the TIFF data does not state its size")
    # No orientation: alone among the formats, TIFF is turned upright by OpenCV in every mode.
    return _Header(format="TIFF", width=tags[256], height=tags[257], tiff_alpha=tags.get(338))


def _exif_orientation(exif: bytes) -> int:
    """The orientation that an EXIF block states; 1, upright, where it is missing or broken."""
    try:
        return _first_directory(exif).get(_ORIENTATION_TAG, 1)
    except (struct.error, _CorruptError):
        return 1


def _first_directory(data: bytes) -> dict[int, int]:
    """The integer tags of the first directory of a TIFF or EXIF block."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise _CorruptError("the TIFF data is corrupt")
    (position,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, position)
    tags: dict[int, int] = {}
    for entry in range(position + 2, position + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if kind == 3:  # SHORT
            (tags[tag],) = struct.unpack_from(order + "H", data, entry + 8)
        elif kind == 4:  # LONG
            (tags[tag],) = struct.unpack_from(order + "I", data, entry + 8)
    return tags


# --- pixels ------------------------------------------------------------------------------


def _to_bgr(pixels: NDArray[Any], *, premultiplied: bool = False) -> NDArray[np.uint8]:
    """Grey, BGR or BGRA of 8 or 16 bits to BGR of 8 bits."""
    if pixels.dtype == np.uint16:
        # 65535 is 255 * 257, and an odd divisor leaves no ties: this rounds exactly.
        pixels = cv2.convertScaleAbs(np.ascontiguousarray(pixels), alpha=1 / 257)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        grey = np.ascontiguousarray(pixels)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    if pixels.shape[2] == 4:
        return _on_white(pixels, premultiplied=premultiplied)
    return np.ascontiguousarray(pixels)


def _on_white(pixels_BGRA: NDArray[np.uint8], *, premultiplied: bool) -> NDArray[np.uint8]:
    alpha = pixels_BGRA[..., 3].astype(np.uint16)
    white = 255 - alpha
    flat = np.empty((*alpha.shape, 3), dtype=np.uint8)
    for channel in range(3):
        if premultiplied:
            mixed = pixels_BGRA[..., channel] + white
            flat[..., channel] = np.minimum(mixed, 255)
        else:
            # At most 255² + 127, which 16 bits hold.
            flat[..., channel] = (pixels_BGRA[..., channel] * alpha + 255 * white + 127) // 255
    return flat


def _turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation; values outside of 2 to 8 mean upright."""
    turned = cv2.transpose(pixels) if 5 <= orientation <= 8 else pixels
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)  # OpenCV's flip codes
    if flip is not None:
        turned = cv2.flip(turned, flip)
    return np.asarray(turned, dtype=np.uint8)
